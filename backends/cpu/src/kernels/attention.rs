//! Attention, one query and one head at a time; scores are computed anew wherever they are needed.

use core::ops::Range;

use decora::mat::Layout;
use decora::scalar::{Accum, Scalar};
use decora::sequence::Heads;

use super::{row, row_mut};
use crate::products::Operand;

/// Columns that are summed up at a time, in numbers that the stack holds.
const WIDE: usize = 64;

/// Operands of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Attend<'a, T> {
    pub(crate) heads: Heads,
    pub(crate) q: Operand<'a, T>,
    pub(crate) k: Operand<'a, T>,
    pub(crate) v: Operand<'a, T>,
    pub(crate) spans: &'a [u32],
}

impl<'a, T: Scalar> Attend<'a, T> {
    /// The keys that query `t` sees.
    pub(crate) fn keys(&self, t: usize) -> Range<usize> {
        let bound = |i| self.spans.get(i).map_or(0, |&x| (x as usize).min(self.k.at.rows));
        bound(2 * t)..bound(2 * t + 1)
    }

    /// The queries that see key `j`: spans never step back, so they are neighbours.
    fn queries(&self, j: usize) -> Range<usize> {
        let spans = self.spans.get(..2 * self.q.at.rows).unwrap_or_default();
        let (pairs, _) = spans.as_chunks::<2>();
        let first = pairs.partition_point(|&[_, end]| end as usize <= j);
        first..pairs.partition_point(|&[start, _]| start as usize <= j)
    }

    /// The head of keys that head `h` of queries sees.
    pub(crate) fn shared(&self, h: usize) -> usize {
        h * self.heads.kv_heads / self.heads.heads.max(1)
    }

    fn head(&self, of: Operand<'a, T>, t: usize, h: usize) -> &'a [T] {
        let start = h * self.heads.dim;
        row(of.data, of.at, t).get(start..start + self.heads.dim).unwrap_or_default()
    }

    fn score(&self, t: usize, h: usize, j: usize) -> T::Accum {
        let (q, k) = (self.head(self.q, t, h), self.head(self.k, j, self.shared(h)));
        T::Accum::of(self.heads.scale) * dot(q, k)
    }

    /// ln Σ exp(score).
    fn log_sum(&self, t: usize, h: usize) -> T::Accum {
        let scores = || self.keys(t).map(|j| self.score(t, h, j));
        let Some(max) = scores().reduce(|max, x| max.at_least(x)) else {
            return T::Accum::default();
        };
        max + scores().fold(T::Accum::default(), |sum, x| sum + (x - max).exp()).ln()
    }
}

fn dot<T: Scalar>(a: &[T], b: &[T]) -> T::Accum {
    a.iter().zip(b).fold(T::Accum::default(), |sum, (a, b)| sum + a.widen() * b.widen())
}

/// Calls `f` for the columns of a head, a block at a time.
fn blocks(dim: usize, mut f: impl FnMut(Range<usize>)) {
    (0..dim).step_by(WIDE).for_each(|first| f(first..dim.min(first + WIDE)));
}

/// sums += factor·x, over the columns of a block.
fn add<T: Scalar>(sums: &mut [T::Accum; WIDE], factor: T::Accum, x: &[T], columns: Range<usize>) {
    let x = x.get(columns).unwrap_or_default();
    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * x.widen());
}

/// Stores factor·sums in the columns of a block of head `h` in row `t`.
fn put<T: Scalar>(
    sums: &[T::Accum; WIDE],
    factor: T::Accum,
    (to, at): (&mut [T], Layout),
    t: usize,
    columns: Range<usize>,
) {
    let line = row_mut(to, at, t).get_mut(columns).unwrap_or_default();
    line.iter_mut().zip(sums).for_each(|(y, &sum)| *y = T::narrow(factor * sum));
}

const fn shifted(columns: &Range<usize>, by: usize) -> Range<usize> {
    columns.start + by..columns.end + by
}

