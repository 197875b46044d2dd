//! A tensor in a file.

use bytemuck::try_cast_slice;
use half::{bf16, f16};

use crate::frozen::{Format, Frozen};
use crate::scalar::{Accum, Element};

use super::{Dtype, FileError};

/// The most dimensions a tensor can have here.
pub const MAX_DIMENSIONS: usize = 4;

/// The sizes of a tensor's dimensions, at most [`MAX_DIMENSIONS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dims {
    sizes: [usize; MAX_DIMENSIONS],
    count: usize,
}

impl Dims {
    /// These sizes; `None` for too many.
    #[must_use]
    pub fn new(sizes: &[usize]) -> Option<Self> {
        let mut dims = Self { count: sizes.len(), ..Self::default() };
        for (to, size) in dims.sizes.get_mut(..sizes.len())?.iter_mut().zip(sizes) {
            *to = *size;
        }
        Some(dims)
    }

    /// The sizes, outermost first.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        self.sizes.get(..self.count).unwrap_or_default()
    }

    /// Their product; `None` for more than memory can have.
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        self.as_slice().iter().try_fold(1usize, |product, &n| product.checked_mul(n))
    }
}

/// A tensor in the bytes of a file, row after row, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    pub(super) index: usize,
    pub(super) name: &'a str,
    pub(super) dtype: Dtype,
    pub(super) dims: Dims,
    pub(super) data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// Its place among the tensors of the header, from 0: what errors name it by.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// What its elements are.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The sizes of its dimensions.
    #[must_use]
    pub const fn dims(&self) -> &Dims {
        &self.dims
    }

    /// Its bytes.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.bytes().max(1)
    }

    /// No elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Element `i`, exact but for `f64` in `f32`, wherever its bytes lie; `None` beyond the end, and
    /// for formats that are no floating-point numbers.
    #[must_use]
    #[inline(never)]
    pub fn value<A: Accum>(&self, i: usize) -> Option<A> {
        match self.dtype {
            Dtype::F64 => self.element(i).map(|b| f64::from_le_bytes(b).load()),
            Dtype::F32 => self.element(i).map(|b| f32::from_le_bytes(b).load()),
            Dtype::F16 => self.element(i).map(|b| f16::from_le_bytes(b).load()),
            Dtype::Bf16 => self.element(i).map(|b| bf16::from_le_bytes(b).load()),
            _ => None,
        }
    }

    /// Every element, as [`value`](Tensor::value) gives it.
    ///
    /// # Errors
    /// [`FileError::NoFloat`].
    pub fn values<A: Accum>(self) -> Result<impl Iterator<Item = A> + 'a, FileError> {
        match self.dtype.is_float() {
            true => Ok((0..self.len()).map_while(move |i| self.value(i))),
            false => Err(self.no_float()),
        }
    }

    /// The elements where they lie.
    ///
    /// # Errors
    /// [`FileError::NoFloat`]; [`FileError::Misaligned`] when the bytes cannot be used in place: a
    /// file keeps its data aligned to 8 bytes when its own first byte is.
    pub fn in_place(&self) -> Result<Format<'a>, FileError> {
        let format = match self.dtype {
            _ if cfg!(target_endian = "big") => None,
            Dtype::F64 => try_cast_slice(self.data).ok().map(Format::F64),
            Dtype::F32 => try_cast_slice(self.data).ok().map(Format::F32),
            Dtype::F16 => try_cast_slice(self.data).ok().map(Format::F16),
            Dtype::Bf16 => try_cast_slice(self.data).ok().map(Format::Bf16),
            _ => return Err(self.no_float()),
        };
        format.ok_or(FileError::Misaligned { tensor: self.index })
    }

    /// A matrix as a frozen weight, where it lies.
    ///
    /// # Errors
    /// As [`in_place`](Tensor::in_place); [`FileError::Dimensions`] for a tensor that is no matrix,
    /// [`FileError::Frozen`] when an element is infinite or not a number.
    pub fn frozen(&self) -> Result<Frozen<'a>, FileError> {
        let &[rows, cols] = self.dims.as_slice() else {
            let (tensor, found) = (self.index, self.dims.count);
            return Err(FileError::Dimensions { tensor, found, expected: 2 });
        };
        Frozen::new(rows, cols, self.in_place()?).map_err(FileError::Frozen)
    }

    fn element<const N: usize>(&self, i: usize) -> Option<[u8; N]> {
        self.data.as_chunks().0.get(i).copied()
    }

    fn no_float(&self) -> FileError {
        FileError::NoFloat { tensor: self.index, found: self.dtype }
    }
}
