//! What can go wrong on a CPU: too little memory, and operands that do not fit each other.

use core::fmt;

use decora::error::{Detail, DeviceError, ErrorKind, ShapeError};

/// The errors of the CPU backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CpuError {
    /// A frozen weight in a storage format this version does not read.
    Format,
    /// The arena is used up.
    OutOfMemory {
        /// Words that were asked for; a word is one [`Scalar::Accum`](decora::scalar::Scalar::Accum).
        asked: Detail<usize>,
        /// Words that are left.
        left: Detail<usize>,
    },
    /// Operands do not fit each other.
    Shape(ShapeError),
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("frozen weight in a format that this version cannot read"),
            Self::OutOfMemory { asked, left } => {
                write!(f, "out of memory: {asked} words asked for, {left} left in the arena")
            }
            Self::Shape(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for CpuError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Format | Self::OutOfMemory { .. } => None,
            Self::Shape(e) => Some(e),
        }
    }
}

impl From<ShapeError> for CpuError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl DeviceError for CpuError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Format => ErrorKind::Other,
            Self::OutOfMemory { .. } => ErrorKind::OutOfMemory,
            Self::Shape(_) => ErrorKind::Shape,
        }
    }
}
