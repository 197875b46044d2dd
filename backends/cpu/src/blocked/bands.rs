//! Rows of a matrix shared among threads.

use alloc::vec::Vec;
use core::ops::Range;

use decora::mat::Layout;
use decora::scalar::Element;

use super::team::{each, threads};
use crate::products::Place;

/// What an element of a pass over a matrix costs, in multiply-adds.
const PASS: usize = 24;

/// How many threads a pass over a matrix pays for.
pub(super) fn workers(at: Layout) -> usize {
    threads(at.rows.saturating_mul(at.cols).saturating_mul(PASS))
}

/// Bands of `rows` rows each: which they are, and where they lie.
pub(super) fn bands<E: Element>(
    (y, at): Place<'_, E>,
    rows: usize,
) -> Vec<(Range<usize>, Place<'_, E>)> {
    let mut rest = y.get_mut(at.offset..).unwrap_or_default();
    let mut bands = Vec::new();
    for first in (0..at.rows).step_by(rows) {
        let count = rows.min(at.rows - first);
        let len = (count * at.rs).min(rest.len());
        let (band, left) = core::mem::take(&mut rest).split_at_mut(len);
        bands.push((first..first + count, (band, Layout { offset: 0, rows: count, ..at })));
        rest = left;
    }
    bands
}

/// In at most `groups` groups of neighbours.
pub(super) fn grouped<P>(of: Vec<P>, groups: usize) -> Vec<Vec<P>> {
    let share = of.len().div_ceil(groups.max(1)).max(1);
    let mut all = Vec::with_capacity(groups);
    let mut rest = of.into_iter();
    loop {
        let group: Vec<P> = rest.by_ref().take(share).collect();
        if group.is_empty() {
            return all;
        }
        all.push(group);
    }
}

/// Calls `f` with each band, on as many threads as pay.
pub(super) fn shared<E: Element>(y: Place<'_, E>, f: impl Fn(Range<usize>, Place<'_, E>) + Sync) {
    let (all, workers) = (y.1.rows, workers(y.1));
    if workers == 1 {
        return f(0..all, y);
    }
    each(bands(y, all.div_ceil(workers).max(1)), |(rows, band)| f(rows, band));
}
