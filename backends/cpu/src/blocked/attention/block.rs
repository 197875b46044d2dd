//! Blocks: some rows of scores, and the keys that they see.

use alloc::vec::Vec;
use core::ops::Range;

use decora::scalar::Scalar;

use super::product::Need;
use super::units::Unit;
use crate::blocked::lane::{LINE, soon};
use crate::blocked::math::SIDE;
use crate::kernels::attention::Attend;
use crate::products::Operand;

/// Rows of scores that are in memory at once, for each thread; more only where more heads share keys.
const ROWS: usize = 72;

/// The rows of a block when so many heads share a head of keys: those of whole queries.
pub(super) const fn rows_of(share: usize) -> usize {
    ROWS.next_multiple_of(share)
}

/// Numbers behind a row of scores: a tile of columns reads beyond the last, and rows do not all fall in
/// the same places of a cache.
const BEHIND: usize = 16;

/// Heads of queries that share a head of keys. A row of scores for each query and head: those of one query
/// are neighbours.
#[derive(Clone, Copy)]
pub(super) struct Group<'a, T> {
    pub(super) of: &'a Attend<'a, T>,
    /// Which head of keys.
    pub(super) number: usize,
    /// How many heads share it.
    pub(super) share: usize,
}

impl<'a, T: Scalar> Group<'a, T> {
    /// The number of a row among those of all queries and heads.
    pub(super) fn index(&self, row: usize) -> usize {
        let (query, head) = (row / self.share, row % self.share);
        query * self.of.heads.heads + self.number * self.share + head
    }

    /// A row of Q, O or dO.
    pub(super) fn row(&self, of: Operand<'a, T>, row: usize) -> &'a [T] {
        let (query, head) = (row / self.share, self.number * self.share + row % self.share);
        let start = of.at.offset + query * of.at.rs + head * self.of.heads.dim;
        of.data.get(start..start + self.of.heads.dim).unwrap_or_default()
    }

    /// Asks for a row of Q, O or dO, which is read soon.
    pub(super) fn fetch(&self, of: Operand<'a, T>, row: usize) {
        self.row(of, row).chunks(LINE / size_of::<T>()).for_each(soon);
    }
}

/// Neighbouring rows whose keys have no gap between them, or that see none: keys that nobody sees are
/// never read. Columns of scores are counted from the start of a panel.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    /// The key of the first column, counted from the first of the unit.
    pub(super) base: usize,
    /// From one row of scores to the next.
    pub(super) stride: usize,
    /// The columns that each row sees. Neither starts nor ends step back.
    pub(super) spans: Vec<Range<usize>>,
}

impl Block {
    /// The rows of a unit in blocks, for panels so wide.
    pub(super) fn all<T: Scalar>(of: &Unit<'_, T>, width: usize) -> impl Iterator<Item = Self> {
        let mut rest = of.rows();
        core::iter::from_fn(move || {
            let block = (!rest.is_empty()).then(|| Self::new(of, rest.clone(), width))?;
            rest.start = block.rows.end;
            Some(block)
        })
    }

    /// The first of these rows.
    fn new<T: Scalar>(of: &Unit<'_, T>, among: Range<usize>, width: usize) -> Self {
        let (share, first) = (of.group.share, of.keys.start);
        let mut spans: Vec<Range<usize>> = Vec::with_capacity(rows_of(share));
        for row in among.clone().take(rows_of(share)) {
            let next = of.group.of.keys(row / share);
            let fits = |last: &Range<usize>| {
                next.is_empty() == last.is_empty() && (next.is_empty() || next.start <= last.end)
            };
            if !spans.last().is_none_or(fits) {
                break;
            }
            spans.push(next);
        }
        let start = spans.first().filter(|span| !span.is_empty()).map_or(first, |span| span.start);
        let base = (start - first) / width.max(SIDE) * width.max(SIDE);
        let from = first + base;
        let columns = |span: Range<usize>| match span.is_empty() {
            true => 0..0,
            false => span.start - from..span.end - from,
        };
        let spans: Vec<_> = spans.into_iter().map(columns).collect();
        let columns = spans.last().map_or(0, |span| span.end);
        let stride = columns.next_multiple_of(width.max(SIDE)) + BEHIND;
        Self { rows: among.start..among.start + spans.len(), base, stride, spans }
    }

    /// Columns that any row sees end here.
    pub(super) fn columns(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    /// The columns that any of some rows sees.
    fn seen(&self, rows: &Range<usize>) -> Range<usize> {
        let span = |i: usize| self.spans.get(i).cloned().unwrap_or_default();
        span(rows.start).start..span(rows.end.saturating_sub(1)).end
    }

    /// Of scores: all k.
    pub(super) fn scores(&self, depth: usize) -> impl Fn(Range<usize>) -> Need {
        move |rows| Need { k: 0..depth, cols: self.seen(&rows) }
    }

    /// Of sums over keys, for each row.
    pub(super) fn over_keys(&self, cols: usize) -> impl Fn(Range<usize>) -> Need {
        move |rows| Need { k: self.seen(&rows), cols: 0..cols }
    }

    /// Of sums over rows, for each key from column `first` on.
    pub(super) fn over_rows(&self, first: usize, cols: usize) -> impl Fn(Range<usize>) -> Need {
        move |keys| {
            let start = self.spans.partition_point(|span| span.end <= first + keys.start);
            let end = self.spans.partition_point(|span| span.start < first + keys.end);
            Need { k: start..end.max(start), cols: 0..cols }
        }
    }
}
