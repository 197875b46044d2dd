//! Merging: weights of which an adapter has become part, in a new folder or in memory.
//!
//! On the way to a folder tensors go through memory some rows at a time, so that the model may be larger
//! than memory; of GPT-2, whose layers are stored as transposes, a layer at a time. The new folder appears
//! when all of it is on the disk, and only if every number in it is finite.

mod layer;

use std::collections::HashMap;
use std::path::Path;

use decora_hub::config::Stored;
use decora_hub::network::Tensors;
use decora_hub::peft::{Adapted, Adapter, Selection};
use decora_hub::rewrite::{Change, Options, Written, rewrite};
use decora_hub::tensors::{Array, Arrays, Tensor};
use decora_hub::{HubError, Weights};

use crate::error::Error;
use crate::model::Model;
use crate::network::tensors;
use crate::stop::Stop;
use layer::Merged;

/// Writes a model anew, with an adapter merged into it; `stored` is the format of all weights, else each
/// keeps its own.
///
/// # Errors
/// [`Error::Hub`]: an adapter of another model, a merged weight that is not finite or too large for its
/// format, a folder that is not empty or cannot be written; [`Error::Interrupted`] when `stop` was asked
/// for. Nothing is left of it then.
pub fn merge(
    model: &Model,
    adapter: &Adapter,
    to: &Path,
    stored: Option<Stored>,
    stop: &Stop,
) -> Result<Written, Error> {
    let weights = &model.weights;
    let mut merging = Merging { weights, stop, layers: HashMap::new(), whole: HashMap::new() };
    for merged in layers(adapter.fit(&model.architecture)?.adapted, adapter) {
        let find = |name: String| match weights.get(&name) {
            Some(tensor) => Ok(tensor.name().to_owned()),
            None => Err(HubError::Missing { path: model.path.clone(), tensor: name }),
        };
        if let Some((name, bias)) = merged.bias() {
            merging.whole.insert(find(name)?, bias);
        }
        merging.layers.insert(find(merged.name())?, merged);
    }
    let mut more = Arrays::new();
    for (name, array) in &adapter.saved {
        match weights.get(name) {
            Some(tensor) => _ = merging.whole.insert(tensor.name().to_owned(), array),
            None => _ = more.insert(name.clone(), array.clone()),
        }
    }
    let config = model.new_head(&more);
    rewrite(weights, to, &Options { stored, more, config }, &mut merging)
}

/// The tensors of a model with an adapter merged into them: those of adapted layers in memory, as f32.
///
/// # Errors
/// [`Error::Hub`]: an adapter of another model, or damaged files.
pub fn merged<'m>(model: &'m Model, adapter: &Adapter) -> Result<Tensors<'m>, Error> {
    let Selection { adapted, saved, biases } = adapter.fit(&model.architecture)?;
    let mut all = tensors(model, true)?;
    for merged in layers(adapted, adapter) {
        all.replace(merged.name(), merged.whole(&model.weights)?);
        if let Some((name, bias)) = merged.bias() {
            all.replace(name, bias.values.clone());
        }
    }
    for module in saved.into_iter().chain(biases) {
        if let Some(weight) = adapter.saved.get(&module.weight_name()).cloned() {
            let weight = if module.transposed { weight.transposed() } else { weight };
            all.replace(module.weight_name(), weight.values);
        }
        if let Some(bias) = adapter.saved.get(&module.bias_name()) {
            all.replace(module.bias_name(), bias.values.clone());
        }
    }
    Ok(all)
}

fn layers(adapted: Vec<Adapted>, adapter: &Adapter) -> impl Iterator<Item = Merged<'_>> {
    let layer = |adapted: Adapted| {
        let layer = adapter.layers.get(&adapted.module.path)?;
        Some(Merged::new(adapted, layer))
    };
    adapted.into_iter().filter_map(layer)
}

/// What becomes of the tensors of a model, by their names in its files.
struct Merging<'a> {
    weights: &'a Weights,
    stop: &'a Stop,
    layers: HashMap<String, Merged<'a>>,
    /// Tensors that were trained as a whole.
    whole: HashMap<String, &'a Array>,
}

impl Change for Merging<'_> {
    type Error = Error;

    fn changes(&mut self, tensor: &Tensor<'_>) -> bool {
        self.layers.contains_key(tensor.name()) || self.whole.contains_key(tensor.name())
    }

    fn rows(&mut self, tensor: &Tensor<'_>, first: usize, rows: &mut [f32]) -> Result<(), Error> {
        if self.stop.asked() {
            return Err(Error::Interrupted);
        }
        if let Some(merged) = self.layers.get_mut(tensor.name()) {
            return Ok(merged.rows(self.weights, tensor, first, rows)?);
        }
        let start = first * tensor.shape().iter().skip(1).product::<usize>();
        let new = self.whole.get(tensor.name());
        if let Some(new) = new.and_then(|a| a.values.get(start..start + rows.len())) {
            rows.copy_from_slice(new);
        }
        Ok(())
    }
}
