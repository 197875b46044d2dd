//! ‖Wᵢ + s·(B·A)ᵢ‖² from ‖Wᵢ‖², B, W·Aᵀ and A·Aᵀ.

use decora::backend::{Backend, Store};
use decora::buffer::Acc;
use decora::scalar::Accum;

use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::{View, paint};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// sqᵢ = base_sqᵢ + 2s·Σₖ Bᵢₖ·(U + s/2·B·G)ᵢₖ, over ranks that tiles fit and do not fit.
#[must_use]
pub fn low_rank_row_sq<B: Backend>(make: Make<'_, B>) -> Report {
    property("low_rank_row_sq", make, &|t| {
        for (i, rank) in [1, 2, 3, 4, 5, 8, 17].into_iter().enumerate() {
            for out in [1, 4, 7, 33] {
                norms(t, out, rank, [1.0, -0.3, 2.0][i % 3])?;
            }
        }
        refusals(t)
    })
}

/// A symmetric matrix.
fn gram<B: Backend>(t: &mut Trial<B>, r: usize) -> Result<Operand<B, Acc>, B::Error> {
    let host: Vec<f64> =
        (0..r * r).map(|e| paint(5, (e / r).min(e % r), (e / r).max(e % r))).collect();
    t.put::<Acc>(&host, decora::mat::Layout::row_major(0, r, r))
}

fn norms<B: Backend>(t: &mut Trial<B>, out: usize, r: usize, s: f64) -> Outcome<B> {
    t.shape(&[out, r]);
    let s = t.number(s);
    let base = t.input::<Acc>((out, 1), View::Tight, 1)?;
    let b = t.input::<Acc>((out, r), View::Tight, 2)?;
    let u = t.input::<Acc>((out, r), View::Tight, 3)?;
    let g = gram(t, r)?;
    let mut room = t.output::<Acc>((out, r), View::Tight, Store::Replace, 4)?;
    let mut sq = t.column::<Acc>(out, Store::Replace, 5)?;
    t.be.low_rank_row_sq(s, &base.buf, b.mat(), u.mat(), g.mat(), room.mat_mut(), &mut sq.buf)?;
    t.check(&(out, r, s), &sq, &|i, _| {
        let s = s.f64();
        let linear = (0..r).map(|k| 2.0 * s * b.value(i, k) * u.value(i, k));
        let square = (0..r * r)
            .map(|e| s * s * b.value(i, e / r) * b.value(i, e % r) * g.value(e / r, e % r));
        Expected::sum_of(core::iter::once(base.value(i, 0)).chain(linear).chain(square))
    })
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let one = t.number(1.0);
    for (u, rank, len) in [((3, 5), 4, 3), ((4, 4), 4, 3), ((3, 4), 5, 3), ((3, 4), 4, 2)] {
        let base = t.input::<Acc>((3, 1), View::Tight, 1)?;
        let b = t.input::<Acc>((3, 4), View::Tight, 2)?;
        let u = t.input::<Acc>(u, View::Tight, 3)?;
        let g = gram(t, rank)?;
        let mut room = t.output::<Acc>((3, 4), View::Tight, Store::Replace, 4)?;
        let mut sq = t.whole::<Acc>(&vec![1.0; len])?;
        let (b, u, g) = (b.mat(), u.mat(), g.mat());
        let outcome = t.be.low_rank_row_sq(one, &base.buf, b, u, g, room.mat_mut(), &mut sq.buf);
        t.refused("U or G of another shape, or sq too short", outcome, &sq)?;
    }
    Ok(())
}
