//! Files of tensors in the safetensors format: mapped into memory, checked as a whole, read by name.
//!
//! A file is the length of its header (`u64`), the header (JSON) and the data.

mod array;
mod file;
mod header;
mod layout;
mod map;
mod tensor;
mod values;

pub use array::{Array, Arrays, write};
pub use decora::safetensors::Dtype;
pub use file::TensorFile;
pub use layout::Layout;
pub use tensor::Tensor;
pub use values::Values;

/// The longest header that readers of this format accept.
const MAX_HEADER: usize = 100_000_000;
