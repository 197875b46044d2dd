//! Y = mask⊙X/(1 − p).

use decora::backend::{Backend, Dropout, Store};
use decora::buffer::Act;

use super::gemm::stored;
use super::{SHAPES, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::View;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Y = mask⊙X/(1 − p) or the same added to Y, with the mask that the contract prescribes.
#[must_use]
pub fn dropout<B: Backend>(make: Make<'_, B>) -> Report {
    property("dropout", make, &|t| {
        let seeds = [0, 1, 0x1234_5678_9ABC_DEF0, u64::MAX];
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                let drop = Dropout { p: [0.0, 0.1, 0.5, 0.99][i % 4], seed: seeds[i / 2 % 4] };
                masked(t, shape, views, into, drop)?;
            }
        }
        refusals(t)
    })
}

fn masked<B: Backend>(
    t: &mut Trial<B>,
    shape: (usize, usize),
    [of_x, of_y]: [View; 2],
    into: Store,
    drop: Dropout,
) -> Outcome<B> {
    t.shape(&[shape.0, shape.1]);
    let x = t.input::<Act>(shape, of_x, 1)?;
    let mut y = t.output::<Act>(shape, of_y, into, 2)?;
    t.be.dropout(drop, x.mat(), into, y.mat_mut())?;
    t.check(&(drop, shape, [of_x, of_y], into), &y, &|i, j| {
        let kept = keeps(drop, (i * shape.1 + j) as u32);
        let value = if kept { x.value(i, j) / (1.0 - drop.p) } else { 0.0 };
        stored(Expected::about(value), into, &y, i, j)
    })
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let x = t.input::<Act>((3, 4), View::Tight, 1)?;
    let drop = Dropout { p: 0.5, seed: 3 };
    for shape in [(4, 3), (3, 5), (2, 4)] {
        let mut y = t.output::<Act>(shape, View::Tight, Store::Add, 2)?;
        let outcome = t.be.dropout(drop, x.mat(), Store::Replace, y.mat_mut());
        t.refused("Y of another shape", outcome, &y)?;
    }
    Ok(())
}

/// The mask anew from its description: mix(mix(index·0x9E3779B9 ⊕ low) ⊕ high) ≥ p·2³².
pub(crate) fn keeps(drop: Dropout, index: u32) -> bool {
    let mix = |h: u32| {
        let h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        let h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        h ^ (h >> 16)
    };
    let low = (drop.seed & 0xFFFF_FFFF) as u32;
    let h = mix(index.wrapping_mul(0x9E37_79B9) ^ low);
    f64::from(mix(h ^ (drop.seed >> 32) as u32)) >= (drop.p * 4_294_967_296.0).floor()
}
