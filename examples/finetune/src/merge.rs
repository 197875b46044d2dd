//! Adapters merged into the weights of their model: W' = diag(g)·(W + s·B·A), some rows at a time.
//!
//! The norms of g are those of the unmerged W. A row of W' needs that row of W alone, so that rows can be
//! merged as they pass by; a `Conv1D`, which is stored as the transpose, is merged as a whole.

use std::collections::HashMap;
use std::path::Path;

use decora::adapter::Adapter as CoreAdapter;
use decora::direction::Any;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::merge::Merge;
use decora::param::Slot;
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;
use decora_cpu::FastCpu;
use decora_hub::config::Stored;
use decora_hub::network::Tensors;
use decora_hub::peft::{Adapted, Adapter, Layer};
use decora_hub::rewrite::{Change, Options, Written, rewrite};
use decora_hub::tensors::{Array, Arrays, Tensor};
use decora_hub::{HubError, Module};
use serde_json::Map;

use crate::error::Error;
use crate::model::{Model, classifier_config};

type Cpu = FastCpu<f32>;
type CoreError = decora::error::Error<decora_cpu::CpuError>;

/// Writes `model` with `adapter` merged into it as a folder, which must not be there yet; in another
/// format where one is given. At most one weight is in memory at a time. The folder appears whole or not
/// at all.
///
/// # Errors
/// [`Error::Hub`] for an adapter of another model, for a merged weight that is not finite in its format,
/// and for files that cannot be read or written.
pub fn merge(
    model: &Model,
    adapter: &Adapter,
    to: &Path,
    stored: Option<Stored>,
) -> Result<Written, Error> {
    let mut change = Merging::new(model, adapter)?;
    let more: Arrays = core::mem::take(&mut change.more);
    let config = if more.is_empty() { Map::new() } else { classifier_config(&model.architecture) };
    rewrite(&model.weights, to, &Options { stored, more, config }, &mut change)
}

/// The tensors of `model` with `adapter` merged into them, in memory: of adapted layers as f32.
///
/// # Errors
/// As [`merge`].
pub fn merged<'m>(model: &'m Model, adapter: &Adapter) -> Result<Tensors<'m>, Error> {
    let selection = adapter.fit(&model.architecture)?;
    let mut tensors = Tensors::read(&model.weights, &model.architecture, Some(0))?;
    for adapted in &selection.adapted {
        let layer = layer_of(adapter, &adapted.module)?;
        let whole = whole(model, adapted, layer)?;
        tensors.replace(adapted.module.weight_name(), whole);
    }
    for module in &selection.saved {
        if let Some(weight) = adapter.saved.get(&module.weight_name()) {
            let weight = weight.clone();
            let weight = if module.transposed { weight.transposed() } else { weight };
            tensors.replace(module.weight_name(), weight.values);
        }
        if let Some(bias) = adapter.saved.get(&module.bias_name()) {
            tensors.replace(module.bias_name(), bias.values.clone());
        }
    }
    Ok(tensors)
}

/// What becomes of a tensor.
#[derive(Debug)]
enum Target<'a> {
    /// An adapter is merged into it.
    Adapted(Adapted, &'a Layer),
    /// It is another one.
    Saved(&'a Array),
}

/// A model on its way to another folder.
#[derive(Debug)]
struct Merging<'a> {
    model: &'a Model,
    /// By the names that tensors have in the files.
    targets: HashMap<String, Target<'a>>,
    /// Tensors that the files do not have.
    more: Arrays,
    /// The `Conv1D` that is being written.
    whole: Vec<f32>,
}

impl<'a> Merging<'a> {
    fn new(model: &'a Model, adapter: &'a Adapter) -> Result<Self, Error> {
        let selection = adapter.fit(&model.architecture)?;
        let mut targets = HashMap::new();
        for adapted in selection.adapted {
            let name = adapted.module.weight_name();
            let tensor = model.weights.get(&name).filter(|_| !is_tied(model, &adapted.module));
            let path = model.path.clone();
            let tensor = tensor.ok_or(HubError::Missing { path, tensor: name })?;
            let layer = layer_of(adapter, &adapted.module)?;
            targets.insert(tensor.name().to_owned(), Target::Adapted(adapted, layer));
        }
        let mut more = Arrays::new();
        for (name, array) in &adapter.saved {
            match model.weights.get(name) {
                Some(tensor) => {
                    tensor.of_shape(&array.shape)?;
                    targets.insert(tensor.name().to_owned(), Target::Saved(array));
                }
                None => {
                    more.insert(name.clone(), array.clone());
                }
            }
        }
        Ok(Self { model, targets, more, whole: Vec::new() })
    }
}

