//! C = diag(d)·C, and products of rows with rows.

use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::Acc;
use decora::mat::Layout;
use decora::scalar::Accum;

use super::gemm::stored;
use super::{SHAPES, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::{View, paint, whole};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// C = diag(d)·C, d a column of any row stride.
#[must_use]
pub fn scale_rows<B: Backend>(make: Make<'_, B>) -> Report {
    property("scale_rows", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for of_d in [View::Tight, View::Gaps] {
                scaled(t, shape, of_d, View::ROWS[i % 2])?;
            }
        }
        for (d, c) in [((4, 1), (3, 5)), ((2, 1), (3, 5)), ((3, 2), (3, 5))] {
            let d = t.input::<Acc>(d, View::Tight, 1)?;
            let mut c = t.output::<Acc>(c, View::Tight, Store::Add, 2)?;
            let outcome = t.be.scale_rows(d.mat(), c.mat_mut());
            t.refused("d of another length or width", outcome, &c)?;
        }
        Ok(())
    })
}

fn scaled<B: Backend>(
    t: &mut Trial<B>,
    (rows, cols): (usize, usize),
    of_d: View,
    of_c: View,
) -> Outcome<B> {
    t.shape(&[rows, cols]);
    let d = t.input::<Acc>((rows, 1), of_d, 1)?;
    let mut c = t.output::<Acc>((rows, cols), of_c, Store::Add, 2)?;
    t.be.scale_rows(d.mat(), c.mat_mut())?;
    t.check(&((rows, cols), of_d, of_c), &c, &|i, j| Expected::about(d.value(i, 0) * c.value(i, j)))
}

/// outᵢ = α·Σₖ Aᵢₖ·Bᵢₖ or the same added to outᵢ, out at the front of a longer buffer.
#[must_use]
pub fn row_dot<B: Backend>(make: Make<'_, B>) -> Report {
    property("row_dot", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                dotted(t, shape, views, into, [1.0, -0.3, 2.0][i % 3])?;
            }
        }
        squares(t)?;
        long(t, 3, 4099)?;
        long(t, 2, 65_537)?;
        refusals(t)
    })
}

fn dotted<B: Backend>(
    t: &mut Trial<B>,
    (rows, cols): (usize, usize),
    [of_a, of_b]: [View; 2],
    into: Store,
    alpha: f64,
) -> Outcome<B> {
    t.shape(&[rows, cols]);
    let alpha = t.number(alpha);
    let a = t.input::<Acc>((rows, cols), of_a, 1)?;
    let b = t.input::<Acc>((rows, cols), of_b, 2)?;
    let mut out = t.column::<Acc>(rows, into, 3)?;
    t.be.row_dot(alpha, a.mat(), b.mat(), into, &mut out.buf)?;
    t.check(&((rows, cols), [of_a, of_b], into, alpha), &out, &|i, j| {
        let sum = Expected::sum_of((0..cols).map(|k| a.value(i, k) * b.value(i, k)));
        stored(sum.times(alpha.f64()), into, &out, i, j)
    })
}

/// Long sums of whole numbers, to the last of them.
fn long<B: Backend>(t: &mut Trial<B>, rows: usize, cols: usize) -> Outcome<B> {
    t.shape(&[rows, cols]);
    let host = |salt| (0..rows * cols).map(|e| whole(salt, e / cols, e % cols)).collect::<Vec<_>>();
    let at = Layout::row_major(0, rows, cols);
    let (a, b) = (t.put::<Acc>(&host(1), at)?, t.put::<Acc>(&host(2), at)?);
    let mut out = t.column::<Acc>(rows, Store::Replace, 3)?;
    t.be.row_dot(t.number(1.0), a.mat(), b.mat(), Store::Replace, &mut out.buf)?;
    t.check(&("whole numbers", rows, cols), &out, &|i, _| {
        Expected::exactly((0..cols).map(|k| a.value(i, k) * b.value(i, k)).sum())
    })
}

/// A matrix with itself: squared norms.
fn squares<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    t.shape(&[3, 4]);
    let host: Vec<f64> = (0..12).map(|e| paint(4, e / 4, e % 4)).collect();
    let a = t.put::<Acc>(&host, Layout::row_major(0, 3, 4))?;
    let mut out = t.column::<Acc>(3, Store::Replace, 0)?;
    t.be.row_dot(AccumOf::<B>::of(1.0), a.mat(), a.mat(), Store::Replace, &mut out.buf)?;
    t.check(&"A with itself", &out, &|i, _| {
        Expected::sum_of((0..4).map(|k| a.value(i, k) * a.value(i, k)))
    })
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for (b, len) in [((3, 5), 3), ((4, 4), 4), ((3, 4), 2)] {
        let a = t.input::<Acc>((3, 4), View::Tight, 1)?;
        let b = t.input::<Acc>(b, View::Tight, 2)?;
        let mut out = t.whole::<Acc>(&vec![1.0; len])?;
        let (one, into) = (AccumOf::<B>::of(1.0), Store::Replace);
        let outcome = t.be.row_dot(one, a.mat(), b.mat(), into, &mut out.buf);
        t.refused("B of another shape, or out too short", outcome, &out)?;
    }
    Ok(())
}
