//! The header of a file, and whether the data are as it says.

use core::fmt;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use decora::safetensors::Dtype;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::MAX_HEADER;
use crate::HubError;

/// What stands in a header under `__metadata__`.
const METADATA: &str = "__metadata__";

/// What a header says of one tensor.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// First byte, and one past the last, in the data.
    pub(super) range: (usize, usize),
}

/// A checked header: tensors in the order of their data.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) entries: Vec<Entry>,
    pub(super) metadata: BTreeMap<String, String>,
    /// Where the data begin in the file.
    pub(super) start: usize,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

#[derive(Default)]
struct Raw {
    entries: Vec<(String, RawEntry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Keys)
    }
}

/// Reads the keys one by one: a map would keep the last of two equal ones in silence.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let (mut raw, mut seen) = (Raw::default(), HashSet::new());
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("found {key} twice, expected it once")));
            }
            if key == METADATA {
                raw.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
            } else {
                raw.entries.push((key, map.next_value()?));
            }
        }
        Ok(raw)
    }
}

/// The header of the file of these bytes: every format is known, every shape fits its bytes, and the
/// tensors lie side by side over all of the data.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Header, HubError> {
    let (text, data) = split(path, bytes)?;
    let raw: Raw = serde_json::from_slice(text).map_err(|e| HubError::Json {
        path: path.to_path_buf(),
        message: format!("header: {e}"),
    })?;
    let entries = raw.entries.into_iter().map(|(name, entry)| known(path, name, entry));
    let mut entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.range);
    let mut end = 0;
    for entry in &entries {
        end = follows(path, entry, end, data)?;
    }
    match end == data {
        true => Ok(Header { entries, metadata: raw.metadata, start: bytes.len() - data }),
        false => {
            let found = format!("{data} bytes of data");
            Err(HubError::damaged(path, found, format!("{end}: a file as it was written")))
        }
    }
}

/// The text of the header, and how many bytes of data come after it.
fn split<'a>(path: &Path, bytes: &'a [u8]) -> Result<(&'a [u8], usize), HubError> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        let found = format!("{} bytes", bytes.len());
        return Err(HubError::damaged(path, found, "at least 8: a file of tensors"));
    };
    let found = u64::from_le_bytes(*length);
    let most = rest.len().min(MAX_HEADER);
    let length = usize::try_from(found).ok().filter(|&n| n <= most);
    match length.and_then(|n| rest.split_at_checked(n)) {
        Some((text, data)) => Ok((text, data.len())),
        None => {
            let found = format!("a header of {found} bytes");
            Err(HubError::damaged(path, found, format!("at most {most}: a whole file of tensors")))
        }
    }
}

fn known(path: &Path, name: String, raw: RawEntry) -> Result<Entry, HubError> {
    let Some(dtype) = Dtype::named(&raw.dtype) else {
        return Err(HubError::tensor(path, name, raw.dtype, super::tensor::FORMATS));
    };
    Ok(Entry { name, dtype, shape: raw.shape, range: raw.data_offsets })
}

/// Where a tensor that should start at `start` ends.
fn follows(path: &Path, entry: &Entry, start: usize, data: usize) -> Result<usize, HubError> {
    let bytes = entry.shape.iter().try_fold(entry.dtype.bytes(), |n, &size| n.checked_mul(size));
    let Some(end) = bytes.and_then(|bytes| start.checked_add(bytes)) else {
        let found = format!("shape {:?}", entry.shape);
        return Err(HubError::tensor(path, &*entry.name, found, "one that fits in memory"));
    };
    if entry.range != (start, end) {
        let (found, expected) = (range(entry.range), range((start, end)));
        return Err(HubError::tensor(path, &*entry.name, found, expected));
    }
    if end > data {
        let found = format!("{data} bytes of data");
        let expected = format!("at least {end}: the file has been cut");
        return Err(HubError::tensor(path, &*entry.name, found, expected));
    }
    Ok(end)
}

fn range((start, end): (usize, usize)) -> String {
    format!("bytes {start} to {end}")
}
