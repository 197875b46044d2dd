//! What becomes of a row of scores.

use core::ops::Range;

use pulp::{Simd, WithSimd};

use crate::blocked::lane::Lane;
use crate::blocked::math::{self, SIDE};

/// Sets what a row does not see to 0, and answers where the rest is, in whole [`SIDE`]s.
fn cleared<A: Lane>(row: &mut [A], seen: &Range<usize>) -> Range<usize> {
    let (start, end) = (seen.start / SIDE * SIDE, seen.end.next_multiple_of(SIDE));
    row.iter_mut().take(start).for_each(|x| *x = A::default());
    row.iter_mut().skip(end).for_each(|x| *x = A::default());
    start..end.max(start)
}

/// Sets scores of [`cleared`] that a row does not see to −∞, whose exponential is 0.
fn masked<A: Lane>(row: &mut [A], seen: &Range<usize>) {
    let (start, end) = (seen.start / SIDE * SIDE, seen.end.next_multiple_of(SIDE));
    let never = A::of(f64::NEG_INFINITY);
    row.get_mut(start..seen.start).unwrap_or_default().fill(never);
    row.get_mut(seen.end..end).unwrap_or_default().fill(never);
}

/// x becomes exp(x − max) of what a row sees, and 0 elsewhere. Answers max and Σ exp(x − max).
pub(super) struct Exps<'a, A> {
    pub(super) row: &'a mut [A],
    pub(super) seen: Range<usize>,
}

impl<A: Lane> WithSimd for Exps<'_, A> {
    type Output = (A, A);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (A, A) {
        let Self { row, seen } = self;
        masked(row, &seen);
        let whole = cleared(row, &seen);
        let Some(&first) = row.get(seen.start).filter(|_| !seen.is_empty()) else {
            return (A::default(), A::default());
        };
        let row = row.get_mut(whole).unwrap_or_default();
        let max = math::max(row, first);
        let mut sums = [A::default(); SIDE];
        for part in row.as_chunks_mut::<SIDE>().0 {
            for i in 0..SIDE {
                part[i] = math::exp(part[i] - max);
                sums[i] += part[i];
            }
        }
        (max, math::fold(sums, |a, b| a + b))
    }
}

/// Scores become P = exp(scores − lse), and dP becomes dS = P⊙(dP − D); 0 where P is, whatever dP is
/// there.
pub(super) struct Slopes<'a, A> {
    pub(super) p: &'a mut [A],
    pub(super) ds: &'a mut [A],
    pub(super) seen: Range<usize>,
    pub(super) lse: A,
    pub(super) dot: A,
}

impl<A: Lane> WithSimd for Slopes<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { p, ds, seen, lse, dot } = self;
        masked(p, &seen);
        cleared(ds, &seen);
        let whole = cleared(p, &seen);
        let p = p.get_mut(whole.clone()).unwrap_or_default();
        let ds = ds.get_mut(whole).unwrap_or_default();
        for (p, ds) in p.as_chunks_mut::<SIDE>().0.iter_mut().zip(ds.as_chunks_mut::<SIDE>().0) {
            for (p, ds) in p.iter_mut().zip(ds) {
                *p = math::exp(*p - lse);
                let slope = *p * (*ds - dot);
                *ds = if *p == A::default() { A::default() } else { slope };
            }
        }
        // Of the only key dP is D.
        if seen.len() == 1 {
            ds.fill(A::default());
        }
    }
}
