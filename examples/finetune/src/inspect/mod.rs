//! What is in a folder: a model or an adapter, in words and tables.

mod adapter;
mod model;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use decora_hub::tensors::Tensor;
use decora_hub::{config, peft};

use crate::error::Error;
use crate::words::bytes;

/// What is in a model's or an adapter's folder, or in an adapter's file.
///
/// # Errors
/// [`Error::Hub`] for files that are neither, or damaged; [`Error::Tokenizer`].
pub fn inspect(path: &Path) -> Result<String, Error> {
    let is_model = path.join(config::FILE).exists() && !path.join(peft::CONFIG).exists();
    match is_model {
        true => model::inspect(path),
        false => adapter::inspect(path),
    }
}

/// A path without the number of its block: what is alike in all of them.
fn kind_of(path: &str) -> String {
    let part = |part: &str| if part.parse::<usize>().is_ok() { "*" } else { part }.to_owned();
    path.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// How many numbers tensors have together.
fn parameters<'t>(tensors: impl Iterator<Item = Tensor<'t>>) -> usize {
    tensors.map(|tensor| tensor.shape().iter().product::<usize>()).sum()
}

/// The formats of tensors, each once, and their bytes together.
fn stored<'t>(tensors: impl Iterator<Item = Tensor<'t>>) -> String {
    let (mut names, mut size) = (BTreeSet::new(), 0);
    for tensor in tensors {
        names.insert(tensor.dtype().name());
        size += tensor.data().len() as u64;
    }
    format!("{}, {}", names.into_iter().collect::<Vec<_>>().join(" and "), bytes(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_alike() {
        assert_eq!(kind_of("model.layers.12.mlp.up_proj"), "model.layers.*.mlp.up_proj");
    }
}
