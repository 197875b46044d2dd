//! What makes a header and data a file.

use super::header::{Entry, Item, walk};
use super::{Dims, Dtype, FileError, Tensor};

/// How many tensors a file with this header and data has.
///
/// # Errors
/// [`FileError`].
pub(super) fn check(header: &[u8], data: &[u8]) -> Result<usize, FileError> {
    let mut names = Names::new(header);
    let (mut tensors, mut bytes, mut result) = (0, Some(0usize), Ok(()));
    let walked = walk(header, &mut |item| {
        if result.is_ok() {
            result = names.add(&item, tensors);
        }
        if let (Item::Tensor(name, entry), Ok(())) = (item, result) {
            result = tensor(tensors, name, &entry, data).map(|t| {
                bytes = bytes.and_then(|sum| sum.checked_add(t.data.len()));
                tensors += 1;
            });
        }
    });
    walked.map_err(|tensor| FileError::Json { tensor })?;
    result?;
    side_by_side(header, data.len(), bytes)?;
    Ok(tensors)
}

/// The tensor that an entry describes.
///
/// # Errors
/// [`FileError`] naming what makes it none.
pub(super) fn tensor<'a>(
    index: usize,
    name: &'a str,
    entry: &Entry<'_>,
    data: &'a [u8],
) -> Result<Tensor<'a>, FileError> {
    let dtype = Dtype::named(entry.dtype).ok_or(FileError::Dtype { tensor: index })?;
    let found = entry.shape.count;
    let Some(sizes) = entry.shape.first.get(..found) else {
        let expected = entry.shape.first.len();
        return Err(FileError::Dimensions { tensor: index, found, expected });
    };
    let dims = dims(sizes);
    let expected = dims.and_then(|dims| dims.elements()?.checked_mul(dtype.bytes()));
    let bytes = range(entry).and_then(|(from, to)| data.get(from..to));
    match (dims, bytes) {
        (Some(dims), Some(data)) if Some(data.len()) == expected => {
            Ok(Tensor { index, name, dtype, dims, data })
        }
        _ => {
            let (found, available) = (entry.data_offsets, data.len());
            Err(FileError::Offsets { tensor: index, found, expected, available })
        }
    }
}

fn dims(sizes: &[u64]) -> Option<Dims> {
    let mut room = [0; super::MAX_DIMENSIONS];
    for (to, &size) in room.iter_mut().zip(sizes) {
        *to = usize::try_from(size).ok()?;
    }
    Dims::new(room.get(..sizes.len())?)
}

/// First byte, and one past the last; `None` when no memory has such bytes.
fn range(entry: &Entry<'_>) -> Option<(usize, usize)> {
    let (from, to) = entry.data_offsets;
    Some((usize::try_from(from).ok()?, usize::try_from(to).ok()?))
}

/// `Ok` when tensors of `bytes` in all cover `available` bytes, each byte once.
///
/// From the first byte on, each walk goes from the tensors that begin where the last one ended; in a
/// file in order, one walk goes to the end.
fn side_by_side(header: &[u8], available: usize, bytes: Option<usize>) -> Result<(), FileError> {
    let mut end = 0;
    while end < available {
        let start = end;
        each_range(header, &mut |from, to| end = if from == end { to } else { end });
        if end == start {
            return Err(FileError::Overlap { at: start, available });
        }
    }
    // What the walk did not pass through makes the sum larger.
    match bytes == Some(available) {
        true => empty_between(header, available),
        false => Err(FileError::Overlap { at: available, available }),
    }
}

/// `Ok` when no tensor without elements lies inside of another.
fn empty_between(header: &[u8], available: usize) -> Result<(), FileError> {
    let mut result = Ok(());
    each_range(header, &mut |at, end| {
        if at == end {
            each_range(header, &mut |from, to| {
                if from < at && at < to {
                    result = Err(FileError::Overlap { at, available });
                }
            });
        }
    });
    result
}

fn each_range(header: &[u8], each: &mut dyn FnMut(usize, usize)) {
    // What is wrong with the JSON was found before.
    let _ = walk(header, &mut |item| {
        if let Item::Tensor(_, entry) = item
            && let Some((from, to)) = range(&entry)
        {
            each(from, to);
        }
    });
}

/// The names so far, each of them once.
struct Names<'a> {
    header: &'a [u8],
    /// The last in order, of tensors and of metadata: what comes after it is new.
    last: [Option<&'a str>; 2],
    /// How many names came before.
    count: usize,
}

impl<'a> Names<'a> {
    const fn new(header: &'a [u8]) -> Self {
        Self { header, last: [None; 2], count: 0 }
    }

    fn add(&mut self, item: &Item<'a>, tensor: usize) -> Result<(), FileError> {
        let (kind, name) = named(item);
        let value = if let Item::Text(_, value) = item { value } else { "" };
        let control = name.bytes().chain(value.bytes()).any(|b| b < b' ');
        if control || name.contains('\\') {
            return Err(FileError::Text { tensor });
        }
        let [tensors, texts] = &mut self.last;
        let last = if kind { tensors } else { texts };
        let new = *last < Some(name);
        if new {
            *last = Some(name);
        }
        self.count += 1;
        match new || !self.came_before(kind, name) {
            true => Ok(()),
            false => Err(FileError::Duplicate { tensor }),
        }
    }

    fn came_before(&self, kind: bool, name: &str) -> bool {
        let (mut left, mut found) = (self.count - 1, false);
        // What is wrong with the JSON is found by the walk that asks.
        let _ = walk(self.header, &mut |item| {
            found |= left > 0 && named(&item) == (kind, name);
            left = left.saturating_sub(1);
        });
        found
    }
}

/// Whether it is a tensor, and its name.
fn named<'a>(item: &Item<'a>) -> (bool, &'a str) {
    match item {
        Item::Tensor(name, _) => (true, name),
        Item::Text(key, _) => (false, key),
    }
}
