//! Attention by products: some queries of one head at a time, with all the keys that they see.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::Scalar;
use decora::sequence::Heads;
use pulp::{Arch, Simd, WithSimd};

use super::lane::Lane;
use super::team::{each, threads};
use super::{alone, math};
use crate::kernels::attention::{Attend, Backward};
use crate::kernels::row_mut;
use crate::products::{Operand, Place};

/// Queries at a time: scores of so many are in memory at once, for each thread.
const QUERIES: usize = 64;

/// Keys are counted in whole tiles of a product.
const TILE: usize = 8;

/// Scores of some queries and the keys that they see, a row for each query.
struct Scores<A> {
    /// Where the queries are.
    queries: Range<usize>,
    /// Where the keys are that any of them sees.
    keys: Range<usize>,
    /// From one row to the next.
    stride: usize,
    all: Vec<A>,
}

impl<A: Lane> Scores<A> {
    fn new<T: Scalar>(of: &Attend<'_, T>, queries: Range<usize>) -> Self {
        let last = queries.end.saturating_sub(1);
        let keys = match of.keys(queries.start) {
            none if none.is_empty() => 0..0,
            first => first.start..of.keys(last).end,
        };
        let stride = keys.len().next_multiple_of(TILE).max(TILE);
        let (mut all, len) = (A::take(), queries.len() * stride);
        all.resize(all.len().max(len), A::default());
        Self { all, queries, keys, stride }
    }

    fn lines(&mut self) -> Vec<&mut [A]> {
        let keys = self.keys.len();
        let lines = self.all.chunks_mut(self.stride).take(self.queries.len());
        lines.map(|line| line.get_mut(..keys).unwrap_or_default()).collect()
    }

    /// What becomes of the scores of each query: of those that it sees, by `f`; others are 0.
    fn rows<T: Scalar>(&mut self, of: &Attend<'_, T>, mut f: impl FnMut(usize, &mut [A])) {
        let (first, start) = (self.queries.start, self.keys.start);
        for (i, line) in self.all.chunks_mut(self.stride).take(self.queries.len()).enumerate() {
            let seen = of.keys(first + i);
            let seen = seen.start.max(start) - start..seen.end.max(start) - start;
            line.iter_mut().take(seen.start).for_each(|x| *x = A::default());
            line.iter_mut().skip(seen.end.max(seen.start)).for_each(|x| *x = A::default());
            f(i, line.get_mut(seen).unwrap_or_default());
        }
    }

    /// As a left operand.
    fn of(&self) -> Operand<'_, A> {
        let (rows, cols) = (self.queries.len(), self.keys.len());
        let at = Layout { offset: 0, rows, cols, rs: self.stride, cs: 1 };
        Operand { data: &self.all, at }
    }

    /// The transpose as a left operand, with rows of zeros behind.
    fn turned(&self) -> Operand<'_, A> {
        let at = Layout::row_major(0, self.queries.len(), self.stride).t();
        Operand { data: &self.all, at }
    }
}

/// The first of these queries whose keys have no gap between them, or that see none: keys that nobody sees
/// are never read.
fn neighbours<T: Scalar>(of: &Attend<'_, T>, among: Range<usize>) -> Range<usize> {
    let first = among.start;
    let mut seen = of.keys(first);
    let fits = |next: &Range<usize>, seen: &Range<usize>| {
        next.is_empty() == seen.is_empty() && (next.is_empty() || next.start <= seen.end)
    };
    let mut end = first + 1;
    while end < among.end.min(first + QUERIES) {
        let next = of.keys(end);
        if !fits(&next, &seen) {
            break;
        }
        (seen, end) = (next, end + 1);
    }
    first..end
}

/// Head `h` of some rows.
fn head<'a, T>(of: Operand<'a, T>, rows: &Range<usize>, h: usize, dim: usize) -> Operand<'a, T> {
    let offset = of.at.offset + rows.start * of.at.rs + h * dim;
    Operand { data: of.data, at: Layout { offset, rows: rows.len(), cols: dim, ..of.at } }
}

/// Softmax of one row: x becomes exp(x)/Σ exp(x). Answers ln Σ exp(x).
struct Softmax<'a, A>(&'a mut [A]);

impl<A: Lane> WithSimd for Softmax<'_, A> {
    type Output = A;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> A {
        let Some(&first) = self.0.first() else { return A::default() };
        let max = math::max(self.0, first);
        self.0.iter_mut().for_each(|x| *x = math::exp(*x - max));
        let sum = math::sum(self.0, self.0, |x, _| x);
        let inverse = A::of(1.0) / sum;
        self.0.iter_mut().for_each(|x| *x *= inverse);
        max + sum.ln()
    }
}

