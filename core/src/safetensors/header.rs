//! The header's JSON, as a walk over what stands in it.

use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json_core::de;

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
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
    let mut tensors = 0;
    let mut json = de::Deserializer::new(header, None);
    let walked = Walk { each, tensors: &mut tensors }.deserialize(&mut json);
    match walked.and_then(|()| json.end()) {
        Ok(_) => Ok(()),
        Err(_) => Err(tensors),
    }
}

struct Walk<'w, 'a> {
    each: &'w mut dyn FnMut(Item<'a>),
    tensors: &'w mut usize,
}

impl<'a> DeserializeSeed<'a> for Walk<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Walk<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut metadata = 0;
        while let Some(name) = map.next_key::<&'a str>()? {
            if name == METADATA {
                metadata += 1;
                map.next_value_seed(Texts(&mut *self.each))?;
            } else {
                (self.each)(Item::Tensor(name, map.next_value()?));
                *self.tensors += 1;
            }
        }
        if metadata > 1 { Err(A::Error::duplicate_field(METADATA)) } else { Ok(()) }
    }
}

struct Texts<'w, 'a>(&'w mut dyn FnMut(Item<'a>));

impl<'a> DeserializeSeed<'a> for Texts<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Texts<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text by keys")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry()? {
            (self.0)(Item::Text(key, value));
        }
        Ok(())
    }
}

impl<'a> Deserialize<'a> for Sizes {
    fn deserialize<D: Deserializer<'a>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(Self::default())
    }
}

impl<'a> Visitor<'a> for Sizes {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sizes of dimensions")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<Self, A::Error> {
        while let Some(size) = seq.next_element()? {
            if let Some(to) = self.first.get_mut(self.count) {
                *to = size;
            }
            self.count += 1;
        }
        Ok(self)
    }
}
