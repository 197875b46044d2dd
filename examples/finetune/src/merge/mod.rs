//! Merging: a model folder in which an adapter has become part of the weights.
//!
//! Tensors go through memory some rows at a time, so that the model may be larger than memory. The new
//! folder appears when all of it is on the disk, and only if every number in it is finite.

mod layer;

use std::collections::HashMap;
use std::path::Path;

use decora_hub::config::Stored;
use decora_hub::peft::Adapter;
use decora_hub::rewrite::{Change, Options, Written, rewrite};
use decora_hub::tensors::{Array, Arrays, Tensor};
use decora_hub::{HubError, Module};

use crate::error::Error;
use crate::model::Model;
use layer::Merged;

/// What becomes of the tensors of a model, by their names in its files.
struct Merging<'a> {
    layers: HashMap<String, Merged<'a>>,
    /// Modules that were trained as a whole.
    whole: HashMap<String, &'a Array>,
}

impl Change for Merging<'_> {
    type Error = HubError;

    fn changes(&mut self, tensor: &Tensor<'_>) -> bool {
        self.layers.contains_key(tensor.name()) || self.whole.contains_key(tensor.name())
    }

    fn rows(
        &mut self,
        tensor: &Tensor<'_>,
        first: usize,
        rows: &mut [f32],
    ) -> Result<(), HubError> {
        let width: usize = tensor.shape().iter().skip(1).product();
        if let Some(merged) = self.layers.get_mut(tensor.name()) {
            return merged.rows(tensor, width, first, rows);
        }
        let start = first * width;
        let new = self.whole.get(tensor.name());
        if let Some(new) = new.and_then(|a| a.values.get(start..start + rows.len())) {
            rows.copy_from_slice(new);
        }
        Ok(())
    }
}

/// Writes a model anew, with an adapter merged into it; `stored` is the format of all weights, else each
/// keeps its own.
///
/// # Errors
/// [`Error::Hub`]: an adapter of another model, a merged weight that is not finite or too large for its
/// format, a folder that is not empty or cannot be written. Nothing is left of it then.
pub fn merge(
    model: &Model,
    adapter: &Adapter,
    to: &Path,
    stored: Option<Stored>,
) -> Result<Written, Error> {
    let selection = adapter.fit(&model.architecture)?;
    let mut merging = Merging { layers: HashMap::new(), whole: HashMap::new() };
    for adapted in &selection.adapted {
        let Module { path, transposed, .. } = &adapted.module;
        let name = name_in_files(model, &adapted.module)?;
        if let Some(layer) = adapter.layers.get(path) {
            merging.layers.insert(name, Merged::new(layer, &adapted.spec, *transposed));
        }
    }
    let mut more = Arrays::new();
    for (name, array) in &adapter.saved {
        match model.weights.get(name) {
            Some(tensor) => _ = merging.whole.insert(tensor.name().to_owned(), array),
            None => _ = more.insert(name.clone(), array.clone()),
        }
    }
    let config = model.new_head(&more);
    Ok(rewrite(&model.weights, to, &Options { stored, more, config }, &mut merging)?)
}

fn name_in_files(model: &Model, module: &Module) -> Result<String, Error> {
    let name = module.weight_name();
    let missing = || HubError::Missing { path: model.path.clone(), tensor: name.clone() };
    let tensor = model.weights.get(&name).ok_or_else(missing)?;
    Ok(tensor.name().to_owned())
}
