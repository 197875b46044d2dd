//! Units of work: the same for any number of threads.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use std::sync::Mutex;

use decora::mat::Layout;
use decora::scalar::Scalar;
use decora::sequence::Heads;

use super::block::{Group, rows_of};
use crate::blocked::team::{each, threads};
use crate::kernels::attention::Attend;

/// Units at least, where there are rows enough: each sums up on its own.
const UNITS: usize = 12;

/// Some queries of a group.
#[derive(Clone)]
pub(super) struct Unit<'a, T> {
    pub(super) group: Group<'a, T>,
    pub(super) queries: Range<usize>,
    /// The keys between the first that any of them sees and the last.
    pub(super) keys: Range<usize>,
}

impl<'a, T: Scalar> Unit<'a, T> {
    fn new(group: Group<'a, T>, queries: Range<usize>) -> Self {
        let (first, last) = (group.of.keys(queries.start), group.of.keys(queries.end - 1));
        Self { group, queries, keys: first.start..last.end.max(first.start) }
    }

    pub(super) fn rows(&self) -> Range<usize> {
        self.queries.start * self.group.share..self.queries.end * self.group.share
    }
}

/// Units group by group, those of the last queries first: they see the most.
pub(super) fn units<'a, T: Scalar>(of: &'a Attend<'a, T>) -> Vec<Unit<'a, T>> {
    let (Heads { heads, kv_heads, .. }, all) = (of.heads, of.q.at.rows);
    let share = heads / kv_heads.max(1);
    if share == 0 {
        return Vec::new();
    }
    let (block, count) = (rows_of(share) / share, UNITS.div_ceil(kv_heads.max(1)));
    let queries = all.div_ceil(count).max(1).next_multiple_of(block);
    let unit = move |number, start| {
        Unit::new(Group { of, number, share }, start..all.min(start + queries))
    };
    let starts = move || (0..all).step_by(queries).rev();
    (0..kv_heads).flat_map(|number| starts().map(move |start| unit(number, start))).collect()
}

/// Calls `f` on as many threads as so many multiply-adds pay for; each takes one of `of` after the other.
pub(super) fn spread<P: Send>(
    of: Vec<P>,
    work: usize,
    f: impl Fn(&mut dyn Iterator<Item = P>) + Sync,
) {
    let count = threads(work).min(of.len());
    let rest = Mutex::new(of.into_iter());
    each(vec![(); count], |()| f(&mut core::iter::from_fn(|| rest.lock().ok()?.next())));
}

/// The lines of a matrix.
pub(super) fn lines<X>(data: &mut [X], at: Layout) -> impl Iterator<Item = &mut [X]> {
    let lines = data.get_mut(at.offset..).unwrap_or_default();
    let lines = lines.chunks_mut(at.rs.max(at.cols).max(1)).take(at.rows);
    lines.map(move |line| line.get_mut(..at.cols).unwrap_or_default())
}

/// What of each line is of each unit: so many numbers of those of its queries.
pub(super) fn lines_of<'a, T: Scalar, X>(
    units: &[Unit<'_, T>],
    lines: impl Iterator<Item = &'a mut [X]>,
    width: usize,
) -> Vec<Vec<&'a mut [X]>> {
    let groups = units.last().map_or(0, |unit| unit.group.number + 1);
    let mut of_groups: Vec<_> = (0..groups).map(|_| Vec::new()).collect();
    for line in lines {
        for (group, part) in of_groups.iter_mut().zip(line.chunks_mut(width.max(1))) {
            group.push(part);
        }
    }
    let mut of = |unit: &Unit<'_, T>| match of_groups.get_mut(unit.group.number) {
        Some(lines) => lines.split_off(unit.queries.start.min(lines.len())),
        None => Vec::new(),
    };
    units.iter().map(&mut of).collect()
}
