//! What an adapter is made of: a matrix, its gradient, and what the optimiser remembers of it.

use heapless::Vec;

use crate::backend::{AccumOf, Backend, Store};
use crate::buffer::Acc;
use crate::error::{Error, Shape, same};
use crate::mat::{Layout, Mat, MatMut};

/// Which part of a layer a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Slot {
    /// b `(out)`.
    Bias,
    /// γ `(k)` of a normalisation.
    Gain,
    /// A `(r, in)`.
    LoraA,
    /// B `(out, r)`.
    LoraB,
    /// m `(out)`.
    Magnitude,
    /// V `(out, in)`, trained as a whole.
    Weight,
}

impl Slot {
    /// The end of the tensor's name in a PEFT file, after the name of the module.
    #[must_use]
    pub const fn peft_name(self) -> &'static str {
        match self {
            Self::Bias => "bias",
            Self::Gain => "weight",
            Self::LoraA => "lora_A.weight",
            Self::LoraB => "lora_B.weight",
            Self::Magnitude => "lora_magnitude_vector",
            Self::Weight => "weight",
        }
    }

    /// How many dimensions the tensor has in a file: vectors have one.
    #[must_use]
    pub const fn dimensions(self) -> usize {
        match self {
            Self::Bias | Self::Gain | Self::Magnitude => 1,
            _ => 2,
        }
    }

    /// Whether weight decay may act on it. Never on a magnitude, which it would pull to zero and
    /// every output with it; nor on a bias or the gain of a normalisation.
    #[must_use]
    pub const fn decays(self) -> bool {
        !matches!(self, Self::Magnitude | Self::Bias | Self::Gain)
    }
}

/// A trained matrix. Everything in [`Scalar::Accum`](crate::scalar::Scalar::Accum).
#[derive(Debug)]
pub struct Param<B: Backend> {
    /// Which part of its layer it is.
    pub slot: Slot,
    /// The gradient of the loss with respect to the values; empty in a constant.
    pub grad: B::Buf<Acc>,
    /// What the optimiser remembers: nothing, momentum, or first and second moment.
    pub moments: Vec<B::Buf<Acc>, 2>,
    value: B::Buf<Acc>,
    shape: Shape,
    trained: bool,
    revision: u32,
}

/// What an optimiser needs of a parameter at once: gradient, values, moments.
pub type Training<'p, B> = (
    &'p <B as Backend>::Buf<Acc>,
    &'p mut <B as Backend>::Buf<Acc>,
    &'p mut [<B as Backend>::Buf<Acc>],
);

impl<B: Backend> Param<B> {
    /// Zeros, `(rows, cols)`, with room for a gradient and `moments` (at most 2) moments.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(be: &mut B, slot: Slot, shape: Shape, moments: usize) -> Result<Self, B::Error> {
        let len = shape.0 * shape.1;
        let (value, grad) = (be.alloc::<Acc>(len)?, be.alloc::<Acc>(len)?);
        let mut kept = Vec::new();
        for _ in 0..moments.min(2) {
            let _ = kept.push(be.alloc::<Acc>(len)?);
        }
        Ok(Self { slot, value, grad, moments: kept, shape, trained: true, revision: 0 })
    }

    /// Zeros, `(rows, cols)`, that belong to an adapter and are saved with it, but are never
    /// trained: no gradient, no moments.
    ///
    /// # Errors
    /// Out of memory.
    pub fn constant(be: &mut B, slot: Slot, shape: Shape) -> Result<Self, B::Error> {
        let (value, grad) = (be.alloc::<Acc>(shape.0 * shape.1)?, be.alloc::<Acc>(0)?);
        Ok(Self { slot, value, grad, moments: Vec::new(), shape, trained: false, revision: 0 })
    }

    /// Whether it is trained; else it is a [`constant`](Param::constant).
    #[must_use]
    pub fn trained(&self) -> bool {
        self.trained
    }

    /// Another number after every change of the values: what follows from them is out of date when
    /// this is not what it was.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The values.
    #[must_use]
    pub fn value(&self) -> &B::Buf<Acc> {
        &self.value
    }

    /// The values, to change them.
    #[must_use]
    pub fn value_mut(&mut self) -> &mut B::Buf<Acc> {
        self.revision = self.revision.wrapping_add(1);
        &mut self.value
    }

    /// Gradient, values to change, and moments.
    #[must_use]
    pub fn training(&mut self) -> Training<'_, B> {
        self.revision = self.revision.wrapping_add(1);
        (&self.grad, &mut self.value, &mut self.moments)
    }

    /// `(rows, cols)`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many numbers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shape.0 * self.shape.1
    }

    /// The values as a matrix.
    #[must_use]
    pub fn mat(&self) -> Mat<'_, B, Acc> {
        Mat { buf: &self.value, at: Layout::row_major(0, self.shape.0, self.shape.1) }
    }

    /// The gradient as a matrix.
    #[must_use]
    pub fn grad_mut(&mut self) -> MatMut<'_, B, Acc> {
        MatMut { buf: &mut self.grad, at: Layout::row_major(0, self.shape.0, self.shape.1) }
    }

    /// Values and gradient at once.
    #[must_use]
    pub fn mat_and_grad(&mut self) -> (Mat<'_, B, Acc>, MatMut<'_, B, Acc>) {
        let at = Layout::row_major(0, self.shape.0, self.shape.1);
        (Mat { buf: &self.value, at }, MatMut { buf: &mut self.grad, at })
    }

    /// Sets all values.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are as many as the parameter has; device errors.
    pub fn set(&mut self, be: &mut B, values: &[AccumOf<B>]) -> Result<(), Error<B::Error>> {
        same("parameter (elements)", (values.len(), 1), (self.count(), 1))?;
        Ok(be.write::<Acc>(self.value_mut(), 0, values)?)
    }

    /// Reads all values; waits for the device.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is room for exactly as many; device errors.
    pub fn get(&self, be: &mut B, values: &mut [AccumOf<B>]) -> Result<(), Error<B::Error>> {
        same("parameter (elements)", (values.len(), 1), (self.count(), 1))?;
        Ok(be.read::<Acc>(&self.value, 0, values)?)
    }

    /// Takes the values of `x`, `(rows, cols)`.
    ///
    /// # Errors
    /// Shape and device errors.
    pub fn copy_from(&mut self, be: &mut B, x: Mat<'_, B, Acc>) -> Result<(), B::Error> {
        let at = Layout::row_major(0, self.shape.0, self.shape.1);
        let one = num_traits::One::one();
        be.axpy(one, x, Store::Replace, MatMut { buf: self.value_mut(), at })
    }
}

/// What [`Parameters::visit`] calls for each parameter, with the number of its layer.
pub type Visitor<'v, B> =
    dyn FnMut(&mut B, usize, &mut Param<B>) -> Result<(), Error<<B as Backend>::Error>> + 'v;

/// Anything with trained parameters.
pub trait Parameters<B: Backend> {
    /// Calls `f` for each parameter, constants too, always in the same order. What depends on values
    /// that change (norms, gains) is computed anew before it is next used.
    ///
    /// # Errors
    /// The first error of `f`.
    fn visit(&mut self, be: &mut B, f: &mut Visitor<'_, B>) -> Result<(), Error<B::Error>>;

    /// How many numbers are trained.
    ///
    /// # Errors
    /// None of its own.
    fn count(&mut self, be: &mut B) -> Result<usize, Error<B::Error>> {
        let mut sum = 0;
        self.visit(be, &mut |_, _, p| {
            sum += if p.trained() { p.count() } else { 0 };
            Ok(())
        })?;
        Ok(sum)
    }
}
