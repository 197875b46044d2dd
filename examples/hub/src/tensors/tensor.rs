//! A tensor in a file.

use std::path::Path;

use bytemuck::{Pod, try_cast_slice};
use decora::safetensors::Dtype;
use decora::{bf16, f16};

use super::values::{Source, Values};
use crate::HubError;

/// What weights can be made of.
pub(super) const FORMATS: &str = "F32, F16 or BF16";

/// A tensor in a file, row after row, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    pub(super) path: &'a Path,
    pub(super) name: &'a str,
    pub(super) dtype: Dtype,
    pub(super) shape: &'a [usize],
    pub(super) data: &'a [u8],
    /// Where the bytes begin in the file.
    pub(super) start: usize,
}

impl<'a> Tensor<'a> {
    /// The file it is in.
    #[must_use]
    pub const fn path(&self) -> &'a Path {
        self.path
    }

    /// Its name in the file.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// What its elements are.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its dimensions, outermost first.
    #[must_use]
    pub const fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Its bytes.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Where its bytes begin in the file.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// The same when it has this shape.
    ///
    /// # Errors
    /// [`HubError::Tensor`], with both shapes.
    pub fn of_shape(self, expected: &[usize]) -> Result<Self, HubError> {
        match self.shape == expected {
            true => Ok(self),
            false => Err(self.wrong(format!("shape {:?}", self.shape), format!("{expected:?}"))),
        }
    }

    /// The elements: where they lie in the file, when they are aligned there as their type must be.
    ///
    /// # Errors
    /// [`HubError::Tensor`] for elements that are not `F32`, `F16` or `BF16`.
    pub fn values(&self) -> Result<Values<'a>, HubError> {
        self.values_of(self.data)
    }

    /// The elements in bytes of this tensor that were read from its file.
    pub(crate) fn values_of<'b>(&self, data: &'b [u8]) -> Result<Values<'b>, HubError> {
        match self.dtype {
            Dtype::F32 => Ok(Values::F32(elements(data, f32::from_le_bytes))),
            Dtype::F16 => Ok(Values::F16(elements(data, f16::from_le_bytes))),
            Dtype::Bf16 => Ok(Values::Bf16(elements(data, bf16::from_le_bytes))),
            other => Err(self.wrong(other.name(), FORMATS)),
        }
    }

    /// The elements as `f32`, all of them finite.
    ///
    /// # Errors
    /// As [`Tensor::values`], and [`HubError::Tensor`] with the first element that is infinite or not a
    /// number.
    pub fn finite(&self) -> Result<Vec<f32>, HubError> {
        let values = self.values()?.to_f32();
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(i) => Err(self.wrong(
                format!("element {i} infinite or not a number"),
                "finite numbers: train again, or take another file",
            )),
        }
    }

    /// The error that names this tensor.
    pub(crate) fn wrong(&self, found: impl Into<String>, expected: impl Into<String>) -> HubError {
        HubError::tensor(self.path, self.name, found, expected)
    }
}

fn elements<T: Pod, const N: usize>(data: &[u8], read: fn([u8; N]) -> T) -> Source<'_, T> {
    match try_cast_slice(data) {
        Ok(there) if cfg!(target_endian = "little") => Source::Borrowed(there),
        _ => Source::Owned(data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()),
    }
}
