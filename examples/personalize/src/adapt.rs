//! One run: a method adapts the base network to the new user, and is measured.

use decora::decompose::Deviation;
use decora::network::Network;
use decora::spec::Spec;
use serde::Serialize;

use crate::config::{self, BASE_BATCH, BATCH, Purpose, Variant};
use crate::data::{Digits, Samples};
use crate::error::Error;
use crate::net::{self, Batches, Net, NetResult, Trainer, Weights};
use crate::peft::{self, Tensors};
use crate::stats;
use crate::warp::{NEW_USER, UPRIGHT};

/// Where ΔM and ΔD are measured: after each quarter of the steps, as 3 intermediate checkpoints
/// and the final one in the paper.
pub const CHECKPOINTS: usize = 4;

/// The largest difference between the outputs of adapter and merged network, relative to the
/// largest output: both are f32 sums of at most 64 terms in three layers, rounded differently.
pub const MERGE_TOLERANCE: f64 = 1e-5;

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
    pub fn new(be: &mut B, digits: &Digits, seed: u64, steps: usize) -> Result<Self, Error> {
        let split = digits.split(&mut config::rng(seed, Purpose::Split))?;
        let upright = Samples::new(digits, &split.train, &UPRIGHT);
        let base = train_base(be, &upright, seed, steps);
        Ok(Self {
            seed,
            base: base.map_err(Error::network("base network"))?,
            samples: Samples::new(digits, &split.samples, &NEW_USER),
            user: Samples::new(digits, &split.test, &NEW_USER),
            old: Samples::new(digits, &split.test, &UPRIGHT),
        })
    }

    /// How good the base network is, as it is.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn unadapted(&self, be: &mut B) -> Result<Accuracy, Error> {
        let accuracy = build(be, &self.base, Spec::frozen(), self.seed)
            .and_then(|mut net| self.accuracy(be, &mut net));
        accuracy.map_err(Error::network("base network"))
    }

    /// Adapts the base network, measures it, merges the adapter and takes it through a file.
    ///
    /// # Errors
    /// [`Error::Network`]; [`Error::Unequal`] when the merged or the reloaded adapter answers
    /// something else; [`Error::Peft`].
    pub fn adapt(
        &self,
        be: &mut B,
        variant: Variant,
        lr: f64,
        steps: usize,
    ) -> Result<Outcome, Error> {
        let of = || Error::network(format!("{variant}, seed {}", self.seed));
        let mut run = Run::new(be, self, variant, lr, steps).map_err(of())?;
        let (losses, deviations) = run.train(be).map_err(of())?;
        let accuracy = self.accuracy(be, &mut run.net).map_err(of())?;
        let y = net::outputs(be, &mut run.net, &self.user).map_err(of())?;
        let merged = self.merged_outputs(be, &mut run.net).map_err(of())?;
        let merge_difference = relative_difference(&y, &merged);
        equal(format!("{variant}: merged network"), merge_difference, MERGE_TOLERANCE)?;
        let tensors = net::tensors(be, &mut run.net).map_err(of())?;
        let bytes = peft::encode(&tensors)?;
        self.reload(be, variant, &peft::decode(&bytes)?, &tensors, &y)?;
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
        be: &mut B,
        variant: Variant,
        lr: f64,
        steps: usize,
    ) -> Result<f64, Error> {
        let train = |be: &mut B| {
            let mut run = Run::new(be, self, variant, lr, steps)?;
            for _ in 0..steps {
                run.step(be)?;
            }
            net::accuracy(be, &mut run.net, &self.user)
        };
        train(be).map_err(Error::network(format!("{variant}, seed {}, lr {lr:e}", self.seed)))
    }

    /// `Ok` when `read` has the bits of `trained` and a fresh network with them the outputs y.
    ///
    /// # Errors
    /// [`Error::Unequal`], [`Error::Network`].
    pub fn reload(
        &self,
        be: &mut B,
        variant: Variant,
        read: &Tensors,
        trained: &Tensors,
        y: &[f64],
    ) -> Result<(), Error> {
        let what = format!("{variant}: adapter read back");
        if !same_bits(read, trained) {
            return Err(Error::Unequal { what, found: f64::NAN, expected: 0.0 });
        }
        let again = self.outputs_with(be, variant, read).map_err(Error::network(&what))?;
        equal(what, relative_difference(y, &again), 0.0)
    }

    /// The outputs on the new user's digits of a fresh network with these tensors.
    ///
    /// # Errors
    /// What the library answers.
    pub fn outputs_with(
        &self,
        be: &mut B,
        variant: Variant,
        tensors: &Tensors,
    ) -> NetResult<Vec<f64>, B> {
        let mut net = build(be, &self.base, variant.spec(), self.seed)?;
        net::set(be, &mut net, tensors)?;
        net::outputs(be, &mut net, &self.user)
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
}

