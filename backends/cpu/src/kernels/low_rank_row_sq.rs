//! sqᵢ = ‖Wᵢ‖² + 2s·Σₖ Bᵢₖ·(U + s/2·B·G)ᵢₖ.

use decora::scalar::{Accum, Element};

use super::row;
use super::single::{cast, cast_mut};
use crate::products::{Operand, same_type};

/// The matrices of a low-rank update that its norms follow from.
#[derive(Clone, Copy)]
pub(crate) struct Update<'a, A> {
    pub(crate) s: A,
    pub(crate) base_sq: &'a [A],
    pub(crate) b: Operand<'a, A>,
    pub(crate) u: Operand<'a, A>,
    pub(crate) gram: Operand<'a, A>,
}

pub(crate) fn low_rank_row_sq<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
    if same_type::<A, f32>() {
        let Update { s, base_sq, b, u, gram } = of;
        let (b, u, gram) = (as_single(b), as_single(u), as_single(gram));
        return single(Update { s: s.f32(), base_sq: cast(base_sq), b, u, gram }, cast_mut(sq));
    }
    rows(of, sq);
}

fn as_single<E: Element>(of: Operand<'_, E>) -> Operand<'_, f32> {
    Operand { data: cast(of.data), at: of.at }
}

/// Compiled with this crate and once for all programs, as [`super::single`] says.
#[inline(never)]
fn single(of: Update<'_, f32>, sq: &mut [f32]) {
    rows(of, sq);
}

/// The rank whose G stays in registers.
const FEW: usize = 4;

#[inline(always)]
fn rows<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
    let (half, twice) = (of.s / A::whole(2), A::whole(2) * of.s);
    let line = |k| row(of.gram.data, of.gram.at, k);
    let gram: [[A; FEW]; FEW] =
        core::array::from_fn(|k| line(k).first_chunk().copied().unwrap_or_default());
    for (i, (sq, &base)) in sq.iter_mut().zip(of.base_sq).enumerate() {
        let (b, u) = (row(of.b.data, of.b.at, i), row(of.u.data, of.u.at, i));
        let mut sum = A::default();
        match (<&[A; FEW]>::try_from(b), <&[A; FEW]>::try_from(u)) {
            (Ok(b), Ok(u)) => {
                for ((&bk, &uk), g) in b.iter().zip(u).zip(&gram) {
                    sum += bk * (uk + half * dot(b, g));
                }
            }
            _ => {
                for (k, (&bk, &uk)) in b.iter().zip(u).enumerate() {
                    sum += bk * (uk + half * dot(b, line(k)));
                }
            }
        }
        *sq = base + twice * sum;
    }
}

/// G is symmetric, to the last bit: its rows are its columns.
#[inline(always)]
fn dot<A: Accum>(b: &[A], g: &[A]) -> A {
    b.iter().zip(g).fold(A::default(), |sum, (&b, &g)| sum + b * g)
}
