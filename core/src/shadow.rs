//! A copy of a training run on the host, to go on from when its device is lost.

use core::fmt;
use core::ops::DerefMut;

use crate::backend::{AccumOf, Backend};
use crate::buffer::Acc;
use crate::error::{Detail, Error, Shape};
use crate::optim::Optimizer;
use crate::param::{Param, Parameters};
use crate::scalar::{Accum, Scalar};
use crate::spec::Plan;

/// Why a shadow was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// It was never taken.
    Empty,
    /// It is that of a model with other parameters.
    OtherModel {
        /// Parameters, and numbers in all of them, of the shadow.
        found: Detail<Shape>,
        /// The same of the model.
        expected: Detail<Shape>,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("shadow: found none, expected one taken before"),
            Self::OtherModel { found, expected } => {
                f.write_str("shadow: found that of another model")?;
                let (Some(found), Some(expected)) = (found.get(), expected.get()) else {
                    return Ok(());
                };
                write!(f, " ({} parameters, ", found.0)?;
                write!(f, "{} numbers), expected {} and {}", found.1, expected.0, expected.1)
            }
        }
    }
}

/// All that training needs to go on: values and moments of every parameter, and the number
/// of steps taken. Gradients and gains are not part of it: the next step makes them anew.
///
/// Values move by [`Backend::read`] and [`Backend::write`] alone, so that what was taken from one
/// device can be restored to another, of the same kind or not, as long as both sum in the same type.
/// A run that is restored and given the same batches again ends in the same bits as one that was
/// never interrupted, when both devices are of one kind.
///
/// ```text
/// let mut room = [0.0f32; shadow::words(&PLANS)];
/// let mut shadow = Shadow::new(&mut room[..], 50);
/// loop {
///     if shadow.due(optimizer.steps()) {
///         shadow.take(&mut be, &mut model, &optimizer)?;
///     }
///     // A training step. When it answers `ErrorKind::Lost`: make device, model and optimiser anew,
///     // then `shadow.restore(&mut be, &mut model, &mut optimizer)?`, and go on at
///     // `optimizer.steps()`.
/// }
/// ```
///
/// `R` is the memory, lent or owned: `&mut [f32]`, or a `Vec` where there is a heap. It is used in
/// two halves, one for the last copy and one for the next: a copy that fails half way, because the
/// device is lost or a value is not finite, leaves the last one as it is.
#[derive(Debug)]
pub struct Shadow<R> {
    room: R,
    every: u64,
    /// Which half has the last copy.
    upper: bool,
    taken: Option<Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    steps: u64,
    form: Form,
}

/// What parameters a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    /// How many parameters.
    parameters: usize,
    /// Numbers in all of them, moments counted.
    numbers: usize,
    /// Layer, slot, shape and moments of each, in their order.
    hash: u64,
}

/// Words of room for the shadow of a network with these plans.
#[must_use]
pub const fn words(plans: &[Plan]) -> usize {
    let (mut words, mut i) = (0, 0);
    while i < plans.len() {
        let Plan { out, inputs, bias, spec, moments, .. } = plans[i];
        let copies = 1 + if moments < 2 { moments } else { 2 };
        words += 2 * (copies * spec.trained(out, inputs, bias) + spec.constant(inputs));
        i += 1;
    }
    words
}

/// As [`words`], of the model itself.
///
/// # Errors
/// None of its own.
pub fn words_of<B: Backend, M: Parameters<B>>(
    be: &mut B,
    model: &mut M,
) -> Result<usize, Error<B::Error>> {
    Ok(2 * Form::of(be, model)?.numbers)
}

impl<A: Accum, R: DerefMut<Target = [A]>> Shadow<R> {
    /// An empty shadow, to be taken every so many steps; 0 for never. See [`words`] for how much
    /// room it takes.
    #[must_use]
    pub const fn new(room: R, every: u64) -> Self {
        Self { room, every, upper: false, taken: None }
    }

    /// After how many steps the last copy was taken.
    #[must_use]
    pub fn steps(&self) -> Option<u64> {
        self.taken.map(|taken| taken.steps)
    }

    /// Whether it is time for a copy, after `steps` steps: before the first one, too.
    #[must_use]
    pub fn due(&self, steps: u64) -> bool {
        self.every > 0 && steps.is_multiple_of(self.every) && self.steps() != Some(steps)
    }