/// One head of the outputs, a line for each query.
struct Task<'a, T, A> {
    head: usize,
    /// The first query.
    first: usize,
    lines: Vec<&'a mut [T]>,
    lse: Vec<&'a mut A>,
}

/// O = softmax(scale·Q·Kᵀ)·V, and ln Σ exp(score).
pub(super) fn forward<T: Scalar, A: Lane>(
    of: Attend<'_, T>,
    o: &mut [T],
    at: Layout,
    lse: &mut [A],
) {
    let Heads { heads, dim, .. } = of.heads;
    let mut tasks = tasks(o, at, &of.heads);
    for (i, lse) in lse.iter_mut().take(at.rows * heads).enumerate() {
        if let Some(task) = tasks.get_mut(i % heads.max(1)) {
            task.lse.push(lse);
        }
    }
    // The last queries first: they see the most.
    let parts = tasks.into_iter().flat_map(|task| task.parts(QUERIES)).rev();
    spread(parts.collect(), at.rows * of.k.at.rows * heads * dim, |task| of_head(&of, task));
}

/// Calls `f` with each of `of`: on one thread if so many multiply-adds pay for no other.
fn spread<P: Send>(of: Vec<P>, work: usize, f: impl Fn(P) + Sync) {
    match threads(work) {
        1 => of.into_iter().for_each(f),
        _ => each(of, f),
    }
}

impl<'a, T, A> Task<'a, T, A> {
    /// The same in parts, of so many queries each.
    fn parts(self, queries: usize) -> Vec<Self> {
        let Self { head, mut first, lines, lse } = self;
        let count = lines.len().div_ceil(queries.max(1));
        let (mut lines, mut lse) = (lines.into_iter(), lse.into_iter());
        let mut part = || {
            let lines: Vec<_> = lines.by_ref().take(queries).collect();
            let part = Self { head, first, lse: lse.by_ref().take(lines.len()).collect(), lines };
            first += part.lines.len();
            part
        };
        (0..count).map(|_| part()).collect()
    }
}

/// The outputs of each head.
fn tasks<'a, T, A>(o: &'a mut [T], at: Layout, heads: &Heads) -> Vec<Task<'a, T, A>> {
    let task = |head| Task { head, first: 0, lines: Vec::new(), lse: Vec::new() };
    let mut tasks: Vec<_> = (0..heads.heads).map(task).collect();
    let lines = o.get_mut(at.offset..).unwrap_or_default().chunks_mut(at.rs.max(at.cols).max(1));
    for line in lines.take(at.rows) {
        let line = line.get_mut(..at.cols).unwrap_or_default();
        for (task, part) in tasks.iter_mut().zip(line.chunks_mut(heads.dim.max(1))) {
            task.lines.push(part);
        }
    }
    tasks
}

fn of_head<T: Scalar, A: Lane>(of: &Attend<'_, T>, task: Task<'_, T, A>) {
    let (h, dim) = (task.head, of.heads.dim);
    let (mut first, end) = (task.first, task.first + task.lines.len());
    let (mut lines, mut lse) = (task.lines.into_iter(), task.lse.into_iter());
    while first < end {
        let mut scores = scores::<T, A>(of, h, first..end);
        let queries = scores.queries.len();
        first += queries;
        let mut sums = lse.by_ref().take(queries);
        scores.rows(of, |_, row| {
            let sum = Arch::new().dispatch(Softmax(row));
            if let Some(lse) = sums.next() {
                *lse = sum;
            }
        });
        let v = head(of.v, &scores.keys, of.shared(h), dim);
        let lines = lines.by_ref().take(queries).collect();
        alone(A::of(1.0), scores.of(), v, Store::Replace, lines);
        A::keep(scores.all);
    }
}

/// scale·Q·Kᵀ of head `h` and the first of these queries.
fn scores<T: Scalar, A: Lane>(of: &Attend<'_, T>, h: usize, among: Range<usize>) -> Scores<A> {
    let Heads { dim, scale, .. } = of.heads;
    let mut scores = Scores::new(of, neighbours(of, among));
    let q = head(of.q, &scores.queries, h, dim);
    let k = head(of.k, &scores.keys, of.shared(h), dim);
    alone(A::of(scale), q, k.t(), Store::Replace, scores.lines());
    scores
}

/// The gradients of keys and values from one head, a row for each key.
struct Keys<A> {
    dk: Vec<A>,
    dv: Vec<A>,
}

