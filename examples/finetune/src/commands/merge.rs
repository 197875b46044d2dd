//! `decora merge`.

use decora_hub::config::Stored;

use crate::error::Error;
use crate::merge::merge;
use crate::model::Model;
use crate::options::{Merge, Precision};
use crate::stop::Stop;
use crate::words::{bytes, count};

/// Merges an adapter into its model.
///
/// # Errors
/// [`Error`]; nothing is written then.
pub(super) fn run(options: &Merge, stop: &Stop) -> Result<String, Error> {
    let (model, adapter) = Model::with_adapter(&options.model, Some(&options.adapter))?;
    let stored = options.dtype.map(|dtype| match dtype {
        Precision::F32 => Stored::F32,
        Precision::Bf16 => Stored::Bf16,
        Precision::F16 => Stored::F16,
    });
    let Some(adapter) = adapter else { return Ok(String::new()) };
    let written = merge(&model, &adapter, &options.out, stored, stop)?;
    Ok(format!(
        "{}: {} of {} changed, {} in {}",
        options.out.display(),
        written.changed,
        count(written.tensors, "tensor"),
        bytes(written.bytes as u64),
        count(written.files, "file"),
    ))
}
