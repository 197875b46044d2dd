//! A file whose every byte is accounted for.

use super::check::{check, tensor};
use super::header::{Item, walk};
use super::{FileError, PREFIX, Tensor};

/// The bytes of a file of tensors, checked as a whole.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    header: &'a [u8],
    data: &'a [u8],
    tensors: usize,
}

impl<'a> File<'a> {
    /// The file in `bytes`, all of it checked: the header is JSON of this format, followed by
    /// white space at most; every format is known, every shape fits its bytes, tensors lie side by
    /// side over all of the data, and no name stands twice. Values can be any: see
    /// [`Tensor::frozen`] and [`checkpoint`](crate::checkpoint) for those that must be finite.
    ///
    /// What this accepts, the format's own library accepts as the same tensors. Escapes may stand in the
    /// text of metadata alone: those of JSON, which are checked but not resolved.
    ///
    /// # Errors
    /// [`FileError`], naming what was found and what was expected. No bytes make this panic.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FileError> {
        let Some((length, rest)) = bytes.split_first_chunk::<PREFIX>() else {
            return Err(FileError::NoHeader { found: bytes.len() });
        };
        let found = u64::from_le_bytes(*length);
        let length = usize::try_from(found).ok();
        let Some((header, data)) = length.and_then(|n| rest.split_at_checked(n)) else {
            return Err(FileError::HeaderLength { found, expected: rest.len() });
        };
        Ok(Self { header, data, tensors: check(header, data)? })
    }

    /// How many tensors.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tensors
    }

    /// No tensors.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tensors == 0
    }

    /// The tensor of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<Tensor<'a>> {
        self.find(&mut |_, other| other == name)
    }

    /// The tensor whose name is all of `parts` one after the other, for names that stand nowhere
    /// as a whole.
    #[must_use]
    pub fn tensor_of(&self, parts: &[&str]) -> Option<Tensor<'a>> {
        self.find(&mut |_, name| is_all_of(name, parts))
    }

    /// All tensors, in the order of the header.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'a>> {
        let file = *self;
        (0..self.tensors).map_while(move |i| file.find(&mut |index, _| index == i))
    }

    /// The text that the metadata has under `key`, as it stands in the file: escapes are not
    /// resolved.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&'a str> {
        let mut value = None;
        // Checked when the file was parsed.
        let _ = walk(self.header, &mut |item| match item {
            Item::Text(other, text) if other == key => value = Some(text),
            _ => {}
        });
        value
    }

    /// The first tensor that `wanted` accepts, by number and name.
    fn find(&self, wanted: &mut dyn FnMut(usize, &str) -> bool) -> Option<Tensor<'a>> {
        let (mut found, mut index) = (None, 0);
        // Checked when the file was parsed.
        let _ = walk(self.header, &mut |item| {
            if let Item::Tensor(name, entry) = item {
                if found.is_none() && wanted(index, name) {
                    found = tensor(index, name, &entry, self.data).ok();
                }
                index += 1;
            }
        });
        found
    }
}

/// Whether `name` is all of `parts`, one after the other.
pub(crate) fn is_all_of(name: &str, parts: &[&str]) -> bool {
    let rest = parts.iter().try_fold(name, |rest, part| rest.strip_prefix(part));
    rest == Some("")
}