/// O = softmax(scale·Q·Kᵀ)·V, and ln Σ exp(score).
pub(crate) fn attention<T: Scalar>(
    of: Attend<'_, T>,
    o: &mut [T],
    at: Layout,
    lse: &mut [T::Accum],
) {
    let Heads { heads, dim, .. } = of.heads;
    for (i, lse) in lse.iter_mut().enumerate().take(at.rows * heads) {
        let (t, h) = (i / heads, i % heads);
        *lse = of.log_sum(t, h);
        blocks(dim, |columns| {
            let mut sums = [T::Accum::default(); WIDE];
            for j in of.keys(t) {
                let p = (of.score(t, h, j) - *lse).exp();
                add(&mut sums, p, of.head(of.v, j, of.shared(h)), columns.clone());
            }
            put(&sums, T::Accum::of(1.0), (&mut *o, at), t, shifted(&columns, h * dim));
        });
    }
}

/// What the gradients of an attention have in common.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a, T: Scalar> {
    pub(crate) of: Attend<'a, T>,
    pub(crate) o: Operand<'a, T>,
    pub(crate) d_o: Operand<'a, T>,
    pub(crate) lse: &'a [T::Accum],
}

impl<T: Scalar> Backward<'_, T> {
    /// D = Σ dO⊙O for each row and head.
    pub(crate) fn dots(&self, dots: &mut [T::Accum]) {
        let heads = self.of.heads.heads;
        for (i, d) in dots.iter_mut().enumerate().take(self.o.at.rows * heads) {
            let head = |x| self.of.head(x, i / heads, i % heads);
            *d = dot(head(self.o), head(self.d_o));
        }
    }

    /// P and dS of one query, head and key; dS is 0, and not what rounding leaves, where the key is the
    /// only one.
    fn pair(&self, t: usize, h: usize, j: usize, dots: &[T::Accum]) -> (T::Accum, T::Accum) {
        let i = t * self.of.heads.heads + h;
        let at = |x: &[T::Accum]| x.get(i).copied().unwrap_or_default();
        let p = (self.of.score(t, h, j) - at(self.lse)).exp();
        if self.of.keys(t).len() == 1 {
            return (p, T::Accum::default());
        }
        let v = self.of.head(self.of.v, j, self.of.shared(h));
        (p, p * (dot(self.of.head(self.d_o, t, h), v) - at(dots)))
    }

    /// dQ = scale·dS·K.
    pub(crate) fn queries(&self, dots: &[T::Accum], dq: &mut [T], at: Layout) {
        let Heads { heads, dim, scale, .. } = self.of.heads;
        for (t, h) in (0..at.rows).flat_map(|t| (0..heads).map(move |h| (t, h))) {
            blocks(dim, |columns| {
                let mut sums = [T::Accum::default(); WIDE];
                for j in self.of.keys(t) {
                    let (_, ds) = self.pair(t, h, j, dots);
                    let k = self.of.head(self.of.k, j, self.of.shared(h));
                    add(&mut sums, ds, k, columns.clone());
                }
                let to = (&mut *dq, at);
                put(&sums, T::Accum::of(scale), to, t, shifted(&columns, h * dim));
            });
        }
    }

    /// dK = scale·dSᵀ·Q and dV = Pᵀ·dO.
    pub(crate) fn keys(
        &self,
        dots: &[T::Accum],
        (dk, dk_at): (&mut [T], Layout),
        (dv, dv_at): (&mut [T], Layout),
    ) {
        let Heads { kv_heads, dim, scale, .. } = self.of.heads;
        for (j, shared) in (0..dk_at.rows).flat_map(|j| (0..kv_heads).map(move |h| (j, h))) {
            blocks(dim, |columns| {
                let zero = [T::Accum::default(); WIDE];
                let (mut of_k, mut of_v) = (zero, zero);
                for (t, h) in self.pairs(j, shared) {
                    let (p, ds) = self.pair(t, h, j, dots);
                    add(&mut of_k, ds, self.of.head(self.of.q, t, h), columns.clone());
                    add(&mut of_v, p, self.of.head(self.d_o, t, h), columns.clone());
                }
                let columns = shifted(&columns, shared * dim);
                let (scale, one) = (T::Accum::of(scale), T::Accum::of(1.0));
                put(&of_k, scale, (&mut *dk, dk_at), j, columns.clone());
                put(&of_v, one, (&mut *dv, dv_at), j, columns);
            });
        }
    }

    /// The queries and heads that see key `j` in head `shared`.
    fn pairs(&self, j: usize, shared: usize) -> impl Iterator<Item = (usize, usize)> {
        let share = self.of.heads.heads / self.of.heads.kv_heads.max(1);
        let heads = shared * share..(shared + 1) * share;
        self.of.queries(j).flat_map(move |t| heads.clone().map(move |h| (t, h)))
    }
}
