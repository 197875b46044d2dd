//! Fine-tunes Hugging Face models with DoRA and LoRA: the library behind the command `decora`.

#![forbid(unsafe_code)]

pub mod batch;
pub mod data;
pub mod options;
