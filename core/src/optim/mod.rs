//! Optimisers: what turns gradients into new parameters.

mod schedule;

pub use schedule::Schedule;

use crate::backend::{AccumOf, AdamWStep, Backend, Clip, SgdStep, Store};
use crate::buffer::Acc;
use crate::error::Error;
use crate::param::{Param, Parameters, Slot};
use crate::scalar::{Accum, below, grown, is_zero};

/// AdamW (Loshchilov & Hutter 2019), with PyTorch's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdamW {
    /// β₁, the decay of the first moment.
    pub beta1: f64,
    /// β₂, the decay of the second moment.
    pub beta2: f64,
    /// ε, added to the root of the second moment.
    pub eps: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// How a parameter follows its gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Rule {
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Gradient descent with momentum μ; 0 for none.
    Sgd {
        /// μ.
        momentum: f64,
    },
}

impl Rule {
    /// How many moments it keeps for each parameter.
    #[must_use]
    pub const fn moments(&self) -> usize {
        match self {
            Self::AdamW(_) => 2,
            Self::Sgd { momentum } => (*momentum != 0.0) as usize,
        }
    }
}

/// The settings of a training run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Training {
    /// How parameters follow gradients.
    pub rule: Rule,
    /// The learning rate at the schedule's top.
    pub lr: f64,
    /// The learning rate of magnitudes; `None`: the same.
    pub lr_magnitude: Option<f64>,
    /// Weight decay, never of magnitudes and biases.
    pub weight_decay: f64,
    /// How the learning rate changes from step to step.
    pub schedule: Schedule,
    /// The largest global norm of the gradient that is left alone; `None`: no clipping.
    pub clip: Option<f64>,
}

impl Default for Training {
    /// AdamW, lr 1e-3, no decay, constant, clipped at 1.
    fn default() -> Self {
        Self {
            rule: Rule::AdamW(AdamW::default()),
            lr: 1e-3,
            lr_magnitude: None,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            clip: Some(1.0),
        }
    }
}

impl Training {
    /// `Ok` when every number is one that training can work with.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] naming the first that is not.
    pub fn check<E>(&self) -> Result<(), Error<E>> {
        let decays = match self.rule {
            Rule::AdamW(AdamW { beta1, beta2, .. }) => [("beta1", beta1), ("beta2", beta2)],
            Rule::Sgd { momentum } => [("momentum", momentum), ("momentum", momentum)],
        };
        for (what, found) in decays {
            in_range(what, found, below(found, 1.0), "0 or more, and less than 1")?;
        }
        let rates = [
            ("lr", self.lr),
            ("lr_magnitude", self.lr_magnitude.unwrap_or(0.0)),
            ("weight_decay", self.weight_decay),
        ];
        for (what, found) in rates {
            in_range(what, found, below(found, f64::INFINITY), "a finite number from 0 up")?;
        }
        let clip = self.clip.unwrap_or(1.0);
        in_range("clip", clip, below(clip, f64::NAN) && !is_zero(clip), "more than 0, or none")
    }

    /// The learning rate at the schedule's top.
    fn top(&self, slot: Slot) -> f64 {
        match slot {
            Slot::Magnitude => self.lr_magnitude.unwrap_or(self.lr),
            _ => self.lr,
        }
    }

    fn decay(&self, slot: Slot) -> f64 {
        if slot.decays() { self.weight_decay } else { 0.0 }
    }
}

fn in_range<E>(
    what: &'static str,
    found: f64,
    ok: bool,
    expected: &'static str,
) -> Result<(), Error<E>> {
    if ok { Ok(()) } else { Err(Error::out_of_range(what, found, expected)) }
}

/// An optimiser: settings, the number of steps taken, and one number on the device.
#[derive(Debug)]
pub struct Optimizer<B: Backend> {
    training: Training,
    steps: u64,
    /// Σ of the squares of all gradients.
    sum_sq: B::Buf<Acc>,
}

impl<B: Backend> Optimizer<B> {
    /// Words it takes in an arena.
    pub const WORDS: usize = 1;

    /// An optimiser that has taken no step yet.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for settings training cannot work with; out of memory.
    pub fn new(be: &mut B, training: Training) -> Result<Self, Error<B::Error>> {
        training.check()?;
        Ok(Self { training, steps: 0, sum_sq: be.alloc::<Acc>(1)? })
    }

