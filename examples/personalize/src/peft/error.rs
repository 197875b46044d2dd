//! What can be wrong with an adapter's files, named by what was found and what was expected.

use core::fmt;
use std::io;
use std::path::PathBuf;

/// Why an adapter cannot be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum PeftError {
    /// It was made on another base network.
    Base {
        /// The fingerprint in the file.
        found: u64,
        /// That of this network.
        expected: u64,
    },
    /// The fingerprint of the base is none.
    Fingerprint {
        /// What stands in its place.
        found: String,
    },
    /// The name of a tensor has characters that this format cannot have as they are.
    Name {
        /// Which tensor.
        tensor: String,
    },
    /// A file cannot be read or written.
    File {
        /// "read" or "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is shorter than the 8 bytes that say how long its header is.
    NoHeader {
        /// Its length in bytes.
        found: usize,
    },
    /// The header is longer than the file, or than a header may be.
    HeaderLength {
        /// Bytes, by the first 8 bytes of the file.
        found: u64,
        /// The most it can be.
        expected: usize,
    },
    /// The header or the configuration is not the JSON it should be.
    Json {
        /// Which of them.
        what: &'static str,
        /// What is wrong, and where.
        message: String,
    },
    /// A tensor overlaps another, leaves a gap, or ends beyond the file.
    Offsets {
        /// Which tensor.
        tensor: String,
        /// First byte, and one past the last, in the data.
        found: (usize, usize),
        /// The same, by the tensor before it and by its own shape.
        expected: (usize, usize),
        /// Bytes of data in the file.
        available: usize,
    },
    /// The file goes on after the last tensor.
    Trailing {
        /// Bytes of data in the file.
        found: usize,
        /// Bytes of all tensors.
        expected: usize,
    },
    /// A tensor in another format than F32.
    Dtype {
        /// Which tensor.
        tensor: String,
        /// Its format.
        found: String,
    },
    /// A tensor of another shape than it should have.
    Shape {
        /// Which tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that fits, in words or numbers.
        expected: String,
    },
    /// A tensor that should be there is not.
    Missing {
        /// Which tensor, or for which module.
        tensor: String,
    },
    /// A tensor that nothing asks for.
    Unexpected {
        /// Which tensor.
        tensor: String,
        /// What is expected instead.
        expected: String,
    },
    /// An element is infinite or not a number.
    NonFinite {
        /// In which tensor.
        tensor: String,
        /// Where, counted from 0, row after row.
        index: usize,
    },
    /// A field of the configuration has a value that this program cannot work with.
    Config {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl fmt::Display for PeftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base { found, expected } => {
                write!(f, "adapter: found one of base {found:016x}, expected {expected:016x}")
            }
            Self::Fingerprint { found } => {
                write!(f, "adapter: found base {found:?}, expected 16 hexadecimal digits")
            }
            Self::Name { tensor } => {
                write!(f, "adapter: found the name {tensor:?}, expected plain text")
            }
            Self::File { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::NoHeader { found } => {
                write!(f, "adapter: found {found} bytes, expected at least 8 before a header")
            }
            Self::HeaderLength { found, expected } => {
                write!(f, "adapter: found a header of {found} bytes, expected at most {expected}")
            }
            Self::Json { what, message } => write!(f, "adapter: {what}: {message}"),
            Self::Offsets { tensor, found: (a, b), expected: (c, d), available } => write!(
                f,
                "adapter: {tensor}: found bytes {a} to {b}, expected {c} to {d} of {available}"
            ),
            Self::Trailing { found, expected } => {
                write!(f, "adapter: found {found} bytes of data, expected {expected}")
            }
            Self::Dtype { tensor, found } => {
                write!(f, "adapter: {tensor}: found {found}, expected F32")
            }
            Self::Shape { tensor, found, expected } => {
                write!(f, "adapter: {tensor}: found shape {found:?}, expected {expected}")
            }
            Self::Missing { tensor } => write!(f, "adapter: found no {tensor}, expected one"),
            Self::Unexpected { tensor, expected } => {
                write!(f, "adapter: found {tensor}, expected {expected}")
            }
            Self::NonFinite { tensor, index } => write!(
                f,
                "adapter: {tensor}: element {index} is infinite or not a number, expected a finite one"
            ),
            Self::Config { field, found, expected } => {
                write!(f, "adapter: {field}: found {found}, expected {expected}")
            }
        }
    }
}

impl core::error::Error for PeftError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}
