//! Y = γ⊙X̂ + β, and its gradients.

use decora::backend::Store;
use decora::buffer::{Acc, Act};
use decora::sequence::{Norm, NormKind, Sequence};

use super::gemm::stored;
use super::{SHAPES, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::{GAP, View, paint};
use crate::reference::normal;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// ε of LLaMA, of BERT, one that vanishes in half precision, and one that is the larger part.
const EPS: [f64; 4] = [1e-5, 1e-12, 1e-9, 0.5];

/// Shape and size of operands, in every combination that the operations take.
#[derive(Clone, Copy, Debug)]
struct Case {
    norm: Norm,
    shape: (usize, usize),
    /// X spreads over ±1.4 times this around a mean of as much, which differs from row to row.
    size: f64,
    views: [View; 3],
}

/// More rows than workgroups in one dispatch are tried once in each operation: which rows a workgroup goes
/// through depends neither on the kind of norm nor on what is added to. By their mean square, as a LayerNorm
/// leaves nothing of rows of one number; and stored, so that a row left out is one of NaN.
const MANY: usize = 65_535;

/// Every kind of norm, shape, ε and size.
fn cases() -> impl Iterator<Item = Case> {
    let shaped = |(i, shape): (usize, (usize, usize))| {
        let kinds = [NormKind::Rms, NormKind::Layer].into_iter();
        kinds.take(if shape.0 > MANY { 1 } else { 2 }).map(move |kind| Case {
            norm: Norm { kind, eps: EPS[i % 4] },
            shape,
            size: [1.0, 0.02, 300.0][i % 3],
            views: [i, i / 2, i / 4].map(|i| View::ROWS[i % 2]),
        })
    };
    SHAPES.into_iter().enumerate().flat_map(shaped)
}

impl Case {
    /// Both ways, or the first alone.
    fn of<T>(&self, ways: [T; 2]) -> impl Iterator<Item = T> {
        ways.into_iter().take(if self.shape.0 > MANY { 1 } else { 2 })
    }
}

/// X: painted, but every fifth row zeros, and every fifth of one number.
fn rows<B: Sequence>(t: &mut Trial<B>, case: &Case) -> Result<Operand<B, Act>, B::Error> {
    let (n, cols) = case.shape;
    let (at, len) = case.views[0].layout(n, cols);
    let mut host = vec![GAP; len];
    for (i, j) in (0..n).flat_map(|i| (0..cols).map(move |j| (i, j))) {
        let x = match i % 5 {
            3 => 0.0,
            4 => 0.75,
            _ => paint(1, i, j) + paint(5, i, 0),
        };
        host[at.offset + i * at.rs + j] = case.size * x;
    }
    t.put::<Act>(&host, at)
}

fn row<B: Sequence>(x: &Operand<B, Act>, i: usize) -> Vec<f64> {
    (0..x.at.cols).map(|j| x.value(i, j)).collect()
}

/// Y = γ⊙X̂ + β, with and without β; rows of zeros are divided by √ε.
#[must_use]
pub fn normalize<B: Sequence>(make: Make<'_, B>) -> Report {
    property("normalize", make, &|t| {
        for case in cases() {
            case.of([true, false]).try_for_each(|with_beta| forward(t, case, with_beta))?;
        }
        for (what, of_y, view, of_gamma, of_beta) in [
            ("Y of another shape", (4, 3), View::Tight, 4, 4),
            ("gamma too short", (3, 4), View::Tight, 3, 4),
            ("beta too short", (3, 4), View::Tight, 4, 3),
            ("columns that are not adjacent", (3, 4), View::Turned, 4, 4),
        ] {
            let x = t.input::<Act>((3, 4), View::Tight, 1)?;
            let gamma = t.whole::<Acc>(&vec![1.0; of_gamma])?;
            let beta = t.whole::<Acc>(&vec![1.0; of_beta])?;
            let mut y = t.output::<Act>(of_y, view, Store::Add, 2)?;
            let outcome = t.be.normalize(RMS, x.mat(), &gamma.buf, Some(&beta.buf), y.mat_mut());
            t.refused(what, outcome, &y)?;
        }
        Ok(())
    })
}

const RMS: Norm = Norm { kind: NormKind::Rms, eps: 1e-5 };

fn forward<B: Sequence>(t: &mut Trial<B>, case: Case, with_beta: bool) -> Outcome<B> {
    let (n, cols) = case.shape;
    t.shape(&[n, cols]);
    let x = rows(t, &case)?;
    let (gamma, beta) = (t.painted::<Acc>(cols, 2)?, t.painted::<Acc>(cols, 3)?);
    let mut y = t.output::<Act>(case.shape, case.views[1], Store::Replace, 0)?;
    let some_beta = with_beta.then_some(&beta.buf);
    t.be.normalize(case.norm, x.mat(), &gamma.buf, some_beta, y.mat_mut())?;
    let normals: Vec<_> = (0..n).map(|i| normal(case.norm, &row(&x, i))).collect();
    t.check(&(case, with_beta), &y, &|i, j| {
        let (g, b) = (gamma.value(j, 0), if with_beta { beta.value(j, 0) } else { 0.0 });
        let start = Expected { terms: cols, ..Expected::default() };
        start.plus_within(g * normals[i].hat[j], g.abs() * normals[i].size[j]).plus(b)
    })
}

/// dx = r·(u − mean u − x̂·mean(u⊙x̂)) or the same added to dX, u = γ⊙dy; without mean u for
/// [`NormKind::Rms`].
#[must_use]
pub fn normalize_grad<B: Sequence>(make: Make<'_, B>) -> Report {
    property("normalize_grad", make, &|t| {
        for case in cases() {
            // 1/√ε times dy is still a number in half precision.
            let norm = Norm { eps: case.norm.eps.max(1e-6), ..case.norm };
            case.of(STORES).try_for_each(|into| backward(t, Case { norm, ..case }, into))?;
        }
        for (what, of_dy, of_dx, view, of_gamma) in [
            ("dY of another shape", (4, 3), (3, 4), View::Tight, 4),
            ("dX of another shape", (3, 4), (3, 5), View::Tight, 4),
            ("gamma too short", (3, 4), (3, 4), View::Tight, 3),
            ("columns that are not adjacent", (3, 4), (3, 4), View::Turned, 4),
        ] {
            let (x, dy) = (t.input::<Act>((3, 4), View::Tight, 1)?, t.input(of_dy, view, 2)?);
            let gamma = t.whole::<Acc>(&vec![1.0; of_gamma])?;
            let mut dx = t.output::<Act>(of_dx, View::Tight, Store::Add, 3)?;
            let into = Store::Replace;
            let outcome =
                t.be.normalize_grad(RMS, x.mat(), &gamma.buf, dy.mat(), into, dx.mat_mut());
            t.refused(what, outcome, &dx)?;
        }
        Ok(())
    })
}

fn backward<B: Sequence>(t: &mut Trial<B>, case: Case, into: Store) -> Outcome<B> {
    let (n, cols) = case.shape;
    t.shape(&[n, cols]);
    let x = rows(t, &case)?;
    let (dy, gamma) = (t.input::<Act>(case.shape, case.views[1], 2)?, t.painted::<Acc>(cols, 3)?);
    let mut dx = t.output::<Act>(case.shape, case.views[2], into, 4)?;
    t.be.normalize_grad(case.norm, x.mat(), &gamma.buf, dy.mat(), into, dx.mat_mut())?;
    let u = |i, j| gamma.value(j, 0) * dy.value(i, j);
    let expected: Vec<Vec<Expected>> = (0..n)
        .map(|i| {
            let u: Vec<f64> = (0..cols).map(|j| u(i, j)).collect();
            slopes(case.norm, &row(&x, i), &u)
        })
        .collect();
    t.check(&(case, into), &dx, &|i, j| stored(expected[i][j], into, &dx, i, j))
}

/// dx of one row. Three sums go into it: the mean square, mean u and mean(u⊙x̂).
fn slopes(norm: Norm, x: &[f64], u: &[f64]) -> Vec<Expected> {
    let (of, count) = (normal(norm, x), x.len() as f64);
    let mean = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).sum::<f64>() / count;
    let along = mean(&|j| u[j] * of.hat[j]);
    let along_size = mean(&|j| u[j].abs() * of.size[j]);
    let (shift, shift_size) = match norm.kind {
        NormKind::Layer => (mean(&|j| u[j]), mean(&|j| u[j].abs())),
        NormKind::Rms => (0.0, 0.0),
    };
    let one = |j: usize| {
        let value = of.inverse * (u[j] - shift - of.hat[j] * along);
        let sum = of.inverse * (u[j].abs() + shift_size + of.size[j] * along_size);
        Expected { terms: 3 * x.len(), ..Expected::within(value, sum) }
    };
    (0..x.len()).map(one).collect()
}

