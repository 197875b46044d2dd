//! Between the parameters of a network and the tensors of an adapter.

use decora::backend::AccumOf;
use decora::error::Error;
use decora::param::{Param, Parameters, Slot};
use decora::scalar::Accum;
use decora::sequence::Sequence;
use decora::spec::Spec;

use super::{BuildError, Names};
use crate::HubError;
use crate::modules::Module;
use crate::peft::{Adapter, Config, Layer, Selection};
use crate::tensors::Array;

impl Selection {
    /// How a linear layer is adapted: as selected, as a whole where it is saved as a whole, its bias
    /// alone, or not at all.
    #[must_use]
    pub fn spec(&self, module: &Module) -> Option<Spec> {
        let adapted = self.adapted.iter().find(|adapted| adapted.module.path == module.path);
        let is_in = |modules: &[Module]| modules.iter().any(|other| other.path == module.path);
        let saved = || is_in(&self.saved).then(Spec::full);
        let biased = || is_in(&self.biases).then(Spec::bitfit);
        adapted.map(|adapted| adapted.spec).or_else(saved).or_else(biased)
    }
}

/// Sets the parameters of a network, or of a set of adapters, to those of `adapter`, which
/// [fits](Adapter::fit) it.
///
/// # Errors
/// [`HubError::Missing`] for a parameter that is not in `adapter`; shapes that differ; device errors.
pub fn load<B: Sequence>(
    be: &mut B,
    into: &mut impl Parameters<B>,
    names: &Names,
    adapter: &Adapter,
) -> Result<(), BuildError<B::Error>> {
    let mut missing = None;
    into.visit(be, &mut |be, number, p| {
        let path = names.path(number).unwrap_or_default();
        let Some(array) = find(adapter, path, p.slot).map(|x| names.turned(number, p.slot, x))
        else {
            let tensor = format!("{path}.{}", p.slot.peft_name());
            missing = missing.take().or(Some(tensor));
            return Ok(());
        };
        let values: Vec<_> = array.values.iter().map(|&x| AccumOf::<B>::of_f32(x)).collect();
        p.set(be, &values)
    })?;
    match missing {
        Some(tensor) => Err(HubError::Missing { path: adapter.path.clone(), tensor }.into()),
        None => Ok(()),
    }
}

fn find<'a>(adapter: &'a Adapter, path: &str, slot: Slot) -> Option<&'a Array> {
    let layer = adapter.layers.get(path);
    match (slot, layer) {
        (Slot::LoraA, layer) => Some(&layer?.a),
        (Slot::LoraB, layer) => Some(&layer?.b),
        (Slot::Magnitude, layer) => layer?.m.as_ref(),
        (Slot::Bias, Some(layer)) => layer.bias.as_ref(),
        _ => adapter.saved.get(&format!("{path}.{}", slot.peft_name())),
    }
}

/// The parameters of a network, or of a set of adapters, as an adapter with these settings. Waits for
/// the device.
///
/// # Errors
/// Device errors.
pub fn save<B: Sequence>(
    be: &mut B,
    from: &mut impl Parameters<B>,
    names: &Names,
    config: Config,
) -> Result<Adapter, BuildError<B::Error>> {
    let path = config.path.clone();
    let mut adapter =
        Adapter { config, layers: Default::default(), saved: Default::default(), path };
    from.visit(be, &mut |be, number, p| {
        let array = names.turned(number, p.slot, &read(be, p)?).into_owned();
        put(&mut adapter, names.path(number).unwrap_or_default(), p.slot, array);
        Ok(())
    })?;
    Ok(adapter)
}

/// The values of a parameter, in the shape that a file has them in.
///
/// # Errors
/// Device errors.
pub fn read<B: Sequence>(be: &mut B, p: &Param<B>) -> Result<Array, Error<B::Error>> {
    let mut values = vec![AccumOf::<B>::default(); p.count()];
    p.get(be, &mut values)?;
    let (rows, cols) = p.shape();
    let shape = if p.slot.dimensions() == 1 { vec![rows] } else { vec![rows, cols] };
    Ok(Array::new(shape, values.iter().map(|x| x.f32()).collect()))
}

fn put(adapter: &mut Adapter, path: &str, slot: Slot, array: Array) {
    let none = || Array::new(Vec::new(), Vec::new());
    // A bias comes after all else of its layer.
    let own = slot == Slot::Bias && adapter.layers.contains_key(path);
    if !own && !matches!(slot, Slot::LoraA | Slot::LoraB | Slot::Magnitude) {
        adapter.saved.insert(format!("{path}.{}", slot.peft_name()), array);
        return;
    }
    let empty = || Layer { a: none(), b: none(), m: None, bias: None };
    let layer = adapter.layers.entry(path.to_owned()).or_insert_with(empty);
    match slot {
        Slot::LoraA => layer.a = array,
        Slot::LoraB => layer.b = array,
        Slot::Bias => layer.bias = Some(array),
        _ => layer.m = Some(array),
    }
}
