//! Files of tensors, in the safetensors format, without a heap: checked and read in place, and
//! written piece by piece.
//!
//! A file is the length of its header (8 bytes, little-endian), the header (JSON: for each tensor
//! its format, shape, and first and last byte in the data; perhaps text by keys under
//! `__metadata__`), and the data.
//!
//! ```text
//! let file = File::parse(bytes)?;                      // Everything is checked here.
//! let w = file.tensor("layers.0.weight")?.frozen()?;   // In place, as out of flash.
//! ```
//!
//! Nothing of the header is kept: every look-up walks it again. That suits the tens of tensors of a
//! device's network; [`File::parse`] takes one walk for a file in the order that the format's own
//! library writes, and at worst one for each tensor.

mod check;
mod dtype;
mod error;
mod file;
mod header;
mod json;
mod tensor;
mod write;

pub use dtype::Dtype;
pub use error::FileError;
pub use file::File;
pub use tensor::{Dims, MAX_DIMENSIONS, Tensor};
pub use write::{Header, Sink, file_len, write_floats, write_header};

pub(crate) use write::{DIGITS, decimal};

/// Bytes before the header, which say how long it is.
const PREFIX: usize = size_of::<u64>();
/// The key of the metadata, which no tensor may have.
const METADATA: &str = "__metadata__";
