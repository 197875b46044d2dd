//! The network on the device, and how it learns: one sample at a time.

use core::fmt;
use core::iter::once;

use decora::adapter::Pass;
use decora::backend::Store;
use decora::checkpoint::{self, Contents, LoadError, SaveError};
use decora::direction::{self, Direction};
use decora::error::Error;
use decora::init::{Rng, kaiming_uniform};
use decora::merge::Merge;
use decora::mlp::{Cache, Mlp, Shape};
use decora::optim::{Optimizer, Training};
use decora::param::{Parameters, Slot};
use decora::safetensors::{File, Sink};
use decora_cpu::{Cpu, CpuError};

use crate::base::Base;
use crate::digest::Digest;
use crate::digits::{CLASSES, PIXELS, Sample};
use crate::flash::StoreFault;
use crate::setup::{ACCUMULATE, ACTIVATION, LAYERS, MODULES, Phi, Setup, WIDEST};

/// The device, with the kernels that give the same bits everywhere.
pub type Device<'m> = Cpu<'m, f32>;
/// The network, its layers adapted as `D` says.
pub type Net<'m, D> = Mlp<'m, Device<'m>, D, LAYERS, Phi>;
/// Every layer is adapted by a low-rank update, without dropout: nothing else is linked.
pub type LowRank<'m> = direction::LowRank<Device<'m>, true>;
/// Layers are adapted or not, as the setup says.
pub type Any<'m> = direction::Any<Device<'m>>;
/// What the library answers.
pub type Fault = Error<CpuError>;
/// Why a file was not loaded.
pub type LoadFault = LoadError<CpuError>;
/// Why a file was not saved.
pub type SaveFault = SaveError<CpuError, StoreFault>;

/// Why the device did not learn.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LearnError {
    /// The loss is infinite or not a number: the parameters are past saving.
    Diverged {
        /// The step that was not taken.
        step: u64,
    },
    /// The library's own.
    Library(Fault),
    /// A label that is no digit.
    Label {
        /// The label.
        found: u32,
    },
    /// A pixel that is infinite or not a number.
    Pixel {
        /// Which, from 0.
        index: usize,
    },
}

impl fmt::Display for LearnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diverged { step } => {
                write!(f, "step {step}: found a loss that is infinite or not a number")
            }
            Self::Library(e) => e.fmt(f),
            Self::Label { found } => write!(f, "sample: found label {found}, expected 0 to 9"),
            Self::Pixel { index } => {
                write!(f, "sample: pixel {index} is infinite or not a number")
            }
        }
    }
}

impl core::error::Error for LearnError {}

impl<E: Into<Fault>> From<E> for LearnError {
    fn from(e: E) -> Self {
        Self::Library(e.into())
    }
}

/// What is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// All that inference needs: what PEFT reads.
    Adapter,
    /// All that training needs to go on.
    Checkpoint,
}

/// A network that learns from samples as they come. It has over a kilobyte of its own: on a device
/// whose stack is short it lives in a `static`.
#[derive(Debug)]
pub struct Learner<'m, D: Direction<Device<'m>>> {
    be: Device<'m>,
    net: Net<'m, D>,
    optimizer: Optimizer<Device<'m>>,
    cache: Cache<Device<'m>>,
    merge: Merge<Device<'m>>,
    /// Of the base network.
    fingerprint: u64,
    /// Samples since the last step.
    pending: usize,
}

