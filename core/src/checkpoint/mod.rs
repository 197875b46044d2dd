//! What was trained, as a file: an adapter that PEFT reads, or a training run to go on with
//! elsewhere.
//!
//! | | adapter | checkpoint |
//! |---|---|---|
//! | values of every parameter | yes, exactly PEFT's keys | yes |
//! | moments | no | yes, under the same keys and `.exp_avg`, `.exp_avg_sq` |
//! | metadata `format` | `pt` | `pt` |
//! | metadata [`BASE`] | fingerprint of the base, when given | the same |
//! | metadata [`STEPS`] | no | steps of the optimiser |
//!
//! Keys are `base_model.model.<module>.<slot>`, with [`Slot::peft_name`]; vectors have one
//! dimension. Rank and α are no part of such a file: PEFT has them in `adapter_config.json`. Numbers
//! are `f32`, so that a run that sums in `f32` goes on in the same bits; one that sums in `f64` is
//! rounded.
//!
//! Nothing is collected in memory: a file is written in small pieces, in the order of the format's
//! own library, and read where it lies.
//!
//! [`Slot::peft_name`]: crate::param::Slot::peft_name

mod error;
mod fingerprint;
mod key;
mod parts;
mod read;
mod text;
mod write;

pub use error::{LoadError, ModulesError, SaveError};
pub use fingerprint::fingerprint;
pub use key::{Key, Part};
pub use read::{Loaded, read};
pub use write::{Contents, len, write};

/// The key of the metadata that has the fingerprint of the base, as 16 hexadecimal digits.
pub const BASE: &str = "decora.base";
/// The key of the metadata that has the optimiser's steps, in decimal digits.
pub const STEPS: &str = "decora.steps";
/// What every key starts with.
const PREFIX: &str = "base_model.model.";
/// Numbers that travel between file and device at a time.
const CHUNK: usize = 32;
