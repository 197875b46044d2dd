//! What the tests on a device share: how to get one, and a network to train on it.

#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod device;

use decora::adapter::Pass;
use decora::backend::{AccumOf, Backend, Store};
use decora::direction::Any;
use decora::error::Error;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::{Activation, Network};
use decora::optim::{Optimizer, Training};
use decora::param::Parameters;
use decora::scalar::{Accum, Scalar};
use decora::spec::{Plan, Spec};

pub(crate) use device::gpu;

/// What the library answers on device `B`.
pub(crate) type Answer<T, B> = Result<T, Error<<B as Backend>::Error>>;

/// A perceptron with DoRA on each layer, its optimiser, and batches that follow from the number of
/// steps taken: the same network takes the same steps whenever and wherever it is asked to.
pub(crate) struct Run<B: Network> {
    pub(crate) net: Mlp<'static, B, Any<B>, 3>,
    pub(crate) optimizer: Optimizer<B>,
    rows: usize,
}

impl<B: Network> Run<B> {
    /// Layers of these widths, rank `rank`, batches of `rows`.
    pub(crate) fn new(be: &mut B, widths: &[usize], rank: usize, rows: usize) -> Answer<Self, B> {
        let spec = Spec { bias: true, ..Spec::dora(rank, 2.0 * rank as f64) };
        let layers = || widths.iter().zip(widths.iter().skip(1));
        let plan = |(&inputs, &out)| Plan { out, inputs, bias: true, rows, spec, moments: 2 };
        let plans: Vec<Plan> = layers().map(plan).collect();
        let mut rng = Rng::new(7);
        let mut bases = Vec::new();
        for (&inputs, &out) in layers() {
            let bound = 1.0 / (inputs as f64).sqrt();
            let mut draw = |n| (0..n).map(|_| rng.within(bound) as f32).collect::<Vec<f32>>();
            let (w, b) = (draw(out * inputs).leak(), draw(out));
            let b: Vec<_> = b.iter().map(|&b| AccumOf::<B>::of_f32(b)).collect();
            bases.push(Linear::new(be, Frozen::new(out, inputs, Format::F32(w))?, Some(&b))?);
        }
        let shape = Shape { plans: &plans, activation: Activation::Relu };
        let net = Mlp::new(be, shape, bases, &mut Rng::new(8))?;
        let training = Training { lr: 1e-2, clip: Some(0.5), ..Training::default() };
        Ok(Self { net, optimizer: Optimizer::new(be, training)?, rows })
    }

    /// Writes a batch; forward, loss, backward, update. Waits for nothing.
    pub(crate) fn step(&mut self, be: &mut B) -> Answer<(), B> {
        let (out, inputs) = self.net.shape();
        let mut rng = Rng::new(1000 + self.optimizer.steps());
        let mut x = || B::Scalar::narrow(AccumOf::<B>::of(rng.unit()));
        let x: Vec<B::Scalar> = (0..self.rows * inputs).map(|_| x()).collect();
        let labels: Vec<u32> = (0..self.rows).map(|_| rng.below(out) as u32).collect();
        let (scale, pass) = (1.0 / self.rows as f64, Pass::Train(self.optimizer.steps()));
        self.net.train(be, &x, &labels, scale, pass, Store::Replace)?;
        self.optimizer.step(be, &mut self.net)
    }

    /// A step, and its loss.
    pub(crate) fn loss(&mut self, be: &mut B) -> Answer<f64, B> {
        self.step(be)?;
        self.net.loss(be)
    }

    /// The bits of all that is trained.
    pub(crate) fn bits(&mut self, be: &mut B) -> Answer<Vec<u64>, B> {
        let mut bits = Vec::new();
        self.net.visit(be, &mut |be, _, p| {
            let mut values = vec![AccumOf::<B>::default(); p.count()];
            p.get(be, &mut values)?;
            bits.extend(values.iter().map(|v| v.f64().to_bits()));
            Ok(())
        })?;
        Ok(bits)
    }
}