impl<'m, D: Direction<Device<'m>>> Learner<'m, D> {
    /// Puts a network over `base`, adapted as `setup` says, into `place`; its arena has
    /// [`Setup::words`].
    ///
    /// # Errors
    /// Out of memory; a setup that `D` cannot be.
    #[inline(never)]
    pub fn start<'p>(
        place: &'p mut Option<Self>,
        arena: &'m mut [f32],
        base: &Base<'m>,
        setup: &Setup,
        training: Training,
    ) -> Result<&'p mut Self, Fault> {
        let learner = Self::empty(place, arena, base, setup, training)?;
        let mut rng = Rng::new(SEED);
        for layer in 0..LAYERS {
            let linear = base.linear(&mut learner.be, layer)?;
            learner.net.add(&mut learner.be, setup.plan(layer), linear, &mut rng)?;
        }
        Ok(learner)
    }

    /// Everything but the layers. They are added where the learner lives, when the stack that moved it
    /// there is free again: hence a function of its own.
    #[inline(never)]
    fn empty<'p>(
        place: &'p mut Option<Self>,
        arena: &'m mut [f32],
        base: &Base<'m>,
        setup: &Setup,
        training: Training,
    ) -> Result<&'p mut Self, Fault> {
        let mut be = Device::new(arena);
        let plans = setup.plans();
        let shape = Shape { plans: &plans, activation: ACTIVATION };
        let net = Mlp::empty(&mut be, shape)?;
        let optimizer = Optimizer::new(&mut be, training)?;
        let cache = Cache::new(&mut be, shape, setup.cached)?;
        let merge = Merge::new(&mut be, 1, WIDEST)?;
        let fingerprint = base.fingerprint();
        Ok(place.insert(Self { be, net, optimizer, cache, merge, fingerprint, pending: 0 }))
    }

    /// Learns from one sample, which has this number among those of its recording: its gradient is added
    /// to those of the samples since the last step.
    ///
    /// # Errors
    /// [`LearnError`]. A sample that is refused leaves everything as it was.
    pub fn learn(&mut self, number: usize, sample: &Sample) -> Result<(), LearnError> {
        check(sample)?;
        let store = if self.pending == 0 { Store::Replace } else { Store::Add };
        let (x, label) = (&sample.pixels, [sample.label]);
        let (scale, pass) = (1.0 / ACCUMULATE as f64, Pass::Train(0));
        let Self { be, net, cache, .. } = self;
        net.train_cached(be, cache, number, x, &label, scale, pass, store)?;
        self.pending += 1;
        Ok(())
    }

    /// Whether it has seen as many samples as a step takes.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.pending >= ACCUMULATE
    }

    /// Takes a step; the mean loss of the samples since the last.
    ///
    /// # Errors
    /// [`LearnError::Diverged`] leaves the parameters as they were.
    #[inline(never)]
    pub fn step(&mut self) -> Result<f32, LearnError> {
        self.pending = 0;
        let loss = self.net.loss(&mut self.be)? as f32;
        if !loss.is_finite() {
            return Err(LearnError::Diverged { step: self.optimizer.steps() });
        }
        self.update()?;
        self.net.refresh(&mut self.be)?;
        Ok(loss)
    }

    /// A function of its own: its stack is free again when norms are refreshed.
    #[inline(never)]
    fn update(&mut self) -> Result<(), Fault> {
        self.optimizer.step(&mut self.be, &mut self.net)
    }

    /// The ten outputs for an image.
    ///
    /// # Errors
    /// What the library answers.
    pub fn outputs(&mut self, pixels: &[f32; PIXELS]) -> Result<[f32; CLASSES], Fault> {
        let mut y = [0.0; CLASSES];
        self.net.infer(&mut self.be, pixels, &mut y)?;
        Ok(y)
    }

    /// How many steps it has taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// How many samples it has seen since the last step.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Adds every value of every parameter to a digest.
    ///
    /// # Errors
    /// What the library answers.
    pub fn digest(&mut self, digest: &mut Digest) -> Result<(), Fault> {
        self.net.visit(&mut self.be, &mut |_, _, p| {
            digest.extend(p.value());
            Ok(())
        })
    }

    /// What tells the base network from others.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Writes what was learned as a safetensors file.
    ///
    /// # Errors
    /// Those of the sink; a value that is not finite.
    pub fn save(
        &mut self,
        content: Content,
        sink: &mut Sink<'_, StoreFault>,
    ) -> Result<(), SaveFault> {
        let steps = (content == Content::Checkpoint).then_some(self.optimizer.steps());
        let contents = Contents { modules: &MODULES, base: Some(self.fingerprint), steps };
        checkpoint::write(&mut self.be, &mut self.net, &contents, sink)
    }

    /// Becomes what a file holds: an adapter, or a checkpoint, whose steps it answers.
    ///
    /// # Errors
    /// [`LoadError`]: then everything is as it was.
    pub fn load(&mut self, file: &File<'_>) -> Result<Option<u64>, LoadFault> {
        let expected = Some(self.fingerprint);
        let loaded = checkpoint::read(&mut self.be, &mut self.net, &MODULES, file, expected)?;
        self.optimizer.resume_at(loaded.steps.unwrap_or(0));
        self.pending = 0;
        Ok(loaded.steps)
    }

    /// Gives the rows of a layer's merged weight to `sink`, when all of them are finite.
    ///
    /// # Errors
    /// [`Error::NonFinite`] at the first element that is not.
    pub fn merge(&mut self, layer: usize, sink: &mut dyn FnMut(&[f32])) -> Result<(), Fault> {
        let (layers, ws) = self.net.layers_mut();
        let Some(layer) = layers.get_mut(layer) else { return Ok(()) };
        let (be, adapter, mut row) = (&mut self.be, &mut layer.adapter, [0.0; WIDEST]);
        self.merge.stream_checked(be, ws, &layer.base, adapter, &mut row, &mut |_, w| {
            sink(w);
            Ok(())
        })
    }

    /// Back to the beginning: what was learned is forgotten.
    ///
    /// # Errors
    /// What the library answers.
    pub fn reset(&mut self) -> Result<(), Fault> {
        let (mut rng, be) = (Rng::new(SEED), &mut self.be);
        self.net.visit(be, &mut |be, _, p| {
            let (_, value, moments) = p.training();
            once(value).chain(moments).for_each(|buf| buf.fill(0.0));
            if p.slot == Slot::LoraA { kaiming_uniform(be, &mut rng, p) } else { Ok(()) }
        })?;
        let (layers, ws) = self.net.layers_mut();
        for layer in layers {
            layer.adapter.reset_magnitude(be, ws, &layer.base)?;
        }
        self.optimizer.resume_at(0);
        self.pending = 0;
        Ok(())
    }
}

/// Decides the initial A.
const SEED: u64 = 1;

fn check(sample: &Sample) -> Result<(), LearnError> {
    if let Some(index) = sample.pixels.iter().position(|p| !p.is_finite()) {
        return Err(LearnError::Pixel { index });
    }
    match (sample.label as usize) < CLASSES {
        true => Ok(()),
        false => Err(LearnError::Label { found: sample.label }),
    }
}
