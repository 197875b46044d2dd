//! One run: a method adapts the base network to the new user, and is measured.

use decora::decompose::Deviation;
use decora::network::Network;
use decora::spec::Spec;
use serde::Serialize;

use crate::config::{self, BASE_BATCH, BATCH, Purpose, Variant};
use crate::data::{Digits, Samples};
use crate::device::Device;
use crate::error::Error;
use crate::net::{self, Net, NetResult, Weights};
use crate::peft::{self, Tensors};
use crate::session::{Session, Start};
use crate::stats;
use crate::warp::{NEW_USER, UPRIGHT};

/// Where ΔM and ΔD are measured: after each quarter of the steps, as 3 intermediate checkpoints
/// and the final one in the paper.
pub const CHECKPOINTS: usize = 4;

/// The largest difference between the outputs of adapter and merged network, relative to the
/// largest output: both are f32 sums of at most 64 terms in three layers, rounded differently.
pub const MERGE_TOLERANCE: f64 = 1e-5;

/// The beginning of messages about the base network.
const BASE: &str = "base network";

/// Everything that one seed decides.
#[derive(Debug)]
pub struct Case<B: Network> {
    /// Which.
    pub seed: u64,
    /// The base network, trained on upright digits.
    pub base: Weights,
    /// The new user's labelled samples.
    pub samples: Samples<B::Scalar>,
    /// Test images in the new user's hand.
    pub user: Samples<B::Scalar>,
    /// The same test images, upright.
    pub old: Samples<B::Scalar>,
}

/// The accuracies of a network, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// On the new user's digits.
    pub user: f64,
    /// On the old users' digits.
    pub old: f64,
}

/// ΔM and ΔD of one layer at one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Steps taken.
    pub step: usize,
    /// Which layer.
    pub layer: usize,
    /// ΔM.
    #[serde(serialize_with = "stats::short")]
    pub magnitude: f64,
    /// ΔD.
    #[serde(serialize_with = "stats::short")]
    pub direction: f64,
}

/// What one run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What adapted.
    #[serde(flatten)]
    pub variant: Variant,
    /// How good it is afterwards.
    #[serde(flatten)]
    pub accuracy: Accuracy,
    /// Numbers that were trained.
    pub parameters: usize,
    /// Bytes of the saved adapter.
    pub bytes: usize,
    /// The mean loss on the samples in each epoch.
    #[serde(serialize_with = "stats::all_short")]
    pub losses: Vec<f64>,
    /// ΔM and ΔD, layer by layer, checkpoint by checkpoint.
    pub deviations: Vec<Point>,
    /// The largest difference between the outputs of adapter and merged network, relative to the
    /// largest output.
    pub merge_difference: f64,
    /// What was trained.
    #[serde(skip)]
    pub tensors: Tensors,
}

impl<B: Network> Case<B> {
    /// Splits the images and trains the base network.
    ///
    /// # Errors
    /// [`Error::Data`] for too few images, [`Error::Network`].
    pub fn new(
        device: &mut Device<'_, B>,
        digits: &Digits,
        seed: u64,
        steps: usize,
    ) -> Result<Self, Error> {
        let split = digits.split(&mut config::rng(seed, Purpose::Split))?;
        let upright = Samples::new(digits, &split.train, &UPRIGHT);
        Ok(Self {
            seed,
            base: train_base(device, &upright, seed, steps)?,
            samples: Samples::new(digits, &split.samples, &NEW_USER),
            user: Samples::new(digits, &split.test, &NEW_USER),
            old: Samples::new(digits, &split.test, &UPRIGHT),
        })
    }

