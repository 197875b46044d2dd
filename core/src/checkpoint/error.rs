//! Why a model cannot be written to a file, or a file not be read into a model.

use core::fmt;

use crate::error::Error;
use crate::safetensors::{Dims, Dtype};

use super::Key;

/// What is wrong with the names of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ModulesError {
    /// A name with a quotation mark, a backslash or a control character.
    NotPlain {
        /// Of which layer.
        layer: usize,
    },
    /// Fewer names than layers.
    TooFew {
        /// How many names.
        found: usize,
        /// How many layers at least.
        expected: usize,
    },
    /// Two layers have the same name.
    Twice,
}

impl fmt::Display for ModulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names of modules: ")?;
        match self {
            Self::NotPlain { layer } => {
                write!(f, "layer {layer}: found one that JSON must escape, expected plain text")
            }
            Self::TooFew { found, expected } => {
                write!(f, "found {found}, expected {expected}, one for each layer")
            }
            Self::Twice => f.write_str("found one twice, expected another for each layer"),
        }
    }
}

impl core::error::Error for ModulesError {}

/// Why a model cannot be written: `D` is the error of the device, `S` that of the sink.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SaveError<D, S> {
    /// What the model or its device answered.
    Model(Error<D>),
    /// Names that no file can be made with.
    Modules(ModulesError),
    /// What the sink answered.
    Sink(S),
}

impl<D: fmt::Display, S: fmt::Display> fmt::Display for SaveError<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(e) => e.fmt(f),
            Self::Modules(e) => e.fmt(f),
            Self::Sink(e) => e.fmt(f),
        }
    }
}

impl<D, S> core::error::Error for SaveError<D, S>
where
    D: core::error::Error + 'static,
    S: core::error::Error + 'static,
{
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Model(e) => Some(e),
            Self::Modules(e) => Some(e),
            Self::Sink(e) => Some(e),
        }
    }
}

impl<D, S> From<Error<D>> for SaveError<D, S> {
    fn from(e: Error<D>) -> Self {
        Self::Model(e)
    }
}

impl<D, S> From<ModulesError> for SaveError<D, S> {
    fn from(e: ModulesError) -> Self {
        Self::Modules(e)
    }
}

/// Why a file was not read into a model: `D` is the error of the device.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LoadError<D> {
    /// It was made on another base.
    Base {
        /// The fingerprint in the file.
        found: u64,
        /// That of the model's base.
        expected: u64,
    },
    /// A tensor in a format that holds no floating-point numbers.
    Dtype {
        /// Which tensor.
        key: Key,
        /// Its format.
        found: Dtype,
    },
    /// Metadata that is no number of the form it should have.
    Metadata {
        /// Under which key.
        key: &'static str,
    },
    /// A tensor that should be there is not.
    Missing {
        /// Which tensor.
        key: Key,
    },
    /// What the model or its device answered.
    Model(Error<D>),
    /// Names that do not fit the model.
    Modules(ModulesError),
    /// A tensor of another shape than the model's.
    Shape {
        /// Which tensor.
        key: Key,
        /// Its dimensions.
        found: Dims,
        /// Those that fit.
        expected: Dims,
    },
    /// A tensor that the model has no place for.
    Unexpected {
        /// Its number in the file, from 0.
        tensor: usize,
    },
    /// An element that training never has: infinite, not a number, or a negative second moment.
    Value {
        /// In which tensor.
        key: Key,
        /// Where, counted from 0, row after row.
        index: usize,
    },
}

impl<D: fmt::Display> fmt::Display for LoadError<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base { found, expected } => {
                write!(f, "found an adapter of base {found:016x}, expected one of {expected:016x}")
            }
            Self::Dtype { key, found } => {
                write!(f, "{key}: found {}, expected F64, F32, F16 or BF16", found.name())
            }
            Self::Metadata { key } => {
                write!(f, "metadata {key}: found text, expected a number in its usual form")
            }
            Self::Missing { key } => write!(f, "{key}: found no tensor, expected one"),
            Self::Model(e) => e.fmt(f),
            Self::Modules(e) => e.fmt(f),
            Self::Shape { key, found, expected } => {
                let (found, expected) = (found.as_slice(), expected.as_slice());
                write!(f, "{key}: found shape {found:?}, expected {expected:?}")
            }
            Self::Unexpected { tensor } => {
                write!(f, "tensor {tensor} of the file: found one more than the model has, ")?;
                f.write_str("expected none")
            }
            Self::Value { key, index } => {
                write!(f, "{key}: element {index} is infinite, not a number, or a negative square")
            }
        }
    }
}

impl<D: core::error::Error + 'static> core::error::Error for LoadError<D> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Model(e) => Some(e),
            Self::Modules(e) => Some(e),
            _ => None,
        }
    }
}

impl<D> From<Error<D>> for LoadError<D> {
    fn from(e: Error<D>) -> Self {
        Self::Model(e)
    }
}

impl<D> From<ModulesError> for LoadError<D> {
    fn from(e: ModulesError) -> Self {
        Self::Modules(e)
    }
}
