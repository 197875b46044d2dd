//! Operations on frozen weights, in every storage format.

use decora::backend::{AccumOf, Backend, Side, Store};
use decora::buffer::{Acc, Act, Float};
use decora::scalar::Accum;

use super::STORES;
use super::gemm::{LARGE, SIDES, stored};
use super::weight::{Kind, Stored};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::{View, whole};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// One product with a weight: rows of A, sides of W, and the rest.
#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    out: usize,
    inputs: usize,
    side: Side,
    views: [View; 2],
    into: Store,
    alpha: f64,
}

/// C = α·A·Wᵀ or α·A·W, or the same added to C, for A and C of either role and any strides.
#[must_use]
pub fn gemm_frozen<B: Backend>(make: Make<'_, B>) -> Report {
    property("gemm_frozen", make, &|t| {
        for kind in Kind::ALL {
            for case in every_view().chain(every_size()) {
                // Large ones from one role only, not the same for every format.
                let (large, odd) =
                    (case.n * case.out * case.inputs > LARGE, kind as usize % 2 == 1);
                if !large || odd {
                    product_of_x::<B, Act>(t, kind, case)?;
                }
                if !large || !odd {
                    product_of_x::<B, Acc>(t, kind, case)?;
                }
            }
        }
        refusals(t)
    })
}

fn every_view() -> impl Iterator<Item = Case> {
    (0..100).map(|i| Case {
        n: 5,
        out: 6,
        inputs: 7,
        side: [Side::Plain, Side::Transposed][i % 2],
        views: [View::ALL[i / 2 % 5], View::ALL[i / 10 % 5]],
        into: STORES[i / 50],
        alpha: [1.0, -0.5, 0.75][i % 3],
    })
}

/// All sides of products in which a weight can take part, both ways.
fn every_size() -> impl Iterator<Item = Case> {
    let sides = SIDES.into_iter().filter(|&(_, k, n)| k > 0 && n > 0);
    sides.enumerate().flat_map(|(i, (n, out, inputs))| {
        [Side::Plain, Side::Transposed].map(|side| Case {
            n,
            out,
            inputs,
            side,
            views: [View::ALL[i % 5], View::ALL[(i / 2 + side as usize) % 5]],
            into: STORES[(i + side as usize) % 2],
            alpha: [1.0, 0.75, 0.0][i % 3],
        })
    })
}

fn product_of_x<B: Backend, X: Float>(t: &mut Trial<B>, kind: Kind, case: Case) -> Outcome<B> {
    product::<B, X, Act>(t, kind, case)?;
    product::<B, X, Acc>(t, kind, case)
}

fn product<B: Backend, X: Float, Z: Float>(t: &mut Trial<B>, kind: Kind, case: Case) -> Outcome<B> {
    let Case { n, out, inputs, side, views, into, alpha } = case;
    t.shape(&[n, out, inputs]);
    let w = Stored::painted(kind, out, inputs, 2);
    let (k, cols) = if side == Side::Plain { (out, inputs) } else { (inputs, out) };
    let a = t.input::<X>((n, k), views[0], 1)?;
    let mut c = t.output::<Z>((n, cols), views[1], into, 3)?;
    let on_device = t.be.weight(w.frozen()?)?;
    let alpha_on = t.number(alpha);
    t.be.gemm_frozen(alpha_on, a.mat(), &on_device, side, into, c.mat_mut())?;
    let w = w.values();
    let (of_l, of_j) = if side == Side::Plain { (inputs, 1) } else { (1, inputs) };
    let factor = |l, j| w[l * of_l + j * of_j];
    t.check(&(kind, X::KIND, Z::KIND, case), &c, &|i, j| {
        let sum = Expected::sum_of((0..k).map(|l| a.value(i, l) * factor(l, j)));
        stored(sum.times(alpha), into, &c, i, j)
    })
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let w = Stored::painted(Kind::F32, 6, 7, 2);
    let on_device = t.be.weight(w.frozen()?)?;
    let shapes = [
        ("A·W with A for Wᵀ", Side::Plain, (5, 7), (5, 7)),
        ("A·Wᵀ with A for W", Side::Transposed, (5, 6), (5, 6)),
        ("C of another width", Side::Transposed, (5, 7), (5, 7)),
        ("C of another height", Side::Plain, (5, 6), (4, 7)),
    ];
    for (what, side, a, c) in shapes {
        let a = t.input::<Act>(a, View::Tight, 1)?;
        let mut c = t.output::<Acc>(c, View::Tight, Store::Add, 3)?;
        let (one, into) = (AccumOf::<B>::of(1.0), Store::Replace);
        let outcome = t.be.gemm_frozen(one, a.mat(), &on_device, side, into, c.mat_mut());
        t.refused(what, outcome, &c)?;
    }
    Ok(())
}

