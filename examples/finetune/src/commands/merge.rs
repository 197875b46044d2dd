//! `decora merge`.

use decora_hub::config::Stored;

use crate::error::Error;
use crate::memory::words;
use crate::merge::merge;
use crate::model::Model;
use crate::options::{Merge, Precision};

/// Merges an adapter into its model, as a new folder.
///
/// # Errors
/// [`Error`].
pub(super) fn run(options: &Merge) -> Result<String, Error> {
    let (model, adapter) = Model::with_adapter(&options.model, Some(&options.adapter))?;
    let Some(adapter) = adapter else { return Ok(String::new()) };
    let stored = options.dtype.map(|dtype| match dtype {
        Precision::F32 => Stored::F32,
        Precision::Bf16 => Stored::Bf16,
        Precision::F16 => Stored::F16,
    });
    let done = merge(&model, &adapter, &options.out, stored)?;
    let (out, bytes) = (options.out.display(), words(done.bytes as u64));
    let (changed, tensors) = (done.changed, done.tensors);
    Ok(format!("{out}: {changed} of {tensors} tensors merged, {bytes} in {} file(s)", done.files))
}
