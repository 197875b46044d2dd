//! The numbers of a model, one parameter after the other.

use crate::backend::{AccumOf, Backend};
use crate::buffer::Acc;
use crate::error::Error;
use crate::param::{Param, Parameters};

use super::{Key, ModulesError, Part};

/// What is called for each parameter, with the number of its layer.
type Each<'f, B, X> = dyn FnMut(&mut B, usize, &mut Param<B>) -> Result<(), X> + 'f;

/// Calls `f` for each parameter until it answers an error, which can be of any type.
///
/// # Errors
/// The first error of `f`, and those of the visit.
pub(super) fn each<B: Backend, M: Parameters<B>, X: From<Error<B::Error>>>(
    be: &mut B,
    model: &mut M,
    f: &mut Each<'_, B, X>,
) -> Result<(), X> {
    let mut result = Ok(());
    model.visit(be, &mut |be, layer, p| {
        if result.is_ok() {
            result = f(be, layer, p);
        }
        Ok(())
    })?;
    result
}

/// The keys of a parameter: its values, and of a training run its moments.
pub(super) fn keys<B: Backend>(
    layer: usize,
    p: &Param<B>,
    moments: bool,
) -> impl Iterator<Item = Key> + use<B> {
    let (slot, count) = (p.slot, 1 + if moments { p.moments.len() } else { 0 });
    Part::ALL.into_iter().take(count).map(move |part| Key { layer, slot, part })
}

/// `Ok` when there is a name for this layer.
pub(super) fn named(layer: usize, modules: &[&str]) -> Result<(), ModulesError> {
    match layer < modules.len() {
        true => Ok(()),
        false => Err(ModulesError::TooFew { found: modules.len(), expected: layer + 1 }),
    }
}

/// Reads numbers of a parameter, from number `offset` on.
///
/// # Errors
/// Device errors.
pub(super) fn pull<B: Backend>(
    be: &mut B,
    p: &Param<B>,
    part: Part,
    offset: usize,
    to: &mut [AccumOf<B>],
) -> Result<(), B::Error> {
    match moment(part) {
        None => be.read::<Acc>(p.value(), offset, to),
        Some(i) => p.moments.get(i).map_or(Ok(()), |buf| be.read::<Acc>(buf, offset, to)),
    }
}

/// Writes numbers of a parameter, from number `offset` on.
///
/// # Errors
/// Device errors.
pub(super) fn push<B: Backend>(
    be: &mut B,
    p: &mut Param<B>,
    part: Part,
    offset: usize,
    from: &[AccumOf<B>],
) -> Result<(), B::Error> {
    match moment(part) {
        None => be.write::<Acc>(p.value_mut(), offset, from),
        Some(i) => p.moments.get_mut(i).map_or(Ok(()), |buf| be.write::<Acc>(buf, offset, from)),
    }
}

fn moment(part: Part) -> Option<usize> {
    match part {
        Part::Value => None,
        Part::FirstMoment => Some(0),
        Part::SecondMoment => Some(1),
    }
}
