//! Y = g⊙Z + b by columns, its backward, and sums of columns.

use decora::backend::{Backend, Store};
use decora::buffer::{Acc, Act};
use decora::mat::Layout;

use super::gemm::stored;
use super::{SHAPES, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::{View, whole};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Y = g⊙Z + b or the same added to Y, with and without g and b.
#[must_use]
pub fn affine<B: Backend>(make: Make<'_, B>) -> Report {
    property("affine", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for given in [(true, true), (true, false), (false, true), (false, false)] {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                for into in STORES {
                    epilogue(t, shape, views, given, into)?;
                }
            }
        }
        refusals(t)
    })
}

fn epilogue<B: Backend>(
    t: &mut Trial<B>,
    (n, out): (usize, usize),
    [of_z, of_y]: [View; 2],
    (with_g, with_b): (bool, bool),
    into: Store,
) -> Outcome<B> {
    t.shape(&[n, out]);
    let z = t.input::<Acc>((n, out), of_z, 1)?;
    let (g, b) = (t.painted::<Acc>(out, 2)?, t.painted::<Acc>(out, 3)?);
    let mut y = t.output::<Act>((n, out), of_y, into, 4)?;
    let (some_g, some_b) = (with_g.then_some(&g.buf), with_b.then_some(&b.buf));
    t.be.affine(z.mat(), some_g, some_b, into, y.mat_mut())?;
    t.check(&((n, out), [of_z, of_y], (with_g, with_b), into), &y, &|i, j| {
        let scaled = z.value(i, j) * if with_g { g.value(j, 0) } else { 1.0 };
        let shifted = Expected::about(scaled).plus(if with_b { b.value(j, 0) } else { 0.0 });
        stored(shifted, into, &y, i, j)
    })
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let z = t.input::<Acc>((3, 4), View::Tight, 1)?;
    let (long, short) = (t.whole::<Acc>(&[1.0; 4])?, t.whole::<Acc>(&[1.0; 3])?);
    let cases = [
        ("Y of another shape", (4, 3), &long, &long),
        ("g too short", (3, 4), &short, &long),
        ("b too short", (3, 4), &long, &short),
    ];
    for (what, shape, g, b) in cases {
        let mut y = t.output::<Act>(shape, View::Tight, Store::Add, 2)?;
        let outcome = t.be.affine(z.mat(), Some(&g.buf), Some(&b.buf), Store::Replace, y.mat_mut());
        t.refused(what, outcome, &y)?;
    }
    Ok(())
}

/// qⱼ = Σₜ dYₜⱼ·Zₜⱼ, and dY = g⊙dY, g counted once.
#[must_use]
pub fn affine_grad<B: Backend>(make: Make<'_, B>) -> Report {
    property("affine_grad", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            backward(t, shape, [View::ROWS[i % 2], View::ROWS[i / 2 % 2]])?;
        }
        long_backward(t)?;
        grad_refusals(t)
    })
}

fn backward<B: Backend>(
    t: &mut Trial<B>,
    (n, out): (usize, usize),
    [of_z, of_dy]: [View; 2],
) -> Outcome<B> {
    t.shape(&[n, out]);
    let z = t.input::<Acc>((n, out), of_z, 1)?;
    let g = t.painted::<Acc>(out, 2)?;
    let mut dy = t.output::<Act>((n, out), of_dy, Store::Add, 3)?;
    let mut q = t.column::<Acc>(out, Store::Replace, 0)?;
    t.be.affine_grad(z.mat(), &g.buf, dy.mat_mut(), &mut q.buf)?;
    let case = ((n, out), [of_z, of_dy]);
    t.check(&("q", case), &q, &|j, _| {
        Expected::sum_of((0..n).map(|i| dy.value(i, j) * z.value(i, j)))
    })?;
    t.check(&("dY", case), &dy, &|i, j| Expected::about(g.value(j, 0) * dy.value(i, j)))
}

/// Long columns of whole numbers, to the last of them.
fn long_backward<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let (n, out) = (65_539, 3);
    t.shape(&[n, out]);
    let host = |salt| (0..n * out).map(|e| whole(salt, e / out, e % out)).collect::<Vec<_>>();
    let at = Layout::row_major(0, n, out);
    let (z, mut dy) = (t.put::<Acc>(&host(1), at)?, t.put::<Act>(&host(2), at)?);
    let g = t.whole::<Acc>(&[1.0; 3])?;
    let mut q = t.column::<Acc>(out, Store::Replace, 0)?;
    t.be.affine_grad(z.mat(), &g.buf, dy.mat_mut(), &mut q.buf)?;
    t.check(&"q of whole numbers", &q, &|j, _| {
        Expected::exactly((0..n).map(|i| dy.value(i, j) * z.value(i, j)).sum())
    })?;
    t.check(&"dY of whole numbers", &dy, &|i, j| Expected::exactly(dy.value(i, j)))
}

fn grad_refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for (what, shape, of_g, of_q) in [
        ("dY of another shape", (4, 3), 4, 4),
        ("g too short", (3, 4), 3, 4),
        ("q too short", (3, 4), 4, 3),
    ] {
        let z = t.input::<Acc>((3, 4), View::Tight, 1)?;
        let g = t.whole::<Acc>(&vec![1.0; of_g])?;
        let mut dy = t.output::<Act>(shape, View::Tight, Store::Add, 2)?;
        let mut q = t.whole::<Acc>(&vec![1.0; of_q])?;
        let outcome = t.be.affine_grad(z.mat(), &g.buf, dy.mat_mut(), &mut q.buf);
        t.refused(what, outcome, &dy)?;
        t.untouched(what, &q)?;
    }
    Ok(())
}

/// sⱼ = Σₜ Xₜⱼ or the same added to sⱼ, s at the front of a longer buffer.
#[must_use]
pub fn col_sum<B: Backend>(make: Make<'_, B>) -> Report {
    property("col_sum", make, &|t| {
        for (i, (n, out)) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                t.shape(&[n, out]);
                let x = t.input::<Act>((n, out), View::ROWS[i % 2], 1)?;
                let mut s = t.column::<Acc>(out, into, 2)?;
                t.be.col_sum(x.mat(), into, &mut s.buf)?;
                t.check(&((n, out), into), &s, &|j, at| {
                    let sum = Expected::sum_of((0..n).map(|i| x.value(i, j)));
                    stored(sum, into, &s, j, at)
                })?;
            }
        }
        long_columns(t)?;
        let x = t.input::<Act>((3, 4), View::Tight, 1)?;
        let mut s = t.whole::<Acc>(&[1.0; 3])?;
        let outcome = t.be.col_sum(x.mat(), Store::Replace, &mut s.buf);
        t.refused("s too short", outcome, &s)
    })
}

/// Long columns of whole numbers, to the last of them.
fn long_columns<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let (n, out) = (65_539, 3);
    t.shape(&[n, out]);
    let host: Vec<f64> = (0..n * out).map(|e| whole(1, e / out, e % out)).collect();
    let x = t.put::<Act>(&host, Layout::row_major(0, n, out))?;
    let mut s = t.column::<Acc>(out, Store::Replace, 0)?;
    t.be.col_sum(x.mat(), Store::Replace, &mut s.buf)?;
    t.check(&"whole numbers", &s, &|j, _| Expected::exactly((0..n).map(|i| x.value(i, j)).sum()))
}