/// dQ, dK and dV; `dots` is D = Σ dO⊙O for each row and head.
pub(super) fn backward<T: Scalar, A: Lane>(
    of: &Backward<'_, T>,
    (lse, dots): (&[A], &[A]),
    [(dq, dq_at), (dk, dk_at), (dv, dv_at)]: [Place<'_, T>; 3],
) {
    let Heads { heads, kv_heads, dim, .. } = of.of.heads;
    let room = (dk_at.rows + TILE) * dim;
    let mut of_keys: Vec<_> = (0..heads)
        .map(|_| Keys { dk: vec![A::default(); room], dv: vec![A::default(); room] })
        .collect();
    let work = 3 * dq_at.rows * dk_at.rows * heads * dim;
    let parts = tasks(dq, dq_at, &of.of.heads).into_iter().zip(&mut of_keys).collect();
    spread(parts, work, |(task, keys)| head_grad(of, (lse, dots), task, keys));
    let share = heads / kv_heads.max(1);
    for shared in 0..kv_heads {
        let group = of_keys.get(shared * share..(shared + 1) * share).unwrap_or_default();
        let start = shared * dim;
        for j in 0..dk_at.rows {
            let parts = group.iter().map(|keys| keys.dk.get(j * dim..).unwrap_or_default());
            add_up(parts, row_mut(dk, dk_at, j).get_mut(start..start + dim).unwrap_or_default());
            let parts = group.iter().map(|keys| keys.dv.get(j * dim..).unwrap_or_default());
            add_up(parts, row_mut(dv, dv_at, j).get_mut(start..start + dim).unwrap_or_default());
        }
    }
}

fn add_up<'a, T: Scalar, A: Lane>(parts: impl Iterator<Item = &'a [A]> + Clone, to: &mut [T]) {
    for (i, to) in to.iter_mut().enumerate() {
        let at = |part: &[A]| part.get(i).copied().unwrap_or_default();
        *to = T::store(parts.clone().fold(A::default(), |sum, part| sum + at(part)));
    }
}

fn head_grad<T: Scalar, A: Lane>(
    back: &Backward<'_, T>,
    (lse, dots): (&[A], &[A]),
    task: Task<'_, T, A>,
    keys: &mut Keys<A>,
) {
    let (of, h) = (&back.of, task.head);
    let Heads { heads, dim, scale, .. } = of.heads;
    let mut lines = task.lines.into_iter();
    let (mut next, end) = (0, of.q.at.rows);
    while next < end {
        let first = next;
        let mut p = scores::<T, A>(of, h, first..end);
        let at = |of: &[A], i: usize| of.get((first + i) * heads + h).copied().unwrap_or_default();
        p.rows(of, |i, row| Arch::new().dispatch(Exp(row, at(lse, i))));
        next += p.queries.len();
        let mut ds = Scores::<A>::new(of, p.queries.clone());
        let d_o = head(back.d_o, &p.queries, h, dim);
        let v = head(of.v, &p.keys, of.shared(h), dim);
        alone(A::of(1.0), d_o, v.t(), Store::Replace, ds.lines());
        let pairs = ds.all.chunks_mut(p.stride).zip(p.all.chunks(p.stride));
        for (i, (ds, p)) in pairs.take(p.queries.len()).enumerate() {
            match of.keys(first + i).len() {
                1 => ds.fill(A::default()),
                _ => Arch::new().dispatch(Slope(ds, p, at(dots, i))),
            }
        }
        let k = head(of.k, &p.keys, of.shared(h), dim);
        let to = lines.by_ref().take(p.queries.len()).collect();
        alone(A::of(scale), ds.of(), k, Store::Replace, to);
        let q = head(of.q, &p.queries, h, dim);
        let rows = p.keys.start * dim..(p.keys.start + p.stride) * dim;
        alone(A::of(scale), ds.turned(), q, Store::Add, rows_of(&mut keys.dk, &rows, dim));
        alone(A::of(1.0), p.turned(), d_o, Store::Add, rows_of(&mut keys.dv, &rows, dim));
        A::keep(p.all);
        A::keep(ds.all);
    }
}

fn rows_of<'a, A>(of: &'a mut [A], place: &Range<usize>, dim: usize) -> Vec<&'a mut [A]> {
    of.get_mut(place.clone()).unwrap_or_default().chunks_mut(dim.max(1)).collect()
}

/// x becomes exp(x − the second).
struct Exp<'a, A>(&'a mut [A], A);

impl<A: Lane> WithSimd for Exp<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.iter_mut().for_each(|x| *x = math::exp(*x - self.1));
    }
}

/// dS = P⊙(dP − D), in place of dP; 0 where P is, whatever dP is there. Of the only key of a query dP is D.
struct Slope<'a, A>(&'a mut [A], &'a [A], A);

impl<A: Lane> WithSimd for Slope<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let zero = A::default();
        for (ds, &p) in self.0.iter_mut().zip(self.1) {
            let slope = p * (*ds - self.2);
            *ds = if p == zero { zero } else { slope };
        }
    }
}
