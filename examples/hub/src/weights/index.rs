//! `model.safetensors.index.json`: which shard has which tensor.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::Weights;
use crate::HubError;
use crate::json::Object;

/// The key under which it says so.
const MAP: &str = "weight_map";

/// The shards that an index names, each once, in order.
pub(super) fn shards(index: &Path) -> Result<Vec<PathBuf>, HubError> {
    let names: BTreeSet<String> = entries(index)?.into_iter().map(|row| row.1).collect();
    Ok(names.iter().map(|name| index.with_file_name(name)).collect())
}

/// Whether the files have what the index names, where it says.
pub(super) fn check(index: &Path, weights: &Weights) -> Result<(), HubError> {
    for (tensor, shard) in entries(index)? {
        let path = index.with_file_name(&shard);
        let there = weights.exactly(&tensor).is_some_and(|tensor| tensor.path() == path);
        if !there {
            return Err(HubError::Missing { path, tensor });
        }
    }
    Ok(())
}

/// Names of tensors, and of their files. A shard lies in the folder of its index, nowhere else.
fn entries(index: &Path) -> Result<Vec<(String, String)>, HubError> {
    let object = Object::read(index)?;
    let map = object.object(MAP)?.ok_or_else(|| object.wrong(MAP, "the shard of each tensor"))?;
    let is_plain = |name: &str| {
        let mut parts = Path::new(name).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
    };
    let entry = |(tensor, shard): (String, Value)| match shard.as_str() {
        Some(name) if is_plain(name) => Ok((tensor, name.to_owned())),
        _ => {
            let expected = "the name of a file in the same folder";
            Err(HubError::setting(index, format!("{MAP}.{tensor}"), shard, expected))
        }
    };
    map.into_map().into_iter().map(entry).collect()
}
