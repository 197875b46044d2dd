//! n = √max(sq, 0) and g = m/n, and the gradient of m.

use decora::backend::{Backend, Store};
use decora::buffer::Acc;
use decora::mat::Layout;

use super::gemm::stored;
use super::{LENGTHS, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::paint;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// n = √max(sq, 0) and g = m/n; g = 1 where W has a zero row (there m follows n) or n is 0 (there m
/// stays); g is exactly 1 where m is n. The length of `base_sq` says how many rows there are.
#[must_use]
pub fn gain<B: Backend>(make: Make<'_, B>) -> Report {
    property("gain", make, &|t| {
        LENGTHS.into_iter().try_for_each(|len| rows(t, len))?;
        exactly_one(t)?;
        refusals(t)
    })
}

/// Rows of all kinds in turn: ordinary, zero in W, with a rounded norm below 0, zero in V.
fn base_sq(i: usize) -> f64 {
    if i % 4 == 1 { 0.0 } else { 1.5 + paint(1, i, 0) }
}

fn sq(i: usize) -> f64 {
    match i % 8 {
        2 => -1e-9,
        3 => 0.0,
        5 => 0.0,
        _ => 1.5 + paint(2, i, 1),
    }
}

fn rows<B: Backend>(t: &mut Trial<B>, len: usize) -> Outcome<B> {
    t.shape(&[len]);
    let base: Vec<f64> = (0..len).map(base_sq).collect();
    let base = t.whole::<Acc>(&base)?;
    let sq = t.vector::<Acc>(&(0..len).map(sq).collect::<Vec<_>>())?;
    let mut m = t.column::<Acc>(len, Store::Add, 3)?;
    let mut n = t.column::<Acc>(len, Store::Replace, 0)?;
    let mut g = t.column::<Acc>(len, Store::Replace, 0)?;
    t.be.gain(&base.buf, &sq.buf, &mut m.buf, &mut n.buf, &mut g.buf)?;
    let norm = |i| sq.value(i, 0).max(0.0).sqrt();
    let zero = |i| base.value(i, 0) == 0.0;
    t.check(&("n", len), &n, &|i, _| Expected::about(norm(i)))?;
    t.check(&("m", len), &m, &|i, _| match zero(i) {
        true => Expected::about(norm(i)),
        false => Expected::exactly(m.value(i, 0)),
    })?;
    t.check(&("g", len), &g, &|i, _| match zero(i) || norm(i) == 0.0 {
        true => Expected::exactly(1.0),
        false => Expected::about(m.value(i, 0) / norm(i)),
    })
}

/// m as the device itself computed n: the gain is 1, bit for bit.
fn exactly_one<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let len = 1031;
    t.shape(&[len]);
    let sq: Vec<f64> = (0..len).map(|i| 1.5 + paint(i / 61, i, 1)).collect();
    let sq = t.whole::<Acc>(&sq)?;
    let mut m = t.column::<Acc>(len, Store::Add, 3)?;
    let mut n = t.column::<Acc>(len, Store::Replace, 0)?;
    let mut g = t.column::<Acc>(len, Store::Replace, 0)?;
    t.be.gain(&sq.buf, &sq.buf, &mut m.buf, &mut n.buf, &mut g.buf)?;
    let norms = t.get::<Acc>(&n.buf)?;
    let mut m = t.put_back::<Acc>(&norms[..len], Layout::row_major(0, len, 1))?;
    t.be.gain(&sq.buf, &sq.buf, &mut m.buf, &mut n.buf, &mut g.buf)?;
    t.check(&"g where m is n", &g, &|_, _| Expected::exactly(1.0))
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for short in 0..4 {
        let len = |of| if of == short { 4 } else { 5 };
        let base = t.whole::<Acc>(&[1.0; 5])?;
        let sq = t.whole::<Acc>(&vec![1.0; len(0)])?;
        let mut outs = Vec::new();
        for of in 1..4 {
            outs.push(t.whole::<Acc>(&vec![2.0; len(of)])?);
        }
        if let [m, n, g] = outs.as_mut_slice() {
            let outcome = t.be.gain(&base.buf, &sq.buf, &mut m.buf, &mut n.buf, &mut g.buf);
            t.refused("sq, m, n or g too short", outcome, m)?;
            t.untouched("sq, m, n or g too short", n)?;
            t.untouched("sq, m, n or g too short", g)?;
        }
    }
    Ok(())
}

/// dm = q/n or the same added to dm, and c = −g·q/n²; 0 where `base_sq` or n is 0.
#[must_use]
pub fn gain_grad<B: Backend>(make: Make<'_, B>) -> Report {
    property("gain_grad", make, &|t| {
        for len in LENGTHS {
            for into in STORES {
                grad_rows(t, len, into)?;
            }
        }
        grad_refusals(t)
    })
}

/// `base_sq`, n, g and q.
fn given<B: Backend>(t: &mut Trial<B>, len: usize) -> Result<[Operand<B, Acc>; 4], B::Error> {
    let vector = |value: &dyn Fn(usize) -> f64| (0..len).map(value).collect::<Vec<_>>();
    let norm = |i| if i % 4 == 3 { 0.0 } else { 1.5 + paint(2, i, 1) };
    Ok([
        t.whole::<Acc>(&vector(&base_sq))?,
        t.vector::<Acc>(&vector(&norm))?,
        t.vector::<Acc>(&vector(&|i| paint(4, i, 0)))?,
        t.vector::<Acc>(&vector(&|i| paint(5, i, 0)))?,
    ])
}

fn grad_rows<B: Backend>(t: &mut Trial<B>, len: usize, into: Store) -> Outcome<B> {
    t.shape(&[len]);
    let [base, n, g, q] = given(t, len)?;
    let mut dm = t.column::<Acc>(len, into, 6)?;
    let mut c = t.column::<Acc>(len, Store::Replace, 0)?;
    t.be.gain_grad(&base.buf, &n.buf, &g.buf, &q.buf, into, &mut dm.buf, &mut c.buf)?;
    let none = |i| base.value(i, 0) == 0.0 || n.value(i, 0) == 0.0;
    t.check(&("dm", len, into), &dm, &|i, j| {
        let d = if none(i) { 0.0 } else { q.value(i, 0) / n.value(i, 0) };
        stored(Expected::about(d), into, &dm, i, j)
    })?;
    t.check(&("c", len, into), &c, &|i, _| match none(i) {
        true => Expected::exactly(0.0),
        false => Expected::about(-g.value(i, 0) * q.value(i, 0) / (n.value(i, 0) * n.value(i, 0))),
    })
}

fn grad_refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let what = "n, g, q, dm or c too short";
    for short in 0..5 {
        let len = |of| if of == short { 4 } else { 5 };
        let base = t.whole::<Acc>(&[1.0; 5])?;
        let mut all = Vec::new();
        for of in 0..5 {
            all.push(t.whole::<Acc>(&vec![2.0; len(of)])?);
        }
        if let [n, g, q, dm, c] = all.as_mut_slice() {
            let (dm_buf, c_buf) = (&mut dm.buf, &mut c.buf);
            let into = Store::Replace;
            let outcome = t.be.gain_grad(&base.buf, &n.buf, &g.buf, &q.buf, into, dm_buf, c_buf);
            t.refused(what, outcome, dm)?;
            t.untouched(what, c)?;
        }
    }
    Ok(())
}
