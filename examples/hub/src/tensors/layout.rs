//! The header of a file that is about to be written.

use std::collections::BTreeMap;

use decora::safetensors::Dtype;
use serde_json::json;

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
        let metadata = (!self.metadata.is_empty())
            .then(|| format!("{}:{}", json!("__metadata__"), json!(self.metadata)));
        let entries = self.entries.iter().map(|entry| {
            let (name, dtype, (from, to)) = (json!(entry.name), entry.dtype.name(), entry.range);
            let shape = json!(entry.shape);
            format!(r#"{name}:{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
        });
        let items: Vec<String> = metadata.into_iter().chain(entries).collect();
        let mut text = format!("{{{}}}", items.join(",")).into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut text);
        bytes
    }
}
