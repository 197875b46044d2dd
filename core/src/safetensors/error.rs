//! What can be wrong with a file, named by what was found and what was expected.

use core::fmt;

use crate::frozen::FrozenError;

use super::{Dtype, MAX_DIMENSIONS};

/// Why bytes are no file of tensors, or a tensor not the one that is needed. `tensor` counts the
/// tensors from 0, in the order of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FileError {
    /// More dimensions than [`MAX_DIMENSIONS`], or, for a matrix, another number than 2.
    Dimensions {
        /// Which tensor.
        tensor: usize,
        /// Its dimensions.
        found: usize,
        /// How many it can have.
        expected: usize,
    },
    /// A format that is not known here.
    Dtype {
        /// Which tensor.
        tensor: usize,
    },
    /// A second tensor or key of metadata with the same name.
    Duplicate {
        /// Which tensor; of metadata, the one after it.
        tensor: usize,
    },
    /// A weight that no layer can be made of.
    Frozen(FrozenError),
    /// The header is longer than the rest of the file.
    HeaderLength {
        /// Its length in bytes, by the first 8 bytes.
        found: u64,
        /// Bytes in the rest of the file.
        expected: usize,
    },
    /// The header is not the JSON it should be.
    Json {
        /// How many tensors before the trouble.
        tensor: usize,
    },
    /// A view of the data is asked for where only copies can be made: the bytes do not lie where
    /// such elements can be read, or this machine has its bytes in another order.
    Misaligned {
        /// Which tensor.
        tensor: usize,
    },
    /// Values are asked for of a format that holds no floating-point numbers.
    NoFloat {
        /// Which tensor.
        tensor: usize,
        /// Its format.
        found: Dtype,
    },
    /// The file is shorter than the 8 bytes that say how long its header is.
    NoHeader {
        /// Its length in bytes.
        found: usize,
    },
    /// A tensor ends before it begins, or beyond the file, or has another number of bytes than its
    /// shape asks for.
    Offsets {
        /// Which tensor.
        tensor: usize,
        /// First byte, and one past the last, in the data.
        found: (u64, u64),
        /// Bytes by its shape; `None` for more than a file can have.
        expected: Option<usize>,
        /// Bytes of data in the file.
        available: usize,
    },
    /// Bytes of the data belong to no tensor, or to several.
    Overlap {
        /// The first such byte, or the last boundary before it.
        at: usize,
        /// Bytes of data in the file.
        available: usize,
    },
    /// A name with an escape or a control character: names are compared as they stand.
    Text {
        /// Which tensor; of metadata, the one after it.
        tensor: usize,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor file: ")?;
        match *self {
            Self::Dimensions { tensor, found, expected: MAX_DIMENSIONS } => {
                write!(f, "tensor {tensor}: found {found} dimensions, expected at most ")?;
                write!(f, "{MAX_DIMENSIONS}")
            }
            Self::Dimensions { tensor, found, expected } => {
                write!(f, "tensor {tensor}: found {found} dimensions, expected {expected}")
            }
            Self::Dtype { tensor } => {
                write!(f, "tensor {tensor}: found an unknown dtype, expected F64, F32, F16 or BF16")
            }
            Self::Duplicate { tensor } => {
                write!(f, "tensor {tensor}: found its name twice, expected it once")
            }
            Self::Frozen(e) => e.fmt(f),
            Self::HeaderLength { found, expected } => {
                write!(f, "found a header of {found} bytes, expected at most {expected}")
            }
            Self::Json { tensor } => {
                write!(f, "found no JSON of this format in the header, after {tensor} tensors")
            }
            Self::Misaligned { tensor } => {
                write!(f, "tensor {tensor}: found bytes that cannot be used in place, ")?;
                f.write_str("expected them aligned and little-endian")
            }
            Self::NoFloat { tensor, found } => {
                let found = found.name();
                write!(f, "tensor {tensor}: found {found}, expected F64, F32, F16 or BF16")
            }
            Self::NoHeader { found } => {
                write!(f, "found {found} bytes, expected at least 8 before a header")
            }
            Self::Offsets { tensor, found: (from, to), expected, available } => {
                write!(f, "tensor {tensor}: found bytes {from} to {to}, expected ")?;
                match expected {
                    Some(bytes) => write!(f, "{bytes} bytes of {available}"),
                    None => write!(f, "a shape that fits {available} bytes"),
                }
            }
            Self::Overlap { at, available } => {
                write!(f, "found a gap or an overlap in the data at byte {at}, expected tensors ")?;
                write!(f, "side by side over {available} bytes")
            }
            Self::Text { tensor } => {
                write!(f, "tensor {tensor}: found an escape in its name, expected plain text")
            }
        }
    }
}

impl core::error::Error for FileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Frozen(e) => Some(e),
            _ => None,
        }
    }
}
