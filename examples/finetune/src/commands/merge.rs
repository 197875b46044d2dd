//! `decora merge`.

use decora_hub::config::Stored;

use crate::error::Error;
use crate::memory;
use crate::merge::merge;
use crate::model::Model;
use crate::options::{Merge, Precision};

/// Merges an adapter into its model.
///
/// # Errors
/// [`Error`]; nothing is written then.
pub(super) fn run(options: &Merge) -> Result<String, Error> {
    let (model, adapter) = Model::with_adapter(&options.model, Some(&options.adapter))?;
    let stored = options.dtype.map(|dtype| match dtype {
        Precision::F32 => Stored::F32,
        Precision::Bf16 => Stored::Bf16,
        Precision::F16 => Stored::F16,
    });
    let Some(adapter) = adapter else { return Ok(String::new()) };
    let written = merge(&model, &adapter, &options.out, stored)?;
    Ok(format!(
        "{}: {} of {} tensors changed, {} in {} files",
        options.out.display(),
        written.changed,
        written.tensors,
        memory::words(written.bytes as u64),
        written.files,
    ))
}