/// A method at work.
#[derive(Debug)]
pub struct Run<'c, B: Network> {
    case: &'c Case<B>,
    /// The adapted network.
    pub net: Net<'c, B>,
    trainer: Trainer<B>,
    batches: Batches<'c, B::Scalar>,
    steps: usize,
}

impl<'c, B: Network> Run<'c, B> {
    /// The base network of `case` with fresh adapters.
    ///
    /// # Errors
    /// What the library answers, of a rank above that of a layer, say.
    pub fn new(
        be: &mut B,
        case: &'c Case<B>,
        variant: Variant,
        lr: f64,
        steps: usize,
    ) -> NetResult<Self, B> {
        let net = build(be, &case.base, variant.spec(), case.seed)?;
        let trainer = Trainer::new(be, config::adaptation(lr, steps), BATCH)?;
        let order = config::rng(case.seed, Purpose::Order);
        Ok(Self { case, net, trainer, batches: Batches::new(&case.samples, order), steps })
    }

    /// One step. Waits for nothing.
    ///
    /// # Errors
    /// Device errors.
    pub fn step(&mut self, be: &mut B) -> NetResult<(), B> {
        self.trainer.step(be, &mut self.net, &mut self.batches)
    }

    /// All steps: the mean loss of each epoch, and the deviations at each checkpoint.
    fn train(&mut self, be: &mut B) -> NetResult<(Vec<f64>, Vec<Point>), B> {
        let (mut losses, mut points) = (Vec::new(), Vec::new());
        for step in 1..=self.steps {
            self.step(be)?;
            losses.push(self.net.loss(be)?);
            if step * CHECKPOINTS % self.steps < CHECKPOINTS {
                self.measure(be, step, &mut points)?;
            }
        }
        let epoch = (self.case.samples.len() / BATCH).max(1);
        Ok((losses.chunks(epoch).map(stats::mean).collect(), points))
    }

    fn measure(&mut self, be: &mut B, step: usize, points: &mut Vec<Point>) -> NetResult<(), B> {
        let now = net::merged(be, &mut self.net, &self.case.base)?;
        for (layer, (w, v)) in self.case.base.layers.iter().zip(&now.layers).enumerate() {
            let mut d = Deviation::default();
            let rows = w.w.chunks(w.inputs).zip(v.w.chunks(w.inputs));
            rows.for_each(|(w, v)| d.push(w, v));
            let (magnitude, direction) = (d.magnitude(), d.direction());
            points.push(Point { step, layer, magnitude, direction });
        }
        Ok(())
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
    be: &mut B,
    upright: &Samples<B::Scalar>,
    seed: u64,
    steps: usize,
) -> NetResult<Weights, B> {
    let start = Weights::random(&mut config::rng(seed, Purpose::Base));
    let mut net = build(be, &start, Spec::full(), seed)?;
    let mut trainer = Trainer::new(be, config::base_training(steps), BASE_BATCH)?;
    let mut batches = Batches::new(upright, config::rng(seed, Purpose::BaseOrder));
    for _ in 0..steps {
        trainer.step(be, &mut net, &mut batches)?;
    }
    net::merged(be, &mut net, &start)
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
