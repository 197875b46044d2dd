//! C = α·A·B.

use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::{Acc, Act, Float};
use decora::mat::Layout;
use decora::scalar::Accum;

use super::STORES;
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::{View, painted, whole};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// One product: its sides, how its operands lie, and what it is multiplied by and added to.
#[derive(Clone, Copy, Debug)]
struct Case {
    m: usize,
    k: usize,
    n: usize,
    views: [View; 3],
    into: Store,
    alpha: f64,
}

/// C = α·A·B or C += α·A·B, for A, B and C of either role, any strides, k from 0 up. NaN spreads
/// to what it is multiplied with, and no further.
#[must_use]
pub fn gemm<B: Backend>(make: Make<'_, B>) -> Report {
    property("gemm", make, &|t| {
        for case in every_view().chain(every_size()) {
            product_of_x::<B, Act>(t, case)?;
            product_of_x::<B, Acc>(t, case)?;
        }
        overlaps(t)?;
        deep(t)?;
        refusals(t)?;
        not_a_number(t)
    })
}

/// All views of all operands, in one size.
fn every_view() -> impl Iterator<Item = Case> {
    (0..250).map(|i| Case {
        m: 5,
        k: 6,
        n: 7,
        views: [View::ALL[i % 5], View::ALL[i / 5 % 5], View::ALL[i / 25 % 5]],
        into: STORES[i / 125],
        alpha: [1.0, -0.5, 0.75][i % 3],
    })
}

/// (m, k, n): one element, primes, around a tile of 4 and blocks of 16 to 256, tall, deep, wide, a
/// row, a column, a low rank on each side, no sum, no rows, more rows than workgroups in one
/// dispatch.
pub(crate) const SIDES: [(usize, usize, usize); 38] = [
    (1, 1, 1),
    (1, 7, 1),
    (2, 3, 5),
    (3, 4, 5),
    (4, 4, 4),
    (4, 5, 3),
    (5, 3, 4),
    (5, 5, 5),
    (3, 5, 1),
    (1, 2, 6),
    (7, 11, 13),
    (15, 16, 17),
    (16, 16, 16),
    (17, 15, 16),
    (31, 33, 8),
    (63, 64, 65),
    (65, 63, 64),
    (32, 32, 32),
    (33, 31, 32),
    (64, 64, 64),
    (70, 65, 130),
    (127, 33, 128),
    (129, 16, 130),
    (16, 513, 16),
    (300, 200, 16),
    (255, 5, 257),
    (5, 4099, 3),
    (1, 1025, 1),
    (1, 16, 1023),
    (257, 3, 2),
    (2, 300, 3),
    (2, 3, 257),
    (1, 64, 129),
    (129, 64, 1),
    (3, 0, 5),
    (0, 3, 5),
    (5, 3, 0),
    (65_539, 2, 1),
];

/// Products with more multiplications than this are tried fewer times.
pub(crate) const LARGE: usize = 60_000;

/// All sizes, with views, stores and α in turn: four times, or once.
fn every_size() -> impl Iterator<Item = Case> {
    (0..4 * SIDES.len()).filter_map(|i| {
        let (m, k, n) = SIDES[i / 4];
        let view = |step| View::ALL[(i + i / 4 * step) % 5];
        let alpha = [1.0, -0.5, 0.75, 0.0][(i + i / 4) % 4];
        let tried = m * k * n <= LARGE || alpha == [1.0, -0.5, 0.75][i / 4 % 3];
        let views = [view(0), view(1), view(2)];
        tried.then_some(Case { m, k, n, views, into: STORES[i % 2], alpha })
    })
}

fn product_of_x<B: Backend, X: Float>(t: &mut Trial<B>, case: Case) -> Outcome<B> {
    product_of_xy::<B, X, Act>(t, case)?;
    product_of_xy::<B, X, Acc>(t, case)
}

fn product_of_xy<B: Backend, X: Float, Y: Float>(t: &mut Trial<B>, case: Case) -> Outcome<B> {
    product::<B, X, Y, Act>(t, case)?;
    product::<B, X, Y, Acc>(t, case)
}

fn product<B: Backend, X: Float, Y: Float, Z: Float>(t: &mut Trial<B>, case: Case) -> Outcome<B> {
    let Case { m, k, n, views, into, alpha } = case;
    t.shape(&[m, k, n]);
    let a = t.input::<X>((m, k), views[0], 1)?;
    let b = t.input::<Y>((k, n), views[1], 2)?;
    let mut c = t.output::<Z>((m, n), views[2], into, 3)?;
    t.be.gemm(t.number(alpha), a.mat(), b.mat(), into, c.mat_mut())?;
    t.check(&(X::KIND, Y::KIND, Z::KIND, case), &c, &|i, j| {
        let sum = Expected::sum_of((0..k).map(|l| a.value(i, l) * b.value(l, j)));
        stored(sum.times(alpha), into, &c, i, j)
    })
}

