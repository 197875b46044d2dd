//! The header of a file that is about to be written.

use std::collections::BTreeMap;

use decora::safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::header::Entry;

/// Tensors and their places in a file: what its header says.
///
/// The order is that of the format's own library: wide elements first, so that all are aligned, and
/// then names; the header is filled up with spaces to a multiple of 8 bytes.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
}

impl Layout {
    /// The layout of tensors with these names, formats and shapes.
    #[must_use]
    pub fn new(
        tensors: impl IntoIterator<Item = (String, Dtype, Vec<usize>)>,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        let entry = |(name, dtype, shape)| Entry { name, dtype, shape, range: (0, 0) };
        let mut entries: Vec<Entry> = tensors.into_iter().map(entry).collect();
        entries.sort_by(|a, b| {
            let wide = b.dtype.bytes().cmp(&a.dtype.bytes());
            wide.then_with(|| a.name.cmp(&b.name))
        });
        let mut end = 0;
        for entry in &mut entries {
            let start = end;
            end += entry.dtype.bytes() * entry.shape.iter().product::<usize>();
            entry.range = (start, end);
        }
        Self { entries, metadata }
    }

    /// The names in the order in which their data follow the header.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.name)
    }

    /// Bytes of all data.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.range.1)
    }

    /// The bytes before the data: the header and its length.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let mut map = Map::new();
        if !self.metadata.is_empty() {
            map.insert("__metadata__".to_owned(), json!(self.metadata));
        }
        map.extend(self.entries.iter().map(|entry| {
            let (from, to) = entry.range;
            let value = json!({
                "dtype": entry.dtype.name(), "shape": entry.shape, "data_offsets": [from, to],
            });
            (entry.name.clone(), value)
        }));
        let mut text = Value::Object(map).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut text);
        bytes
    }
}
