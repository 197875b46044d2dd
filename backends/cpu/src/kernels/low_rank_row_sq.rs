//! sqᵢ = ‖Wᵢ‖² + 2s·Σₖ Bᵢₖ·(U + s/2·B·G)ᵢₖ.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::row;
use super::single::{cast, cast_mut};
use crate::products::{Operand, same_type};

/// The matrices of a low-rank update that its norms follow from.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a, A> {
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

/// Half of what is quadratic follows from the other: G is symmetric.
#[inline(always)]
fn rows<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
    if of_rank::<4, A>(of, sq).is_some() {
        return;
    }
    // On a device with registers for no more, only code.
    if !cfg!(target_os = "none") && of_rank::<8, A>(of, sq).is_some() {
        return;
    }
    let line = |k| row(of.gram.data, of.gram.at, k);
    for (i, (sq, &base)) in sq.iter_mut().zip(of.base_sq).enumerate() {
        let (b, u) = (row(of.b.data, of.b.at, i), row(of.u.data, of.u.at, i));
        *sq = base + (of.s + of.s) * terms(of.s, b, u, (0..b.len()).map(line));
    }
}

/// Where the rank is `R` and rows are one after the other: all loops have a known end.
#[inline(always)]
fn of_rank<const R: usize, A: Accum>(of: Update<'_, A>, sq: &mut [A]) -> Option<()> {
    let (b, u) = (gapless::<R, A>(of.b)?, gapless::<R, A>(of.u)?);
    let line =
        |k| row(of.gram.data, of.gram.at, k).first_chunk().copied().unwrap_or([A::default(); R]);
    let gram: [[A; R]; R] = core::array::from_fn(line);
    for (((sq, &base), b), u) in sq.iter_mut().zip(of.base_sq).zip(b).zip(u) {
        *sq = base + (of.s + of.s) * terms(of.s, b, u, gram.iter().map(<[A; R]>::as_slice));
    }
    Some(())
}

fn gapless<const R: usize, A>(of: Operand<'_, A>) -> Option<&[[A; R]]> {
    let Layout { offset, cols, rs, .. } = of.at;
    if (cols, rs) == (R, R) { Some(of.data.get(offset..)?.as_chunks().0) } else { None }
}

/// Σₖ bₖ·(uₖ + s·(Σ₍l<k₎ gₖₗ·bₗ + ½gₖₖ·bₖ)).
#[inline(always)]
fn terms<'g, A: Accum>(s: A, b: &[A], u: &[A], gram: impl Iterator<Item = &'g [A]>) -> A {
    let half = A::whole(1) / A::whole(2);
    let rows = b.iter().zip(u).zip(gram).enumerate();
    rows.fold(A::default(), |sum, (k, ((&bk, &uk), g))| {
        let pairs = g.iter().zip(b).take(k).fold(A::default(), |sum, (&g, &b)| sum + g * b);
        let own = g.get(k).map_or(A::default(), |&g| half * g * bk);
        sum + bk * (uk + s * (pairs + own))
    })
}
