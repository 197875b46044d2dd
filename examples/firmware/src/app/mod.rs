//! The program: what the device does from power-on to the end.

mod checks;
mod error;
mod keep;
mod personalize;
mod table;

pub use error::AppError;

use crate::board::Board;

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

/// Adapts to the owner, or takes what came from elsewhere; then checks what must hold, and measures
/// each setup.
///
/// # Errors
/// [`AppError`]: what no device can go on after. What one can go on after is logged as refused.
pub fn run<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    if !personalize::run(board, memory)? {
        return Ok(());
    }
    checks::run(board, memory)?;
    table::run(board, memory)
}