    /// What tells the base network from others.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn fingerprint(&self) -> Result<u64, Error> {
        self.base.fingerprint().map_err(Error::network(BASE))
    }

    /// How good the base network is, as it is.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn unadapted(&self, device: &mut Device<'_, B>) -> Result<Accuracy, Error> {
        device.run(BASE, |be| {
            let mut net = build(be, &self.base, Spec::frozen(), self.seed)?;
            self.accuracy(be, &mut net)
        })
    }

    /// Where a method begins to adapt the base network.
    #[must_use]
    pub fn start(&self, variant: Variant, lr: f64, steps: usize) -> Start<'_, B::Scalar> {
        Start {
            weights: &self.base,
            spec: variant.spec(),
            seed: self.seed,
            training: config::adaptation(lr, steps),
            samples: &self.samples,
            order: config::rng(self.seed, Purpose::Order),
            batch: BATCH,
        }
    }

    /// Adapts the base network, measures it, merges the adapter and takes it through a file.
    ///
    /// # Errors
    /// [`Error::Network`]; [`Error::Unequal`] when the merged or the reloaded adapter answers
    /// something else; [`Error::Peft`].
    pub fn adapt(
        &self,
        device: &mut Device<'_, B>,
        variant: Variant,
        lr: f64,
        steps: usize,
    ) -> Result<Outcome, Error> {
        let what = format!("{variant}, seed {}", self.seed);
        let mut run = Session::new(device, what, self.start(variant, lr, steps))?;
        let (losses, deviations) = self.train(device, &mut run, steps)?;
        let accuracy = run.on(device, |be, net| self.accuracy(be, net))?;
        let y = run.on(device, |be, net| net::outputs(be, net, &self.user))?;
        let merged = run.on(device, |be, net| self.merged_outputs(be, net))?;
        let merge_difference = relative_difference(&y, &merged);
        equal(format!("{variant}: merged network"), merge_difference, MERGE_TOLERANCE)?;
        let tensors = run.on(device, net::tensors)?;
        let bytes = peft::encode(&tensors, Some(self.fingerprint()?))?;
        self.reload(device, variant, &peft::decode(&bytes)?, &tensors, &y)?;
        Ok(Outcome {
            variant,
            accuracy,
            parameters: tensors.values().map(|t| t.values.len()).sum(),
            bytes: bytes.len(),
            losses,
            deviations,
            merge_difference,
            tensors,
        })
    }

    /// The accuracy on the new user after adapting at this learning rate.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn accuracy_at(
        &self,
        device: &mut Device<'_, B>,
        variant: Variant,
        lr: f64,
        steps: usize,
    ) -> Result<f64, Error> {
        let what = format!("{variant}, seed {}, lr {lr:e}", self.seed);
        let mut run = Session::new(device, what, self.start(variant, lr, steps))?;
        for _ in 0..steps {
            run.step(device)?;
        }
        run.on(device, |be, net| net::accuracy(be, net, &self.user))
    }

    /// `Ok` when `read` has the bits of `trained` and a fresh network with them the outputs y.
    ///
    /// # Errors
    /// [`Error::Unequal`], [`Error::Network`].
    pub fn reload(
        &self,
        device: &mut Device<'_, B>,
        variant: Variant,
        read: &Tensors,
        trained: &Tensors,
        y: &[f64],
    ) -> Result<(), Error> {
        let what = format!("{variant}: adapter read back");
        if !same_bits(read, trained) {
            return Err(Error::Unequal { what, found: f64::NAN, expected: 0.0 });
        }
        let again = self.outputs_with(device, variant, read)?;
        equal(what, relative_difference(y, &again), 0.0)
    }

    /// The outputs on the new user's digits of a fresh network with these tensors.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn outputs_with(
        &self,
        device: &mut Device<'_, B>,
        variant: Variant,
        tensors: &Tensors,
    ) -> Result<Vec<f64>, Error> {
        device.run(&format!("{variant}: adapter read back"), |be| {
            let mut net = build(be, &self.base, variant.spec(), self.seed)?;
            net::set(be, &mut net, tensors)?;
            net::outputs(be, &mut net, &self.user)
        })
    }

    fn merged_outputs(&self, be: &mut B, net: &mut Net<'_, B>) -> NetResult<Vec<f64>, B> {
        let merged = net::merged(be, net, &self.base)?;
        let mut plain = build(be, &merged, Spec::frozen(), self.seed)?;
        net::outputs(be, &mut plain, &self.user)
    }

    fn accuracy(&self, be: &mut B, net: &mut Net<'_, B>) -> NetResult<Accuracy, B> {
        let (user, old) = (net::accuracy(be, net, &self.user)?, net::accuracy(be, net, &self.old)?);
        Ok(Accuracy { user, old })
    }

    /// All steps: the mean loss of each epoch, and the deviations at each checkpoint.
    fn train(
        &self,
        device: &mut Device<'_, B>,
        run: &mut Session<'_, B>,
        steps: usize,
    ) -> Result<(Vec<f64>, Vec<Point>), Error> {
        let (mut losses, mut points) = (Vec::new(), Vec::new());
        for step in 1..=steps {
            run.step(device)?;
            losses.push(run.on(device, |be, net| net.loss(be))?);
            if step * CHECKPOINTS % steps < CHECKPOINTS {
                let now = run.on(device, |be, net| net::merged(be, net, &self.base))?;
                points.extend(self.deviations(step, &now));
            }
        }
        let epoch = (self.samples.len() / BATCH).max(1);
        Ok((losses.chunks(epoch).map(stats::mean).collect(), points))
    }

    /// How far each layer of `now` is from the base network.
    fn deviations(&self, step: usize, now: &Weights) -> impl Iterator<Item = Point> {
        let layers = self.base.layers.iter().zip(&now.layers).enumerate();
        layers.map(move |(layer, (w, v))| {
            let mut d = Deviation::default();
            let rows = w.w.chunks(w.inputs).zip(v.w.chunks(w.inputs));
            rows.for_each(|(w, v)| d.push(w, v));
            let (magnitude, direction) = (d.magnitude(), d.direction());
            Point { step, layer, magnitude, direction }
        })
    }
}

fn build<'w, B: Network>(
    be: &mut B,
    weights: &'w Weights,
    spec: Spec,
    seed: u64,
) -> NetResult<Net<'w, B>, B> {
    net::build(be, weights, spec, &mut config::rng(seed, Purpose::Adapter))
}

fn train_base<B: Network>(
    device: &mut Device<'_, B>,
    upright: &Samples<B::Scalar>,
    seed: u64,
    steps: usize,
) -> Result<Weights, Error> {
    let weights = Weights::random(&mut config::rng(seed, Purpose::Base));
    let start = Start {
        weights: &weights,
        spec: Spec::full(),
        seed,
        training: config::base_training(steps),
        samples: upright,
        order: config::rng(seed, Purpose::BaseOrder),
        batch: BASE_BATCH,
    };
    let mut run = Session::new(device, BASE.to_owned(), start)?;
    for _ in 0..steps {
        run.step(device)?;
    }
    run.on(device, |be, net| net::merged(be, net, &weights))
}

fn relative_difference(a: &[f64], b: &[f64]) -> f64 {
    let largest = a.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if a.len() == b.len() { apart / largest } else { f64::INFINITY }
}

fn same_bits(a: &Tensors, b: &Tensors) -> bool {
    let bits = |t: &peft::Tensor| t.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((m, s), (n, t))| m == n && s.shape == t.shape && bits(s) == bits(t))
}

fn equal(what: String, found: f64, expected: f64) -> Result<(), Error> {
    match found <= expected {
        true => Ok(()),
        false => Err(Error::Unequal { what, found, expected }),
    }
}