/// Cᵢ = W₍first+i₎, for any part of the rows.
#[must_use]
pub fn frozen_rows<B: Backend>(make: Make<'_, B>) -> Report {
    property("frozen_rows", make, &|t| {
        for kind in Kind::ALL {
            for (i, part) in [(0, 17), (0, 1), (16, 1), (3, 5), (5, 12), (17, 0)].iter().enumerate()
            {
                some_rows(t, kind, View::ROWS[i % 2], (17, 5), *part)?;
            }
            some_rows(t, kind, View::Gaps, (300, 257), (43, 255))?;
            some_rows(t, kind, View::Tight, (65_539, 2), (1, 65_537))?;
        }
        let w = Stored::painted(Kind::F32, 6, 7, 2);
        let on_device = t.be.weight(w.frozen()?)?;
        for (first, c) in [(0, (7, 7)), (4, (3, 7)), (7, (1, 7)), (0, (6, 6)), (usize::MAX, (1, 7))]
        {
            let mut c = t.output::<Acc>(c, View::Tight, Store::Add, 3)?;
            let outcome = t.be.frozen_rows(&on_device, first, c.mat_mut());
            t.refused("rows beyond the weight, or of another width", outcome, &c)?;
        }
        Ok(())
    })
}

fn some_rows<B: Backend>(
    t: &mut Trial<B>,
    kind: Kind,
    view: View,
    (rows, cols): (usize, usize),
    (first, count): (usize, usize),
) -> Outcome<B> {
    t.shape(&[count, cols]);
    let w = Stored::painted(kind, rows, cols, 4);
    let on_device = t.be.weight(w.frozen()?)?;
    let mut c = t.output::<Acc>((count, cols), view, Store::Replace, 0)?;
    t.be.frozen_rows(&on_device, first, c.mat_mut())?;
    t.check(&(kind, view, first), &c, &|i, j| Expected::exactly(w.value(first + i, j)))
}

/// Shapes of weights whose rows are summed.
const ROW_SHAPES: [(usize, usize); 10] = [
    (1, 1),
    (4, 5),
    (17, 3),
    (65, 64),
    (3, 300),
    (257, 2),
    (16, 1023),
    (129, 1025),
    (2, 65_537),
    (65_539, 1),
];

/// sqᵢ = Σⱼ Wᵢⱼ²; a row of zeros has exactly 0.
#[must_use]
pub fn frozen_row_sq<B: Backend>(make: Make<'_, B>) -> Report {
    property("frozen_row_sq", make, &|t| {
        for kind in Kind::ALL {
            for (rows, cols) in ROW_SHAPES {
                squares(t, kind, rows, cols)?;
            }
        }
        Kind::ALL.into_iter().try_for_each(|kind| long_rows(t, kind))?;
        let w = Stored::painted(Kind::F32, 6, 7, 2);
        let on_device = t.be.weight(w.frozen()?)?;
        let mut sq = t.whole::<Acc>(&[1.0; 5])?;
        let outcome = t.be.frozen_row_sq(&on_device, &mut sq.buf);
        t.refused("fewer elements than rows", outcome, &sq)
    })
}

fn squares<B: Backend>(t: &mut Trial<B>, kind: Kind, rows: usize, cols: usize) -> Outcome<B> {
    t.shape(&[rows, cols]);
    let mut values = crate::paint::painted(5, rows, cols);
    values[(rows / 2) * cols..(rows / 2 + 1) * cols].fill(0.0);
    let w = Stored::new(kind, rows, cols, &values);
    let on_device = t.be.weight(w.frozen()?)?;
    let mut sq = t.column::<Acc>(rows, Store::Replace, 0)?;
    t.be.frozen_row_sq(&on_device, &mut sq.buf)?;
    t.check(&(kind, rows, cols), &sq, &|i, _| match i == rows / 2 {
        true => Expected::exactly(0.0),
        false => Expected::sum_of((0..cols).map(|j| w.value(i, j) * w.value(i, j))),
    })
}

/// Long rows of whole numbers, to the last of them.
fn long_rows<B: Backend>(t: &mut Trial<B>, kind: Kind) -> Outcome<B> {
    let (rows, cols) = (3, 65_537);
    t.shape(&[rows, cols]);
    let values: Vec<f64> = (0..rows * cols).map(|e| whole(1, e / cols, e % cols)).collect();
    let w = Stored::new(kind, rows, cols, &values);
    let on_device = t.be.weight(w.frozen()?)?;
    let mut sq = t.column::<Acc>(rows, Store::Replace, 0)?;
    t.be.frozen_row_sq(&on_device, &mut sq.buf)?;
    t.check(&(kind, "whole numbers"), &sq, &|i, _| {
        Expected::exactly(values[i * cols..(i + 1) * cols].iter().map(|w| w * w).sum())
    })
}