impl Change for Merging<'_> {
    type Error = Error;

    fn changes(&mut self, tensor: &Tensor<'_>) -> bool {
        self.targets.contains_key(tensor.name())
    }

    fn rows(&mut self, tensor: &Tensor<'_>, first: usize, rows: &mut [f32]) -> Result<(), Error> {
        let columns = tensor.shape().get(1..).unwrap_or_default().iter().product::<usize>();
        let start = first * columns;
        match self.targets.get(tensor.name()) {
            Some(Target::Adapted(adapted, layer)) if adapted.module.transposed => {
                if first == 0 {
                    let Module { out, inputs, .. } = adapted.module;
                    let whole = whole(self.model, adapted, layer)?;
                    self.whole = Array::new(vec![out, inputs], whole).transposed().values;
                }
                copy(tensor, &self.whole, start, rows)
            }
            Some(Target::Adapted(adapted, layer)) => {
                merge_rows(adapted, layer, first, rows).map_err(|e| named(tensor, &e))
            }
            Some(Target::Saved(array)) => copy(tensor, &array.values, start, rows),
            None => Ok(()),
        }
    }
}

fn copy(tensor: &Tensor<'_>, from: &[f32], start: usize, to: &mut [f32]) -> Result<(), Error> {
    let end = start + to.len();
    let Some(part) = from.get(start..end) else {
        let (found, expected) = (format!("{} elements", from.len()), format!("at least {end}"));
        return Err(wrong(tensor, found, expected));
    };
    to.copy_from_slice(part);
    Ok(())
}

/// The whole merged weight of a layer, `(out, in)`.
fn whole(model: &Model, adapted: &Adapted, layer: &Layer) -> Result<Vec<f32>, Error> {
    let mut w = model.weights.matrix(&adapted.module)?.to_f32();
    let name = adapted.module.weight_name();
    merge_rows(adapted, layer, 0, &mut w).map_err(|e| match model.weights.get(&name) {
        Some(tensor) => named(&tensor, &e),
        None => Error::network(e),
    })?;
    Ok(w)
}

/// Turns rows of W, from `first` on, into those of W'.
fn merge_rows(
    adapted: &Adapted,
    layer: &Layer,
    first: usize,
    w: &mut [f32],
) -> Result<(), CoreError> {
    let (inputs, rank) = (adapted.module.inputs, adapted.spec.rank());
    let count = w.len().checked_div(inputs).unwrap_or_default();
    // A layer has at least as many rows as its rank: rows of zeros, which nothing becomes of.
    let out = count.max(rank);
    let padded = |values: &[f32], width: usize| {
        let part = values.get(first * width..(first + count) * width).unwrap_or_default();
        let mut part = part.to_vec();
        part.resize(out * width, 0.0);
        part
    };
    let (b, m) = (padded(&layer.b.values, rank), layer.m.as_ref().map(|m| padded(&m.values, 1)));
    let mut base = w.to_vec();
    base.resize(out * inputs, 0.0);
    let spec = Spec { dropout: 0.0, ..adapted.spec };
    let plan = Plan { out, inputs, bias: false, rows: 0, spec, moments: 0 };
    let be = &mut Cpu::fast();
    let base = Frozen::new(out, inputs, Format::F32(&base))?;
    let base = Linear::<Cpu>::new(be, base, None)?;
    let mut ws = Workspace::new(be, plan.needs())?;
    let mut adapter =
        CoreAdapter::<Cpu, Any<Cpu>>::lean(be, &mut ws, &base, plan, &mut Rng::new(0))?;
    adapter.visit(be, 0, &mut |be, _, p| match (p.slot, &m) {
        (Slot::LoraA, _) => p.set(be, &layer.a.values),
        (Slot::LoraB, _) => p.set(be, &b),
        (Slot::Magnitude, Some(m)) => p.set(be, m),
        _ => Ok(()),
    })?;
    let mut host = vec![0.0; out * inputs];
    Merge::new(be, out, inputs)?.stream(
        be,
        &mut ws,
        &base,
        &mut adapter,
        &mut host,
        &mut |rows, merged| {
            let at = rows.start * inputs;
            let to = w.get_mut(at..).unwrap_or_default();
            to.iter_mut().zip(merged).for_each(|(to, from)| *to = *from);
            Ok(())
        },
    )
}

fn is_tied(model: &Model, module: &Module) -> bool {
    model.architecture.tied && module.role == decora_hub::modules::Role::Head
}

fn layer_of<'a>(adapter: &'a Adapter, module: &Module) -> Result<&'a Layer, HubError> {
    let missing = || HubError::Missing { path: adapter.path.clone(), tensor: module.weight_name() };
    adapter.layers.get(&module.path).ok_or_else(missing)
}

fn named(tensor: &Tensor<'_>, e: &CoreError) -> Error {
    wrong(tensor, e.to_string(), "a weight that the adapter fits".to_owned())
}

fn wrong(tensor: &Tensor<'_>, found: String, expected: String) -> Error {
    let (path, tensor) = (tensor.path().to_owned(), tensor.name().to_owned());
    Error::Hub(HubError::Tensor { path, tensor, found, expected })
}
