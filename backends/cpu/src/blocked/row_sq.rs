//! Norms of a low-rank update, with the sums of a row side by side.

use alloc::vec::Vec;

use decora::scalar::Accum;

use super::math::{SIDE, fold};
use super::passes::vectorized;
use super::team::{each, threads};
use crate::kernels::low_rank_row_sq::Update;
use crate::kernels::{self, row};

/// Ranks from which on vectors pay: of 4 and of 8 the portable kernel has loops with known ends.
const WORTH_IT: usize = 9;

/// sqᵢ = ‖Wᵢ‖² + 2s·Σⱼ Bᵢⱼ·Tᵢⱼ, with T = U + s/2·B·G. A row's bits do not depend on other rows.
pub(super) fn low_rank_row_sq<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
    let (rows, r) = (of.b.at.rows, of.b.at.cols);
    if r < WORTH_IT {
        return kernels::low_rank_row_sq::low_rank_row_sq(of, sq);
    }
    let work = rows.saturating_mul(r).saturating_mul(r);
    let (gram, share) = (panels(of), rows.div_ceil(threads(work)).max(1));
    let parts = sq.chunks_mut(share).enumerate().collect();
    each(parts, |(part, sq): (usize, &mut [A])| {
        let (first, twice) = (part * share, of.s + of.s);
        vectorized(|| {
            for (i, sq) in (first..).zip(sq) {
                let base = of.base_sq.get(i).copied().unwrap_or_default();
                let (b, u) = (row(of.b.data, of.b.at, i), row(of.u.data, of.u.at, i));
                *sq = base + twice * dot(of.s, b, u, &gram);
            }
        });
    });
}

/// [`SIDE`] columns of G side by side, line after line, and so on; zeros behind.
fn panels<A: Accum>(of: Update<'_, A>) -> Vec<[A; SIDE]> {
    let r = of.gram.at.rows;
    let line = |first: usize, k: usize| {
        let line = row(of.gram.data, of.gram.at, k);
        core::array::from_fn(|j| line.get(first + j).copied().unwrap_or_default())
    };
    (0..r)
        .step_by(SIDE)
        .flat_map(|first| (0..r).map(move |k| (first, k)))
        .map(|(first, k)| line(first, k))
        .collect()
}

/// Σⱼ bⱼ·(uⱼ + s/2·Σₖ bₖ·gₖⱼ).
#[inline(always)]
fn dot<A: Accum>(s: A, b: &[A], u: &[A], gram: &[[A; SIDE]]) -> A {
    let half = s / A::whole(2);
    let mut sums = [A::default(); SIDE];
    let columns = b.chunks(SIDE).zip(u.chunks(SIDE));
    for ((bj, uj), gram) in columns.zip(gram.chunks(b.len().max(1))) {
        let mut t = [A::default(); SIDE];
        for (&bk, line) in b.iter().zip(gram) {
            for j in 0..SIDE {
                t[j] += bk * line[j];
            }
        }
        for (((sum, &b), &u), &t) in sums.iter_mut().zip(bj).zip(uj).zip(&t) {
            *sum += b * (u + half * t);
        }
    }
    fold(sums, |a, b| a + b)
}
