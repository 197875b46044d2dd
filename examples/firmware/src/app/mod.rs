//! The programs: what the device does from power-on to the end.

pub mod checks;
mod error;
mod keep;
pub mod personalize;
pub mod table;

pub use error::AppError;

/// All memory there is: RAM, and the parts of the flash that are written.
#[derive(Debug)]
pub struct Memory<'m> {
    /// [`ARENA`](crate::setup::ARENA) words.
    pub arena: &'m mut [f32],
    /// [`ADAPTER`](crate::flash::ADAPTER) bytes.
    pub adapter: &'m mut [u8],
    /// [`CHECKPOINT`](crate::flash::CHECKPOINT) bytes.
    pub checkpoint: &'m mut [u8],
    /// [`MERGED`](crate::flash::MERGED) bytes.
    pub merged: &'m mut [u8],
}

/// What the device finds when it comes with an adapter or a checkpoint from elsewhere.
pub const INCOMING: &str = "incoming.safetensors";
/// The checkpoint half way.
pub const HALFWAY: &str = "halfway.safetensors";
/// The last checkpoint.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The adapter, as PEFT names it.
pub const ADAPTER: &str = "adapter_model.safetensors";
/// The network with the adapter merged into it.
pub const MERGED: &str = "merged.safetensors";
