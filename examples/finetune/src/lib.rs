//! Fine-tunes Hugging Face models with DoRA and LoRA: the library behind the command `decora`.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test stops at the first surprise"))]

pub mod batch;
pub mod checkpoint;
pub mod data;
pub mod error;
pub mod memory;
pub mod metrics;
pub mod options;
pub mod progress;
pub mod stop;

pub use error::Error;
