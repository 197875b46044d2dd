//! What goes into a transformer: tokens, where they are, and what they see.

use super::saved::columns;
use super::shape::Shape;
use crate::backend::{AccumOf, Backend};
use crate::buffer::{Acc, Act, Index};
use crate::error::{Error, same};
use crate::mat::{Layout, Mat, MatMut};
use crate::scalar::Accum;
use crate::sequence::{Sequence, Turn};

/// The tokens of one pass: sequences one after the other, a row for each token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Token numbers.
    pub ids: &'a [u32],
    /// The position of each in its sequence.
    pub positions: &'a [u32],
    /// The kind of segment of each; may be empty where there are no embeddings of types.
    pub types: &'a [u32],
    /// The rows that each sees, first and one past the last, as [`Attention`](crate::sequence::Attention)
    /// has them. Where blocks have a [window](Shape::window), it takes of these.
    pub spans: &'a [u32],
    /// The row of each sequence that is classified, where whole sequences are: its first token (BERT) or
    /// its last.
    pub picks: &'a [u32],
}

/// cos and sin of every position and pair, for [`Sequence::rotate`].
#[derive(Debug)]
pub struct Angles<B: Backend> {
    table: B::Buf<Acc>,
    positions: usize,
    dim: usize,
}

/// Row `position` of the table of [`Angles`], cos before sin: position·frequency for each of dim/2
/// frequencies; cos and sin are multiplied by `scale` (1, but for some scaled embeddings).
///
/// The product is rounded to `f32` first, as transformers does.
pub fn angles<A: Accum>(position: usize, frequencies: &[f32], scale: f64, row: &mut [A]) {
    let (cos, sin) = row.split_at_mut(row.len() / 2);
    for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(frequencies) {
        let angle = f64::from(position as f32 * frequency);
        (*cos, *sin) = (A::of(libm::cos(angle) * scale), A::of(libm::sin(angle) * scale));
    }
}

impl<B: Backend> Angles<B> {
    /// A table of `dim` numbers for each position, made by [`angles`].
    ///
    /// # Errors
    /// [`Error::Shape`] when the table is no whole number of rows; device errors.
    pub fn new(be: &mut B, table: &[AccumOf<B>], dim: usize) -> Result<Self, Error<B::Error>> {
        let positions = table.len().checked_div(dim).unwrap_or_default();
        same("angles (numbers)", (table.len(), 1), (positions * dim, 1))?;
        let mut buf = be.alloc::<Acc>(table.len())?;
        be.write::<Acc>(&mut buf, 0, table)?;
        Ok(Self { table: buf, positions, dim })
    }
}

/// The numbers whose embeddings are learned: those of the tokens, but no row where they are padding.
#[derive(Debug)]
struct Learned<B: Backend> {
    ids: B::Buf<Index>,
    padding: u32,
}

/// The spans of blocks with a window.
#[derive(Debug)]
struct Windowed<B: Backend> {
    spans: B::Buf<Index>,
    window: usize,
}

/// Numbers on the way to the device at a time: an even number, spans being two.
const CHUNK: usize = 128;

impl<B: Backend> Learned<B> {
    fn new(be: &mut B, rows: usize, padding: u32) -> Result<Self, B::Error> {
        Ok(Self { ids: be.alloc::<Index>(rows)?, padding })
    }

    fn load(&mut self, be: &mut B, ids: &[u32]) -> Result<(), B::Error> {
        let mut chunk = [0; CHUNK];
        for (i, ids) in ids.chunks(CHUNK).enumerate() {
            let learned = |&id| if id == self.padding { u32::MAX } else { id };
            chunk.iter_mut().zip(ids).for_each(|(to, id)| *to = learned(id));
            let chunk = chunk.get(..ids.len()).unwrap_or_default();
            be.write::<Index>(&mut self.ids, i * CHUNK, chunk)?;
        }
        Ok(())
    }
}

impl<B: Backend> Windowed<B> {
    fn new(be: &mut B, rows: usize, window: usize) -> Result<Self, B::Error> {
        Ok(Self { spans: be.alloc::<Index>(2 * rows)?, window })
    }

    fn load(&mut self, be: &mut B, spans: &[u32]) -> Result<(), B::Error> {
        let mut chunk = [0; CHUNK];
        for (i, spans) in spans.chunks(CHUNK).enumerate() {
            narrow(spans, self.window, &mut chunk);
            let chunk = chunk.get(..spans.len()).unwrap_or_default();
            be.write::<Index>(&mut self.spans, i * CHUNK, chunk)?;
        }
        Ok(())
    }
}

/// The last `window` rows of each span, or all where it has no more.
fn narrow(spans: &[u32], window: usize, to: &mut [u32]) {
    let window = u32::try_from(window).unwrap_or(u32::MAX);
    let (from, to) = (spans.as_chunks::<2>().0, to.as_chunks_mut::<2>().0);
    for (&[start, end], to) in from.iter().zip(to) {
        *to = [start.max(end.saturating_sub(window)), end];
    }
}

/// The tokens of a pass, on the device.
#[derive(Debug)]
pub(super) struct Inputs<B: Backend> {
    pub(super) ids: B::Buf<Index>,
    learned: Option<Learned<B>>,
    pub(super) positions: B::Buf<Index>,
    pub(super) types: B::Buf<Index>,
    spans: B::Buf<Index>,
    windowed: Option<Windowed<B>>,
    pub(super) angles: Option<Angles<B>>,
}

