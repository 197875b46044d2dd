//! A training run to write to files and to read back.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Store};
use decora::checkpoint::{self, Contents, LoadError, Loaded, SaveError};
use decora::direction::Any;
use decora::error::Error;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::Activation;
use decora::optim::{Optimizer, Rule, Training};
use decora::param::{Parameters, Slot};
use decora::safetensors::File;
use decora::scalar::{Accum, Scalar};
use decora::spec::{Plan, Spec};
use decora_cpu::{Cpu, CpuError};

/// Sides of the layers: those of PEFT's file.
pub(crate) const SIDES: [usize; 4] = [6, 7, 5, 3];
pub(crate) const MODULES: [&str; 3] = ["layers.0", "layers.1", "layers.2"];
pub(crate) const DORA: Spec = Spec::dora(2, 4.0);
const ROWS: usize = 4;

const fn weights() -> [f32; 42] {
    let (mut w, mut i) = ([0.0; 42], 0);
    while i < w.len() {
        w[i] = ((i * 37 % 19) as f32 - 9.0) / 16.0;
        i += 1;
    }
    w
}
static W: [f32; 42] = weights();
static B: [f32; 7] = [0.25, -0.5, 0.125, 0.0, 1.0, -0.75, 0.5];

type Device<S> = Cpu<'static, S>;

/// A device, a network and its optimiser.
pub(crate) struct Run<S: Scalar> {
    pub(crate) be: Device<S>,
    pub(crate) net: Mlp<'static, Device<S>, Any<Device<S>>, 3>,
    pub(crate) optimizer: Optimizer<Device<S>>,
}

/// W and b of each layer.
pub(crate) fn base() -> impl Iterator<Item = (Frozen<'static>, Option<&'static [f32]>)> {
    SIDES.windows(2).map(|sides| {
        let (out, inputs) = (sides[1], sides[0]);
        (Frozen::new(out, inputs, Format::F32(&W[..out * inputs])).unwrap(), Some(&B[..out]))
    })
}

impl<S: Scalar> Run<S> {
    pub(crate) fn new(spec: Spec, rule: Rule, seed: u64) -> Self {
        let mut be = Cpu::heap();
        let plan = |(w, _): (Frozen<'_>, _)| {
            let (out, inputs) = w.shape();
            Plan { out, inputs, bias: true, rows: ROWS, spec, moments: rule.moments() }
        };
        let plans: Vec<Plan> = base().map(plan).collect();
        let linear = |(w, b): (Frozen<'static>, Option<&[f32]>)| {
            let b: Vec<_> = b.unwrap().iter().map(|&b| AccumOf::<Device<S>>::of_f32(b)).collect();
            Linear::new(&mut be, w, Some(&b)).unwrap()
        };
        let bases: Vec<_> = base().map(linear).collect();
        let shape = Shape { plans: &plans, activation: Activation::Relu };
        let net = Mlp::new(&mut be, shape, bases, &mut Rng::new(seed)).unwrap();
        let training = Training { rule, lr: 0.05, ..Training::default() };
        let optimizer = Optimizer::new(&mut be, training).unwrap();
        Self { be, net, optimizer }
    }

    pub(crate) fn dora(seed: u64) -> Self {
        Self::new(DORA, Training::default().rule, seed)
    }

    /// Steps until `end` have been taken, each with a batch of its own.
    pub(crate) fn train(&mut self, end: u64) {
        let Self { be, net, optimizer } = self;
        while optimizer.steps() < end {
            let mut rng = Rng::new(100 + optimizer.steps());
            let x: Vec<S> = (0..ROWS * SIDES[0]).map(|_| S::store(rng.within(1.0))).collect();
            let pass = Pass::Train(optimizer.steps());
            net.train(be, &x, &[0, 1, 2, 0], 0.25, pass, Store::Replace).unwrap();
            optimizer.step(be, net).unwrap();
        }
    }

    /// The bytes of a file, which are as many as was said beforehand.
    pub(crate) fn write(
        &mut self,
        contents: &Contents<'_>,
    ) -> Result<Vec<u8>, SaveError<CpuError, ()>> {
        let mut bytes = Vec::new();
        let mut sink = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        checkpoint::write(&mut self.be, &mut self.net, contents, &mut sink)?;
        assert_eq!(checkpoint::len(&mut self.be, &mut self.net, contents), Ok(bytes.len()));
        Ok(bytes)
    }

    pub(crate) fn adapter(&mut self) -> Vec<u8> {
        self.write(&Contents { modules: &MODULES, base: None, steps: None }).unwrap()
    }

    pub(crate) fn checkpoint(&mut self) -> Vec<u8> {
        let steps = Some(self.optimizer.steps());
        self.write(&Contents { modules: &MODULES, base: None, steps }).unwrap()
    }

    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        base: Option<u64>,
    ) -> Result<Loaded, LoadError<CpuError>> {
        let file = File::parse(bytes).unwrap();
        checkpoint::read(&mut self.be, &mut self.net, &MODULES, &file, base)
    }

    /// Every value, in the order of the parameters.
    pub(crate) fn values(&mut self) -> Vec<f64> {
        let mut all = Vec::new();
        self.net
            .visit(&mut self.be, &mut |be, _, p| {
                let mut values = vec![AccumOf::<Device<S>>::default(); p.count()];
                p.get(be, &mut values)?;
                all.extend(values.iter().map(|v| v.f64()));
                Ok(())
            })
            .unwrap();
        all
    }

    /// Makes the last value of a slot of the first layer something else.
    pub(crate) fn spoil(&mut self, slot: Slot, value: f64) -> Result<(), Error<CpuError>> {
        self.net.visit(&mut self.be, &mut |be, layer, p| match (layer, p.slot == slot) {
            (0, true) => {
                let mut values = vec![AccumOf::<Device<S>>::default(); p.count()];
                p.get(be, &mut values)?;
                *values.last_mut().unwrap() = AccumOf::<Device<S>>::of(value);
                p.set(be, &values)
            }
            _ => Ok(()),
        })
    }
}