    /// How many steps it has taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on after `steps` steps, as when training is resumed.
    pub fn resume_at(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// The learning rate of the next step.
    #[must_use]
    pub fn lr(&self) -> f64 {
        self.training.top(Slot::LoraA) * self.training.schedule.factor::<f64>(self.steps)
    }

    /// Clips the gradients of `model` and moves its parameters one step. Waits for nothing.
    ///
    /// # Errors
    /// Device errors.
    pub fn step<M: Parameters<B>>(
        &mut self,
        be: &mut B,
        model: &mut M,
    ) -> Result<(), Error<B::Error>> {
        if self.training.clip.is_some() {
            self.measure(be, model)?;
        }
        let of_step = OfStep::new(&self.training, self.steps);
        let (training, sum_sq) = (&self.training, &self.sum_sq);
        model.visit(be, &mut |be, _, p| {
            if !p.trained() {
                return Ok(());
            }
            let max = training.clip.map(AccumOf::<B>::of);
            let clip = max.map(|max| Clip { max, sum_sq });
            Ok(update(be, training, &of_step, clip, p)?)
        })?;
        self.steps += 1;
        Ok(())
    }

    /// The global norm of the gradients `model` has now, before clipping. Waits for the device.
    ///
    /// # Errors
    /// Device errors.
    pub fn grad_norm<M: Parameters<B>>(
        &mut self,
        be: &mut B,
        model: &mut M,
    ) -> Result<f64, Error<B::Error>> {
        self.measure(be, model)?;
        let mut sum = [AccumOf::<B>::default()];
        be.read::<Acc>(&self.sum_sq, 0, &mut sum)?;
        Ok(libm::sqrt(sum[0].f64()))
    }

    fn measure<M: Parameters<B>>(
        &mut self,
        be: &mut B,
        model: &mut M,
    ) -> Result<(), Error<B::Error>> {
        let (sum_sq, mut store) = (&mut self.sum_sq, Store::Replace);
        model.visit(be, &mut |be, _, p| {
            if p.trained() {
                be.sum_sq(&p.grad, store, sum_sq)?;
                store = Store::Add;
            }
            Ok(())
        })
    }
}

/// What is the same for all parameters in one step, in what the device sums in: the moments' shares
/// are 1 − β there, too.
struct OfStep<A> {
    /// The schedule's factor.
    factor: A,
    /// 1 − β₁ᵗ.
    first: A,
    /// 1 / √(1 − β₂ᵗ).
    root: A,
}

impl<A: Accum> OfStep<A> {
    fn new(training: &Training, steps: u64) -> Self {
        let (factor, one) = (training.schedule.factor(steps), A::whole(1));
        let Rule::AdamW(AdamW { beta1, beta2, .. }) = training.rule else {
            return Self { factor, first: one, root: one };
        };
        let grown = |beta| grown(one - A::of(beta), steps + 1);
        Self { factor, first: grown(beta1), root: one / grown(beta2).sqrt() }
    }
}

fn update<B: Backend>(
    be: &mut B,
    training: &Training,
    of_step: &OfStep<AccumOf<B>>,
    clip: Option<Clip<'_, B>>,
    p: &mut Param<B>,
) -> Result<(), B::Error> {
    let of = AccumOf::<B>::of;
    let (lr, decay) = (of(training.top(p.slot)) * of_step.factor, of(training.decay(p.slot)));
    let (grad, value, moments) = p.training();
    match (training.rule, moments) {
        (Rule::AdamW(AdamW { beta1, beta2, eps }), [m, v]) => {
            let step = AdamWStep {
                beta1: of(beta1),
                beta2: of(beta2),
                eps: of(eps),
                decay: AccumOf::<B>::whole(1) - lr * decay,
                rate: lr / of_step.first,
                root: of_step.root,
            };
            be.adamw(step, clip, grad, value, m, v)
        }
        (rule, moments) => {
            let momentum = if let Rule::Sgd { momentum } = rule { momentum } else { 0.0 };
            let step = SgdStep { rate: lr, momentum: of(momentum), decay };
            be.sgd(step, clip, grad, value, moments.first_mut())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "details")]
    type R = Result<(), Error<crate::error::ShapeError>>;

    #[test]
    #[cfg(feature = "details")]
    fn settings_out_of_range_are_named() {
        let bad = [
            ("lr", Training { lr: -1.0, ..Training::default() }),
            ("clip", Training { clip: Some(0.0), ..Training::default() }),
            ("momentum", Training { rule: Rule::Sgd { momentum: 1.0 }, ..Training::default() }),
            ("weight_decay", Training { weight_decay: f64::NAN, ..Training::default() }),
        ];
        for (name, training) in bad {
            let r: R = training.check();
            assert!(matches!(r, Err(Error::OutOfRange { what, .. }) if what == name), "{name}");
        }
        let fine: R = Training::default().check();
        assert_eq!(fine, Ok(()));
    }

    #[test]
    fn magnitudes_have_their_own_rate_and_never_decay() {
        let t = Training { lr_magnitude: Some(0.5), weight_decay: 0.1, ..Training::default() };
        assert_eq!((t.top(Slot::Magnitude), t.top(Slot::LoraA)), (0.5, 1e-3));
        assert_eq!((t.decay(Slot::Magnitude), t.decay(Slot::Bias)), (0.0, 0.0));
        assert_eq!((t.decay(Slot::LoraB), t.decay(Slot::Weight)), (0.1, 0.1));
    }
}