/// dγⱼ = Σₜ dYₜⱼ·X̂ₜⱼ or the same added to dγ, dγ at the front of a longer buffer.
#[must_use]
pub fn normalize_gain_grad<B: Sequence>(make: Make<'_, B>) -> Report {
    property("normalize_gain_grad", make, &|t| {
        for case in cases() {
            case.of(STORES).try_for_each(|into| of_gain(t, case, into))?;
        }
        for (what, of_dy, view, of_gamma) in [
            ("dY of another shape", (4, 3), View::Tight, 4),
            ("dgamma too short", (3, 4), View::Tight, 3),
            ("columns that are not adjacent", (3, 4), View::Turned, 4),
        ] {
            let (x, dy) = (t.input::<Act>((3, 4), View::Tight, 1)?, t.input(of_dy, view, 2)?);
            let mut dgamma = t.whole::<Acc>(&vec![1.0; of_gamma])?;
            let into = Store::Replace;
            let outcome = t.be.normalize_gain_grad(RMS, x.mat(), dy.mat(), into, &mut dgamma.buf);
            t.refused(what, outcome, &dgamma)?;
        }
        Ok(())
    })
}

fn of_gain<B: Sequence>(t: &mut Trial<B>, case: Case, into: Store) -> Outcome<B> {
    let (n, cols) = case.shape;
    t.shape(&[n, cols]);
    let x = rows(t, &case)?;
    let dy = t.input::<Act>(case.shape, case.views[1], 2)?;
    let mut dgamma = t.column::<Acc>(cols, into, 3)?;
    t.be.normalize_gain_grad(case.norm, x.mat(), dy.mat(), into, &mut dgamma.buf)?;
    let normals: Vec<_> = (0..n).map(|i| normal(case.norm, &row(&x, i))).collect();
    t.check(&(case, into), &dgamma, &|j, at| {
        let start = Expected { terms: 2 * cols, ..Expected::default() };
        let sum = normals.iter().enumerate().fold(start, |sum, (i, of)| {
            let dy = dy.value(i, j);
            sum.plus_within(dy * of.hat[j], dy.abs() * of.size[j])
        });
        stored(sum, into, &dgamma, j, at)
    })
}
