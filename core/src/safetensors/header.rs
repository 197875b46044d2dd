//! What a header says, as a walk over it.

use super::json::Json;
use super::{MAX_DIMENSIONS, METADATA};

/// One thing that a header says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// A key of the metadata, and its value.
    Text(&'a str, &'a str),
    /// A tensor's name, and what the header says of it.
    Tensor(&'a str, Entry<'a>),
}

/// What a header says of a tensor, unchecked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) dtype: &'a str,
    pub(super) shape: Sizes,
    /// First byte, and one past the last, in the data.
    pub(super) data_offsets: (u64, u64),
}

/// Sizes of dimensions: the first few, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) first: [u64; MAX_DIMENSIONS],
    pub(super) count: usize,
}

/// Calls `each` for everything in a header, in its order. Metadata must be the text by keys that
/// the format asks for, and entries have its three fields, each once.
///
/// # Errors
/// How many tensors were walked before the trouble.
pub(super) fn walk<'a>(header: &'a [u8], each: &mut dyn FnMut(Item<'a>)) -> Result<(), usize> {
    let (mut tensors, mut metadata, mut json) = (0, 0, Json::new(header));
    let walked = json.object(&mut |json, name| {
        if name == METADATA {
            metadata += 1;
            return texts(json, each);
        }
        each(Item::Tensor(name, entry(json)?));
        tensors += 1;
        Some(())
    });
    match walked.and_then(|()| json.end()) {
        Some(()) if metadata <= 1 => Ok(()),
        _ => Err(tensors),
    }
}

fn texts<'a>(json: &mut Json<'a>, each: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    json.object(&mut |json, key| {
        each(Item::Text(key, json.string()?));
        Some(())
    })
}

fn entry<'a>(json: &mut Json<'a>) -> Option<Entry<'a>> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    json.object(&mut |json, field| match field {
        "dtype" => put(&mut dtype, json.string()?),
        "shape" => put(&mut shape, sizes(json)?),
        "data_offsets" => put(&mut offsets, sizes(json)?),
        _ => None,
    })?;
    let Sizes { first: [from, to, ..], count: 2 } = offsets? else { return None };
    Some(Entry { dtype: dtype?, shape: shape?, data_offsets: (from, to) })
}

#[inline(never)]
fn sizes(json: &mut Json<'_>) -> Option<Sizes> {
    let mut first = [0; MAX_DIMENSIONS];
    let count = json.numbers(&mut first)?;
    Some(Sizes { first, count })
}

/// `None` for a field that was there before.
fn put<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}
