//! A frozen layer and its low-rank update at once.

use decora::backend::{AccumOf, Backend, Side, Store};
use decora::buffer::{Acc, Act, Float, RoleKind};
use decora::scalar::{Accum, Scalar};

use super::STORES;
use super::gemm::{LARGE, SIDES, stored};
use super::weight::{Kind, Stored};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::View;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Ranks of the update: one, a few, around the width of a vector, none.
const RANKS: [usize; 6] = [1, 4, 16, 17, 3, 0];

/// Flat weights: few sums in the base layer.
const FLAT: [(Side, usize, usize); 2] = [(Side::Plain, 8, 160), (Side::Transposed, 160, 8)];

/// One layer: rows of A, sides of W, the rank, and the rest.
#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    out: usize,
    inputs: usize,
    rank: usize,
    side: Side,
    views: [View; 4],
    into: Store,
    s: f64,
}

/// C = A·Wᵀ + s·P·Q or A·W + s·P·Q, or the same added to C, for A and C of either role and any strides.
#[must_use]
pub fn gemm_adapted<B: Backend>(make: Make<'_, B>) -> Report {
    property("gemm_adapted", make, &|t| {
        for case in every_view().chain(every_size()).chain(deep()) {
            let kind = Kind::ALL[case.n % Kind::ALL.len()];
            layer::<B, Act, Acc>(t, kind, case)?;
            if case.n * case.out * case.inputs <= LARGE {
                layer::<B, Acc, Act>(t, kind, case)?;
            }
        }
        refusals(t)
    })
}

fn every_view() -> impl Iterator<Item = Case> {
    (0..100).map(|i| Case {
        n: 5 + 14 * (i % 2),
        out: 6 + 14 * (i % 2),
        inputs: 7 + 14 * (i % 2),
        rank: RANKS[i % 6],
        side: [Side::Plain, Side::Transposed][i / 2 % 2],
        views: [i % 5, i / 5 % 5, i / 7 % 5, i / 11 % 5].map(|view| View::ALL[view]),
        into: STORES[i / 50],
        s: [1.0, -0.5, 0.75][i % 3],
    })
}

fn every_size() -> impl Iterator<Item = Case> {
    let sides = SIDES.into_iter().filter(|&(_, k, n)| k > 0 && n > 0);
    sides.enumerate().flat_map(|(i, (n, out, inputs))| {
        [Side::Plain, Side::Transposed].map(|side| Case {
            n,
            out,
            inputs,
            rank: RANKS[(i + side as usize) % 5],
            side,
            views: [i % 5, 0, i / 2 % 5, 0].map(|view| View::ALL[view]),
            into: STORES[(i + side as usize) % 2],
            s: [1.0, 0.75, 0.0][i % 3],
        })
    })
}

/// Ranks above both sides of W, and above what a backend may sum at once; every kind of weight.
fn deep() -> impl Iterator<Item = Case> {
    FLAT.into_iter().flat_map(|(side, out, inputs)| {
        (40..40 + Kind::ALL.len()).map(move |n| Case {
            n,
            out,
            inputs,
            rank: 1300,
            side,
            views: [View::Tight; 4],
            into: STORES[n % 2],
            s: 0.75,
        })
    })
}

fn layer<B: Backend, X: Float, Z: Float>(t: &mut Trial<B>, kind: Kind, case: Case) -> Outcome<B> {
    let Case { n, out, inputs, rank, side, views, into, s } = case;
    t.shape(&[n, out, inputs, rank]);
    let w = Stored::painted(kind, out, inputs, 2);
    let (k, cols) = if side == Side::Plain { (out, inputs) } else { (inputs, out) };
    let a = t.input::<X>((n, k), views[0], 1)?;
    let (p, q) = (t.input::<Acc>((n, rank), views[1], 4)?, t.input((rank, cols), views[2], 5)?);
    let mut c = t.output::<Z>((n, cols), views[3], into, 3)?;
    let on_device = t.be.weight(w.frozen()?)?;
    let low = (t.number(s), p.mat(), q.mat());
    t.be.gemm_adapted(a.mat(), (&on_device, side), low, into, c.mat_mut())?;
    // Half a unit of C between the two products, in units of sums.
    let narrow = Z::KIND == RoleKind::Act;
    let unit = if narrow { <B::Scalar as Scalar>::EPSILON } else { AccumOf::<B>::EPSILON };
    let between = 0.5 * unit / AccumOf::<B>::EPSILON;
    let w = w.values();
    let (of_l, of_j) = if side == Side::Plain { (inputs, 1) } else { (1, inputs) };
    t.check(&(kind, X::KIND, Z::KIND, case), &c, &|i, j| {
        let base = (0..k).map(|l| a.value(i, l) * w[l * of_l + j * of_j]);
        let low = (0..rank).map(|l| s * p.value(i, l) * q.value(l, j));
        let first = stored(Expected::sum_of(base), into, &c, i, j);
        let both = low.fold(first, Expected::plus);
        both.plus_within(0.0, between * first.value.abs() / both.terms as f64)
    })
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let w = Stored::painted(Kind::F32, 6, 7, 2);
    let on_device = t.be.weight(w.frozen()?)?;
    let shapes = [
        ("A with A for W", (5, 6), (5, 2), (2, 6), (5, 6)),
        ("P of another height", (5, 7), (4, 2), (2, 6), (5, 6)),
        ("Q of another width", (5, 7), (5, 2), (2, 7), (5, 6)),
        ("P wider than Q is tall", (5, 7), (5, 3), (2, 6), (5, 6)),
        ("C of another width", (5, 7), (5, 2), (2, 6), (5, 7)),
    ];
    for (what, a, p, q, c) in shapes {
        let (a, p) = (t.input::<Act>(a, View::Tight, 1)?, t.input::<Acc>(p, View::Tight, 4)?);
        let q = t.input::<Acc>(q, View::Tight, 5)?;
        let mut c = t.output::<Acc>(c, View::Tight, Store::Add, 3)?;
        let low = (AccumOf::<B>::of(1.0), p.mat(), q.mat());
        let layer = (&on_device, Side::Transposed);
        let outcome = t.be.gemm_adapted(a.mat(), layer, low, Store::Replace, c.mat_mut());
        t.refused(what, outcome, &c)?;
    }
    Ok(())
}
