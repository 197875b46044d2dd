//! What is in a folder: a model or an adapter, in words and tables.

mod adapter;
mod model;
mod table;

use std::path::Path;

use decora_hub::tensors::Tensor;
use decora_hub::{config, peft};

use crate::error::Error;

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

/// The formats of tensors, each once.
fn dtypes<'t>(tensors: impl Iterator<Item = Tensor<'t>>) -> String {
    let mut names: Vec<&str> = tensors.map(|tensor| tensor.dtype().name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// A number with its thousands apart.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn blocks_are_alike() {
        assert_eq!(kind_of("model.layers.12.mlp.up_proj"), "model.layers.*.mlp.up_proj");
    }
}
