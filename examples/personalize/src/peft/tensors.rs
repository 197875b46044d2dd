//! The tensors of a safetensors file: `u64` length of the header, header (JSON), data.

use core::convert::Infallible;
use std::collections::BTreeMap;

use decora::checkpoint::BASE;
use decora::safetensors::{Header as Written, write_floats, write_header};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::PeftError;

/// The longest header that readers of this format accept.
const MAX_HEADER: usize = 100_000_000;
/// Bytes of an element.
const WIDTH: usize = size_of::<f32>();

/// A tensor of `f32`, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// The bytes of a file with these tensors, with the metadata that PEFT writes, and the fingerprint of
/// the base network when it is given: the same bytes as [`decora::checkpoint`] writes on a device.
///
/// # Errors
/// [`PeftError::Shape`] for a tensor whose elements do not fill its shape, [`PeftError::Name`] for a
/// name that JSON must escape.
pub fn encode(tensors: &Tensors, base: Option<u64>) -> Result<Vec<u8>, PeftError> {
    tensors.iter().try_for_each(|(name, tensor)| writable(name, tensor))?;
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok::<(), Infallible>(())
    };
    let Ok(()) = write_header(&mut sink, |header| {
        if let Some(base) = base {
            header.metadata(BASE, &format!("{base:016x}"))?;
        }
        header.metadata("format", "pt")?;
        tensors.iter().try_for_each(|(name, t)| header.tensor(&[name], &t.shape))
    });
    for tensor in tensors.values() {
        let Ok(()) = write_floats(&mut sink, tensor.values.iter().copied());
    }
    Ok(bytes)
}

fn writable(name: &str, tensor: &Tensor) -> Result<(), PeftError> {
    let elements = tensor.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    if elements != Some(tensor.values.len()) {
        return Err(PeftError::Shape {
            tensor: name.to_owned(),
            found: tensor.shape.clone(),
            expected: format!("one of {} elements", tensor.values.len()),
        });
    }
    match Written::<Infallible>::is_plain(name) {
        true => Ok(()),
        false => Err(PeftError::Name { tensor: name.to_owned() }),
    }
}

/// The fingerprint of the base network in the metadata of a file, when there is one.
///
/// # Errors
/// [`PeftError::Fingerprint`] for text that is none; [`PeftError::Json`].
pub fn base(bytes: &[u8]) -> Result<Option<u64>, PeftError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(invalid)?;
    let Some(text) = header.metadata().as_ref().and_then(|texts| texts.get(BASE)) else {
        return Ok(None);
    };
    let number = u64::from_str_radix(text, 16).ok();
    match number.filter(|base| *text == format!("{base:016x}")) {
        None => Err(PeftError::Fingerprint { found: text.clone() }),
        base => Ok(base),
    }
}

/// The tensors in the bytes of a file: all of them `f32` and finite, side by side without a gap.
///
/// # Errors
/// [`PeftError`], naming what was found and what was expected. No bytes make this panic.
pub fn decode(bytes: &[u8]) -> Result<Tensors, PeftError> {
    check(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(invalid)?;
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        let values = floats(&name, view.data())?;
        Ok((name, Tensor { shape: view.shape().to_vec(), values }))
    });
    tensors.collect()
}

/// What a header says of one tensor.
#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Entry {
    /// Bytes, by its shape; `None` when no memory is as large.
    fn bytes(&self) -> Option<usize> {
        self.shape.iter().try_fold(WIDTH, |bytes, &n| bytes.checked_mul(n))
    }
}

#[derive(Debug, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    _metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    entries: BTreeMap<String, Entry>,
}

/// Finds what is wrong with a file before the library does, which names no numbers.
fn check(bytes: &[u8]) -> Result<(), PeftError> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(PeftError::NoHeader { found: bytes.len() });
    };
    let found = u64::from_le_bytes(*length);
    let expected = rest.len().min(MAX_HEADER);
    let length = usize::try_from(found).ok().filter(|&n| n <= expected);
    let Some((header, data)) = length.and_then(|n| rest.split_at_checked(n)) else {
        return Err(PeftError::HeaderLength { found, expected });
    };
    let header: Header = serde_json::from_slice(header)
        .map_err(|e| PeftError::Json { what: "header", message: e.to_string() })?;
    let mut entries: Vec<(String, Entry)> = header.entries.into_iter().collect();
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut start = 0;
    for (tensor, entry) in entries {
        start = check_entry(tensor, &entry, start, data.len())?;
    }
    match start == data.len() {
        true => Ok(()),
        false => Err(PeftError::Trailing { found: data.len(), expected: start }),
    }
}

/// Where a tensor that should start at `start` ends.
fn check_entry(
    tensor: String,
    entry: &Entry,
    start: usize,
    available: usize,
) -> Result<usize, PeftError> {
    if entry.dtype != "F32" {
        return Err(PeftError::Dtype { tensor, found: entry.dtype.clone() });
    }
    let end = entry.bytes().and_then(|bytes| start.checked_add(bytes));
    let Some(end) = end else {
        let expected = "one that fits in memory".to_owned();
        return Err(PeftError::Shape { tensor, found: entry.shape.clone(), expected });
    };
    let (found, expected) = (entry.data_offsets, (start, end));
    if found != expected || end > available {
        return Err(PeftError::Offsets { tensor, found, expected, available });
    }
    Ok(end)
}

fn floats(name: &str, bytes: &[u8]) -> Result<Vec<f32>, PeftError> {
    let (words, _) = bytes.as_chunks::<WIDTH>();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(index) => Err(PeftError::NonFinite { tensor: name.to_owned(), index }),
    }
}

fn invalid(e: safetensors::SafeTensorError) -> PeftError {
    PeftError::Json { what: "safetensors", message: e.to_string() }
}
