//! From a file to a model.

use crate::backend::{AccumOf, Backend};
use crate::error::Error;
use crate::param::{Param, Parameters};
use crate::safetensors::{File, Tensor};
use crate::scalar::Accum;

use super::parts::{each, keys, named, push};
use super::text::number;
use super::{BASE, CHUNK, Key, LoadError, ModulesError, Part, STEPS};

/// What a file had, besides numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loaded {
    /// Of a checkpoint, the optimiser's steps, for
    /// [`resume_at`](crate::optim::Optimizer::resume_at); `None` for an adapter.
    pub steps: Option<u64>,
    /// The fingerprint of the base it was made on.
    pub fingerprint: Option<u64>,
}

/// Makes the model what it was when the file was written: values, and from a checkpoint moments.
/// An adapter sets moments to zero, as before the first step. Values may be F32, F64 (rounded when
/// the model sums in `f32`), F16 or BF16. `modules` names each layer's module; `expected` is the
/// fingerprint of the model's base, which a file without one is not held to.
///
/// # Errors
/// [`LoadError`], naming the first tensor that is missing, left over, or not what the model needs:
/// then nothing is written. [`LoadError::Model`] for device errors, which leave the model to be
/// loaded again.
pub fn read<B: Backend, M: Parameters<B>>(
    be: &mut B,
    model: &mut M,
    modules: &[&str],
    file: &File<'_>,
    expected: Option<u64>,
) -> Result<Loaded, LoadError<B::Error>> {
    let loaded = metadata(file)?;
    if let (Some(found), Some(expected)) = (loaded.fingerprint, expected)
        && found != expected
    {
        return Err(LoadError::Base { found, expected });
    }
    let source = Source { file, modules, moments: loaded.steps.is_some() };
    source.check(be, model)?;
    each(be, model, &mut |be, layer, p| {
        keys(layer, p, true).try_for_each(|key| source.load(be, p, key))
    })?;
    Ok(loaded)
}

fn metadata<D>(file: &File<'_>) -> Result<Loaded, LoadError<D>> {
    let of = |key, radix, digits| match file.metadata(key) {
        None => Ok(None),
        Some(text) => match number(text, radix, digits) {
            None => Err(LoadError::Metadata { key }),
            number => Ok(number),
        },
    };
    Ok(Loaded { steps: of(STEPS, 10, 1..=20)?, fingerprint: of(BASE, 16, 16..=16)? })
}

/// A file, and how to find a model's tensors in it.
struct Source<'s, 'a> {
    file: &'s File<'a>,
    modules: &'s [&'s str],
    moments: bool,
}

impl Source<'_, '_> {
    /// `Ok` when the file has what the model needs, and nothing else.
    fn check<B: Backend, M: Parameters<B>>(
        &self,
        be: &mut B,
        model: &mut M,
    ) -> Result<(), LoadError<B::Error>> {
        let mut needed = 0;
        each(be, model, &mut |_, layer, p| {
            named(layer, self.modules)?;
            keys(layer, p, self.moments).try_for_each(|key| {
                needed += 1;
                let tensor = key.find(self.modules, self.file);
                fits(p, key, &tensor.ok_or(LoadError::Missing { key })?)
            })
        })?;
        for tensor in self.file.tensors() {
            if needed != self.file.len() && !self.needs(be, model, tensor.index())? {
                return Err(LoadError::Unexpected { tensor: tensor.index() });
            }
        }
        match needed == self.file.len() {
            true => Ok(()),
            false => Err(LoadError::Modules(ModulesError::Twice)),
        }
    }

    /// Whether a tensor of the file, by its number, is one of the model's.
    fn needs<B: Backend, M: Parameters<B>>(
        &self,
        be: &mut B,
        model: &mut M,
        tensor: usize,
    ) -> Result<bool, Error<B::Error>> {
        let mut needed = false;
        model.visit(be, &mut |_, layer, p| {
            let mut found = keys(layer, p, self.moments);
            let at = |key: Key| key.find(self.modules, self.file).map(|t| t.index());
            needed |= found.any(|key| at(key) == Some(tensor));
            Ok(())
        })?;
        Ok(needed)
    }

    /// Writes one tensor's numbers into the model; zeros for moments that the file does not have.
    fn load<B: Backend>(
        &self,
        be: &mut B,
        p: &mut Param<B>,
        key: Key,
    ) -> Result<(), LoadError<B::Error>> {
        let tensor = key.find(self.modules, self.file);
        let mut room = [AccumOf::<B>::default(); CHUNK];
        for offset in (0..p.count()).step_by(CHUNK) {
            let numbers = room.get_mut(..CHUNK.min(p.count() - offset)).unwrap_or_default();
            for (i, to) in numbers.iter_mut().enumerate() {
                *to = tensor.and_then(|t| t.value(offset + i)).unwrap_or_default();
            }
            push(be, p, key.part, offset, numbers).map_err(Error::from)?;
        }
        Ok(())
    }
}

/// `Ok` when the tensor can be that of this parameter.
fn fits<B: Backend>(
    p: &Param<B>,
    key: Key,
    tensor: &Tensor<'_>,
) -> Result<(), LoadError<B::Error>> {
    let (found, expected) = (*tensor.dims(), key.dims(p.shape()));
    if found != expected {
        return Err(LoadError::Shape { key, found, expected });
    }
    let no_float = |_| LoadError::Dtype { key, found: tensor.dtype() };
    let zero = AccumOf::<B>::default();
    let odd = |x: AccumOf<B>| !x.finite() || key.part == Part::SecondMoment && x < zero;
    match tensor.values().map_err(no_float)?.position(odd) {
        None => Ok(()),
        Some(index) => Err(LoadError::Value { key, index }),
    }
}