impl<B: Sequence> Inputs<B> {
    pub(super) fn new(
        be: &mut B,
        shape: &Shape,
        angles: Option<Angles<B>>,
        padding: Option<u32>,
    ) -> Result<Self, B::Error> {
        let rows = shape.rows;
        Ok(Self {
            ids: be.alloc::<Index>(rows)?,
            learned: padding.map(|padding| Learned::new(be, rows, padding)).transpose()?,
            positions: be.alloc::<Index>(rows)?,
            types: be.alloc::<Index>(rows)?,
            spans: be.alloc::<Index>(2 * rows)?,
            windowed: shape.window.map(|w| Windowed::new(be, rows, w)).transpose()?,
            angles,
        })
    }

    /// The rows of the table of tokens that get a gradient.
    pub(super) fn learned(&self) -> &B::Buf<Index> {
        self.learned.as_ref().map_or(&self.ids, |learned| &learned.ids)
    }

    /// What each row sees in a block, windowed or not.
    pub(super) fn spans(&self, windowed: bool) -> &B::Buf<Index> {
        let narrow = self.windowed.as_ref().filter(|_| windowed);
        narrow.map_or(&self.spans, |windowed| &windowed.spans)
    }

    /// Puts a batch on the device.
    pub(super) fn load(&mut self, be: &mut B, batch: &Batch<'_>) -> Result<(), Error<B::Error>> {
        let n = batch.ids.len();
        same("positions (number)", (batch.positions.len(), 1), (n, 1))?;
        same("spans (numbers)", (batch.spans.len(), 1), (2 * n, 1))?;
        ordered(batch.spans)?;
        if let (Some(angles), Some(&last)) = (&self.angles, batch.positions.iter().max())
            && last as usize >= angles.positions
        {
            let (found, expected) = (last as usize + 1, angles.positions);
            return Err(Error::capacity("positions", found, expected));
        }
        be.write::<Index>(&mut self.ids, 0, batch.ids)?;
        if let Some(learned) = &mut self.learned {
            learned.load(be, batch.ids)?;
        }
        be.write::<Index>(&mut self.positions, 0, batch.positions)?;
        be.write::<Index>(&mut self.spans, 0, batch.spans)?;
        if let Some(windowed) = &mut self.windowed {
            windowed.load(be, batch.spans)?;
        }
        if !batch.types.is_empty() {
            same("types (number)", (batch.types.len(), 1), (n, 1))?;
            be.write::<Index>(&mut self.types, 0, batch.types)?;
        }
        Ok(())
    }

    /// Turns queries and keys that lie beside values.
    pub(super) fn rotate(
        &self,
        be: &mut B,
        shape: &Shape,
        n: usize,
        qkv: &mut B::Buf<Act>,
    ) -> Result<(), B::Error> {
        let [q, k, _] = columns(shape, n);
        for at in [q, k] {
            self.turned(be, Turn::Ahead, MatMut { buf: &mut *qkv, at })?;
        }
        Ok(())
    }

    /// Turns the gradients of queries and keys back.
    pub(super) fn turn_back(
        &self,
        be: &mut B,
        shape: &Shape,
        n: usize,
        [q, k, _]: &mut [B::Buf<Act>; 3],
    ) -> Result<(), B::Error> {
        let at = |cols| Layout::row_major(0, n, cols);
        self.turned(be, Turn::Back, MatMut { buf: q, at: at(shape.heads.width()) })?;
        self.turned(be, Turn::Back, MatMut { buf: k, at: at(shape.heads.kv_width()) })
    }

    fn turned(&self, be: &mut B, turn: Turn, x: MatMut<'_, B, Act>) -> Result<(), B::Error> {
        let Some(Angles { table, positions, dim }) = &self.angles else { return Ok(()) };
        let table = Mat { buf: table, at: Layout::row_major(0, *positions, *dim) };
        be.rotate(turn, table, &self.positions, x)
    }
}

/// `Ok` when no span ends before it starts, and neither starts nor ends step back: gradients of keys
/// rest on it.
fn ordered<E>(spans: &[u32]) -> Result<(), Error<E>> {
    let (pairs, _) = spans.as_chunks::<2>();
    let (mut start, mut end) = (0, 0);
    for &[first, last] in pairs {
        if first < start || last < end || last < first {
            let found = f64::from(if first < start { first } else { last });
            let expected = "spans that start and end no earlier than those before them";
            return Err(Error::out_of_range("span of a row", found, expected));
        }
        (start, end) = (first, last);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ShapeError;

    #[test]
    fn spans_never_step_back() {
        let ok = |spans: &[u32]| ordered::<ShapeError>(spans).is_ok();
        assert!(ok(&[0, 1, 0, 2, 2, 3, 2, 4]) && ok(&[]) && ok(&[3, 3]));
        assert!(!ok(&[0, 2, 0, 1]), "an end");
        assert!(!ok(&[1, 2, 0, 2]), "a start");
        assert!(!ok(&[2, 1]), "an end before its start");
    }

    #[test]
    fn a_window_takes_the_last_rows_of_a_span() {
        let mut to = [9; 12];
        narrow(&[0, 1, 0, 3, 0, 4, 4, 5, 4, 9], 3, &mut to);
        assert_eq!(to, [0, 1, 0, 3, 1, 4, 4, 5, 6, 9, 9, 9]);
        narrow(&[0, 5, 2, 2], usize::MAX, &mut to);
        assert_eq!(to[..4], [0, 5, 2, 2]);
    }
}
