//! From a model to a file.

use core::cmp::Ordering;

use crate::backend::{AccumOf, Backend};
use crate::error::{Error, Shape};
use crate::param::{Param, Parameters};
use crate::safetensors::{Header, Sink, file_len, write_floats, write_header};
use crate::scalar::Accum;

use super::parts::{each, keys, named, pull};
use super::text::{DECIMAL, decimal, hexadecimal};
use super::{BASE, CHUNK, Key, ModulesError, STEPS, SaveError};

/// What a file is to have.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'n> {
    /// The name of each layer's module, as in `layers.0`.
    pub modules: &'n [&'n str],
    /// The [`fingerprint`](super::fingerprint) of the base, so that the file fits no other.
    pub base: Option<u64>,
    /// For a checkpoint, the optimiser's steps; `None` for an adapter.
    pub steps: Option<u64>,
}

/// Writes what was trained. Waits for the device. The magnitude of a row that is zero in W follows
/// n, which a forward pass brings up to date.
///
/// What a sink has got before an error is no file.
///
/// # Errors
/// [`SaveError::Modules`] before a byte is written; [`Error::NonFinite`] for a value that no reader
/// takes; errors of device and sink.
pub fn write<B: Backend, M: Parameters<B>, E>(
    be: &mut B,
    model: &mut M,
    contents: &Contents<'_>,
    sink: &mut Sink<'_, E>,
) -> Result<(), SaveError<B::Error, E>> {
    check(be, model, contents)?;
    let mut sink = |bytes: &[u8]| sink(bytes).map_err(SaveError::Sink);
    write_header(&mut sink, |header| describe(be, model, contents, header))?;
    let mut after = None;
    while let Some((key, _)) = next(be, model, contents, after)? {
        each(be, model, &mut |be, layer, p| match (layer, p.slot) == (key.layer, key.slot) {
            true => stream(be, p, key, &mut sink),
            false => Ok(()),
        })?;
        after = Some(key);
    }
    Ok(())
}

/// How many bytes [`write`](write()) writes.
///
/// # Errors
/// [`SaveError::Modules`].
pub fn len<B: Backend, M: Parameters<B>>(
    be: &mut B,
    model: &mut M,
    contents: &Contents<'_>,
) -> Result<usize, SaveError<B::Error, core::convert::Infallible>> {
    check(be, model, contents)?;
    file_len(|header| describe(be, model, contents, header))
}

type Saved<T, B, E> = Result<T, SaveError<<B as Backend>::Error, E>>;

/// `Ok` when names can stand in a file, and no two tensors get the same.
fn check<B: Backend, M: Parameters<B>, E>(
    be: &mut B,
    model: &mut M,
    contents: &Contents<'_>,
) -> Saved<(), B, E> {
    if let Some(layer) = contents.modules.iter().position(|name| !Header::<E>::is_plain(name)) {
        return Err(SaveError::Modules(ModulesError::NotPlain { layer }));
    }
    let (mut left, mut after) = (0usize, None);
    each::<B, M, SaveError<B::Error, E>>(be, model, &mut |_, layer, p| {
        left += keys(layer, p, contents.steps.is_some()).count();
        Ok(named(layer, contents.modules)?)
    })?;
    while let Some((key, _)) = next(be, model, contents, after)? {
        (left, after) = (left.saturating_sub(1), Some(key));
    }
    if left > 0 { Err(SaveError::Modules(ModulesError::Twice)) } else { Ok(()) }
}

fn describe<B: Backend, M: Parameters<B>, E>(
    be: &mut B,
    model: &mut M,
    contents: &Contents<'_>,
    header: &mut Header<'_, SaveError<B::Error, E>>,
) -> Saved<(), B, E> {
    if let Some(base) = contents.base {
        header.metadata(BASE, hexadecimal(base, &mut [0; 16]))?;
    }
    if let Some(steps) = contents.steps {
        header.metadata(STEPS, decimal(steps, &mut [0; DECIMAL]))?;
    }
    header.metadata("format", "pt")?;
    let mut after = None;
    while let Some((key, shape)) = next(be, model, contents, after)? {
        header.tensor(&key.name(contents.modules), key.dims(shape).as_slice())?;
        after = Some(key);
    }
    Ok(())
}

/// The tensor whose name comes next, and its shape in the model.
fn next<B: Backend, M: Parameters<B>>(
    be: &mut B,
    model: &mut M,
    contents: &Contents<'_>,
    after: Option<Key>,
) -> Result<Option<(Key, Shape)>, Error<B::Error>> {
    let mut first: Option<(Key, Shape)> = None;
    let precedes = |a: &Key, b: &Key| a.compare(b, contents.modules) == Ordering::Less;
    model.visit(be, &mut |_, layer, p| {
        for key in keys(layer, p, contents.steps.is_some()) {
            let later = after.is_none_or(|after| precedes(&after, &key));
            if later && first.is_none_or(|(first, _)| precedes(&key, &first)) {
                first = Some((key, p.shape()));
            }
        }
        Ok(())
    })?;
    Ok(first)
}

/// Sends one tensor's numbers on their way.
fn stream<B: Backend, E>(
    be: &mut B,
    p: &Param<B>,
    key: Key,
    sink: &mut Sink<'_, SaveError<B::Error, E>>,
) -> Saved<(), B, E> {
    let (count, cols) = (p.count(), p.shape().1.max(1));
    let mut room = [AccumOf::<B>::default(); CHUNK];
    for offset in (0..count).step_by(CHUNK) {
        let numbers = room.get_mut(..CHUNK.min(count - offset)).unwrap_or_default();
        pull(be, p, key.part, offset, numbers).map_err(Error::from)?;
        if let Some(i) = numbers.iter().position(|x| !x.f32().is_finite()) {
            let (what, at) = (key.slot.peft_name(), offset + i);
            return Err(Error::non_finite(what, at / cols, at % cols).into());
        }
        write_floats(sink, numbers.iter().map(|x| x.f32()))?;
    }
    Ok(())
}