/// A result, or the same added to what was there.
pub(crate) fn stored<B: Backend, R: Float>(
    result: Expected,
    into: Store,
    c: &Operand<B, R>,
    i: usize,
    j: usize,
) -> Expected {
    match into {
        Store::Replace => result,
        Store::Add => result.plus(c.value(i, j)),
    }
}

/// Views whose rows share elements, and views of one element or row many times: to be read only.
fn overlaps<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let (m, k, n) = (6, 5, 7);
    t.shape(&[m, k, n]);
    for (rs, cs) in [(1, 0), (0, 1), (0, 0), (1, 1), (1, 2), (2, 1), (2, 3)] {
        let at = Layout { offset: 1, rows: m, cols: k, rs, cs };
        let host = painted(1, 1, at.end() + 2);
        let (a, b) = (t.put::<Acc>(&host, at)?, t.input::<Acc>((k, n), View::Tight, 2)?);
        let mut c = t.output::<Acc>((m, n), View::Tight, Store::Replace, 3)?;
        t.be.gemm(AccumOf::<B>::of(1.0), a.mat(), b.mat(), Store::Replace, c.mat_mut())?;
        t.check(&("A that overlaps itself", at), &c, &|i, j| {
            Expected::sum_of((0..k).map(|l| a.value(i, l) * b.value(l, j)))
        })?;
    }
    Ok(())
}

/// Long sums of whole numbers, to the last of them.
fn deep<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for (m, k, n) in [(3, 4099, 5), (1, 65_537, 2), (17, 1031, 16)] {
        t.shape(&[m, k, n]);
        let host = |salt, rows: usize, cols: usize| {
            (0..rows * cols).map(|e| whole(salt, e / cols, e % cols)).collect::<Vec<_>>()
        };
        let a = t.put::<Act>(&host(1, m, k), Layout::row_major(0, m, k))?;
        let b = t.put::<Acc>(&host(2, k, n), Layout::row_major(0, k, n))?;
        let mut c = t.output::<Acc>((m, n), View::Tight, Store::Replace, 3)?;
        t.be.gemm(t.number(1.0), a.mat(), b.mat(), Store::Replace, c.mat_mut())?;
        t.check(&("whole numbers", m, k, n), &c, &|i, j| {
            Expected::exactly((0..k).map(|l| a.value(i, l) * b.value(l, j)).sum())
        })?;
    }
    Ok(())
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let one = AccumOf::<B>::of(1.0);
    let shapes = [
        ("A wider than B is tall", (3, 4), (5, 6), (3, 6)),
        ("A taller than C", (4, 5), (5, 6), (3, 6)),
        ("B wider than C", (3, 5), (5, 7), (3, 6)),
        ("C transposed", (3, 5), (5, 6), (6, 3)),
    ];
    for (what, a, b, c) in shapes {
        let a = t.input::<Act>(a, View::Tight, 1)?;
        let b = t.input::<Acc>(b, View::Tight, 2)?;
        let mut c = t.output::<Acc>(c, View::Tight, Store::Add, 3)?;
        let outcome = t.be.gemm(one, a.mat(), b.mat(), Store::Replace, c.mat_mut());
        t.refused(what, outcome, &c)?;
    }
    Ok(())
}

/// A NaN in row 2 of A makes row 2 of C NaN, whatever B holds there.
fn not_a_number<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for (m, k, n) in [(5, 6, 7), (33, 40, 35)] {
        t.shape(&[m, k, n]);
        let (a_at, b_at) = (View::Tight.layout(m, k), View::Tight.layout(k, n));
        let mut a_host = vec![0.5; m * k];
        a_host[2 * k + 3] = f64::NAN;
        let a = t.put::<Acc>(&a_host, a_at.0)?;
        let b = t.put::<Act>(&vec![0.0; k * n], b_at.0)?;
        let mut c = t.output::<Acc>((m, n), View::Tight, Store::Replace, 0)?;
        t.be.gemm(AccumOf::<B>::of(1.0), a.mat(), b.mat(), Store::Replace, c.mat_mut())?;
        let row = |i, _| Expected::exactly(if i == 2 { f64::NAN } else { 0.0 });
        t.check(&("a NaN in row 2 of A", m, k, n), &c, &row)?;
    }
    Ok(())
}
