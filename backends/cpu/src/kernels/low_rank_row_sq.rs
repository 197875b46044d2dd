//! sqᵢ = ‖Wᵢ‖² + 2s·Σₖ Bᵢₖ·(U + s/2·B·G)ᵢₖ.

use decora::mat::Layout;
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

/// Half of what is quadratic follows from the other: G is symmetric.
#[inline(always)]
fn rows<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
    let (half, twice) = (A::whole(1) / A::whole(2), of.s + of.s);
    let line = |k| row(of.gram.data, of.gram.at, k);
    if let (Some(b), Some(u)) = (few(of.b), few(of.u)) {
        let first = |k| line(k).first_chunk().copied().unwrap_or_default();
        let gram: [[A; FEW]; FEW] = [0, 1, 2, 3].map(first);
        for (((sq, &base), b), u) in sq.iter_mut().zip(of.base_sq).zip(b).zip(u) {
            *sq = base + twice * terms(of.s, half, b, u, gram.iter().map(<[A; FEW]>::as_slice));
        }
        return;
    }
    for (i, (sq, &base)) in sq.iter_mut().zip(of.base_sq).enumerate() {
        let (b, u) = (row(of.b.data, of.b.at, i), row(of.u.data, of.u.at, i));
        *sq = base + twice * terms(of.s, half, b, u, (0..b.len()).map(line));
    }
}

/// The rows, where they are that long and one after the other.
#[inline(always)]
fn few<A>(of: Operand<'_, A>) -> Option<&[[A; FEW]]> {
    let Layout { offset, cols, rs, .. } = of.at;
    if (cols, rs) == (FEW, FEW) { Some(of.data.get(offset..)?.as_chunks().0) } else { None }
}

/// Σₖ bₖ·(uₖ + s·(Σ₍l<k₎ gₖₗ·bₗ + ½gₖₖ·bₖ)).
#[inline(always)]
fn terms<'g, A: Accum>(s: A, half: A, b: &[A], u: &[A], gram: impl Iterator<Item = &'g [A]>) -> A {
    let rows = b.iter().zip(u).zip(gram).enumerate();
    rows.fold(A::default(), |sum, (k, ((&bk, &uk), g))| {
        let pairs = g.iter().zip(b).take(k).fold(A::default(), |sum, (&g, &b)| sum + g * b);
        let own = g.get(k).map_or(A::default(), |&g| half * g * bk);
        sum + bk * (uk + s * (pairs + own))
    })
}