    /// Copies all that `model` and `optimizer` need to go on. Waits for the device. Best between two
    /// steps, when the gains are out of date anyway.
    ///
    /// # Errors
    /// [`Error::Capacity`] for too little room, [`Error::NonFinite`] for a value that no training
    /// comes back from, naming the parameter; device errors. The last copy is kept by all of them.
    pub fn take<B, M>(
        &mut self,
        be: &mut B,
        model: &mut M,
        optimizer: &Optimizer<B>,
    ) -> Result<(), Error<B::Error>>
    where
        B: Backend<Scalar: Scalar<Accum = A>>,
        M: Parameters<B>,
    {
        let form = Form::of(be, model)?;
        let (found, expected) = (form.numbers, self.room.len() / 2);
        if found > expected {
            return Err(Error::capacity("numbers in a shadow", found, expected));
        }
        let (lower, upper) = self.room.split_at_mut(expected);
        let mut spare = if self.upper { lower } else { upper };
        model.visit(be, &mut |be, _, p| {
            for buf in core::iter::once(p.value()).chain(&p.moments) {
                let to = spare.split_off_mut(..p.count()).unwrap_or_default();
                be.read::<Acc>(buf, 0, to)?;
                finite(p, to)?;
            }
            Ok(())
        })?;
        self.upper = !self.upper;
        self.taken = Some(Taken { steps: optimizer.steps(), form });
        Ok(())
    }

    /// Makes `model` and `optimizer` what they were when the copy was taken. Gains follow at the
    /// next forward pass.
    ///
    /// # Errors
    /// [`Error::Shadow`] when there is no copy, or one of a model with other parameters: then
    /// nothing is written. Device errors, which leave the model to be restored again.
    pub fn restore<B, M>(
        &self,
        be: &mut B,
        model: &mut M,
        optimizer: &mut Optimizer<B>,
    ) -> Result<(), Error<B::Error>>
    where
        B: Backend<Scalar: Scalar<Accum = A>>,
        M: Parameters<B>,
    {
        let Taken { steps, form } = self.taken.ok_or(Error::Shadow(Fault::Empty))?;
        form.fits(Form::of(be, model)?).map_err(Error::Shadow)?;
        let (lower, upper) = self.room.split_at(self.room.len() / 2);
        let mut kept = if self.upper { upper } else { lower };
        model.visit(be, &mut |be, _, p| {
            let count = p.count();
            let (_, value, moments) = p.training();
            for buf in core::iter::once(value).chain(moments) {
                be.write::<Acc>(buf, 0, kept.split_off(..count).unwrap_or_default())?;
            }
            Ok(())
        })?;
        optimizer.resume_at(steps);
        Ok(())
    }
}

fn finite<B: Backend>(p: &Param<B>, values: &[AccumOf<B>]) -> Result<(), Error<B::Error>> {
    let cols = p.shape().1.max(1);
    match values.iter().position(|x| !x.finite()) {
        None => Ok(()),
        Some(i) => Err(Error::non_finite(p.slot.peft_name(), i / cols, i % cols)),
    }
}

impl Form {
    fn of<B: Backend, M: Parameters<B>>(
        be: &mut B,
        model: &mut M,
    ) -> Result<Self, Error<B::Error>> {
        let mut form = Self { parameters: 0, numbers: 0, hash: 0xCBF2_9CE4_8422_2325 };
        model.visit(be, &mut |_, layer, p| {
            form.add(layer, p);
            Ok(())
        })?;
        Ok(form)
    }

    fn add<B: Backend>(&mut self, layer: usize, p: &Param<B>) {
        let ((rows, cols), copies) = (p.shape(), 1 + p.moments.len());
        self.parameters += 1;
        self.numbers += copies * p.count();
        for part in [layer, p.slot as usize, rows, cols, copies] {
            // FNV-1a, a word at a time.
            self.hash = (self.hash ^ part as u64).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn fits(self, model: Self) -> Result<(), Fault> {
        let of = |form: Self| (form.parameters, form.numbers);
        match self == model {
            true => Ok(()),
            false => Err(Fault::OtherModel { found: of(self).into(), expected: of(model).into() }),
        }
    }
}
