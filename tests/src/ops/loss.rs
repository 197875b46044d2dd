//! Losses, and their gradients in place.

use decora::backend::{AccumOf, Store};
use decora::buffer::{Acc, Act, Index};
use decora::mat::Layout;
use decora::network::{IGNORED, Network};
use decora::scalar::Accum;

use super::gemm::stored;
use super::{SHAPES, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::{GAP, View, paint};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// loss₀ = scale·Σₜ −ln softmax(Xₜ)\[labelₜ\] or the same added to it, and the gradient in place of
/// X; rows without a label count as 0, and large logits do not overflow.
#[must_use]
pub fn softmax_cross_entropy<B: Network>(make: Make<'_, B>) -> Report {
    property("softmax_cross_entropy", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                let spread = [1.0, 4.0, 400.0, 7200.0][i % 4];
                cross_entropy(t, shape, View::ROWS[i % 2], into, spread, &label)?;
            }
        }
        cross_entropy(t, (5, 7), View::Gaps, Store::Replace, 1.0, &|_, _| IGNORED)?;
        for into in STORES {
            // One class; all classes alike.
            cross_entropy(t, (6, 1), View::Gaps, into, 7200.0, &label)?;
            cross_entropy(t, (6, 5), View::Tight, into, 0.0, &label)?;
        }
        cross_entropy_refusals(t)
    })
}

/// Labels in turn, some of them none.
fn label(i: usize, classes: usize) -> u32 {
    match i % 5 {
        3 => IGNORED,
        4 if i.is_multiple_of(2) => classes as u32,
        _ => (i * 7 % classes) as u32,
    }
}

/// p of one row, and ln Σ eˣ.
fn softmax(x: &[f64]) -> (Vec<f64>, f64) {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    (x.iter().map(|x| (x - max).exp() / sum).collect(), max + sum.ln())
}

/// Painted logits in (−1.4·spread, 1.4·spread).
fn logits<B: Network>(
    t: &mut Trial<B>,
    (n, classes): (usize, usize),
    view: View,
    spread: f64,
) -> Result<Operand<B, Act>, B::Error> {
    let (at, len) = view.layout(n, classes);
    let mut host = vec![GAP; len];
    for (i, j) in (0..n).flat_map(|i| (0..classes).map(move |j| (i, j))) {
        host[at.offset + i * at.rs + j] = spread * paint(1, i, j);
    }
    t.put::<Act>(&host, at)
}

fn row<B: Network>(x: &Operand<B, Act>, i: usize) -> Vec<f64> {
    (0..x.at.cols).map(|j| x.value(i, j)).collect()
}

/// Σₜ −ln softmax(Xₜ)[labelₜ]: a sum over the rows of logarithms of sums over the classes.
fn loss_of<B: Network>(x: &Operand<B, Act>, labels: &[u32], ln_sums: &[f64]) -> Expected {
    let classes = x.at.cols;
    let labelled = labels.iter().enumerate().filter(|(_, l)| (**l as usize) < classes);
    let start = Expected { terms: classes, ..Expected::default() };
    labelled.fold(start, |sum, (i, &label)| {
        let of_label = x.value(i, label as usize);
        sum.plus_within(ln_sums[i] - of_label, ln_sums[i].abs() + of_label.abs())
    })
}

fn cross_entropy<B: Network>(
    t: &mut Trial<B>,
    (n, classes): (usize, usize),
    view: View,
    into: Store,
    spread: f64,
    label: &dyn Fn(usize, usize) -> u32,
) -> Outcome<B> {
    t.shape(&[n, classes]);
    let mut x = logits(t, (n, classes), view, spread)?;
    let of_rows: Vec<u32> = (0..n).map(|i| label(i, classes)).collect();
    let and_more = of_rows.iter().map(|&l| f64::from(l)).chain([0.0; 3]).collect::<Vec<_>>();
    let labels = t.put::<Index>(&and_more, Layout::row_major(0, n, 1))?;
    let mut loss = t.column::<Acc>(1, into, 2)?;
    let scale = t.number(1.0 / n.max(1) as f64);
    t.be.softmax_cross_entropy(scale, x.mat_mut(), &labels.buf, into, &mut loss.buf)?;

    let (scale, case) = (scale.f64(), ((n, classes), view, into, spread));
    let (p, ln_sums): (Vec<_>, Vec<_>) = (0..n).map(|i| softmax(&row(&x, i))).unzip();
    t.check(&("loss", case), &loss, &|i, j| {
        stored(loss_of(&x, &of_rows, &ln_sums).times(scale), into, &loss, i, j)
    })?;
    t.check(&("dX", case), &x, &|i, j| match of_rows[i] as usize {
        label if label < classes => {
            let (p, one) = (p[i][j], f64::from(u8::from(j == label)));
            // A device may compute p as exp(x − ln Σ eˣ): off by ε·|x|, as a share of itself.
            let sum = scale * ((p - one).abs() + p * (1.0 + spread));
            Expected { value: scale * (p - one), sum, terms: classes, exact: false }
        }
        _ => Expected::exactly(0.0),
    })
}

fn cross_entropy_refusals<B: Network>(t: &mut Trial<B>) -> Outcome<B> {
    for (of_labels, of_loss) in [(2, 1), (3, 0)] {
        let mut x = t.output::<Act>((3, 4), View::Tight, Store::Add, 1)?;
        let labels = t.whole::<Index>(&vec![1.0; of_labels])?;
        let mut loss = t.whole::<Acc>(&vec![1.0; of_loss])?;
        let (one, into) = (AccumOf::<B>::of(1.0), Store::Replace);
        let outcome =
            t.be.softmax_cross_entropy(one, x.mat_mut(), &labels.buf, into, &mut loss.buf);
        t.refused("too few labels, or no loss", outcome, &x)?;
        t.untouched("too few labels, or no loss", &loss)?;
    }
    Ok(())
}

/// loss₀ = scale·Σ (X − T)² or the same added to it, and the gradient in place of X.
#[must_use]
pub fn squared_error<B: Network>(make: Make<'_, B>) -> Report {
    property("squared_error", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                squares(t, shape, [View::ROWS[i % 2], View::ROWS[i / 2 % 2]], into)?;
            }
        }
        let target = t.input::<Act>((3, 4), View::Tight, 2)?;
        for (shape, of_loss) in [((4, 3), 1), ((3, 5), 1), ((2, 4), 1), ((3, 4), 0)] {
            let mut x = t.output::<Act>(shape, View::Tight, Store::Add, 1)?;
            let mut loss = t.whole::<Acc>(&vec![1.0; of_loss])?;
            let (one, into) = (AccumOf::<B>::of(1.0), Store::Replace);
            let outcome = t.be.squared_error(one, x.mat_mut(), target.mat(), into, &mut loss.buf);
            t.refused("X of another shape, or no loss", outcome, &x)?;
            t.untouched("X of another shape, or no loss", &loss)?;
        }
        Ok(())
    })
}

fn squares<B: Network>(
    t: &mut Trial<B>,
    (n, k): (usize, usize),
    [of_x, of_target]: [View; 2],
    into: Store,
) -> Outcome<B> {
    t.shape(&[n, k]);
    let mut x = t.output::<Act>((n, k), of_x, Store::Add, 1)?;
    let target = t.input::<Act>((n, k), of_target, 2)?;
    let mut loss = t.column::<Acc>(1, into, 3)?;
    let scale = t.number(1.0 / (n * k).max(1) as f64);
    t.be.squared_error(scale, x.mat_mut(), target.mat(), into, &mut loss.buf)?;
    let d = |i, j| x.value(i, j) - target.value(i, j);
    let case = ((n, k), [of_x, of_target], into);
    t.check(&("loss", case), &loss, &|i, j| {
        let all = (0..n).flat_map(|i| (0..k).map(move |j| (i, j)));
        let sum = Expected::sum_of(all.map(|(i, j)| d(i, j) * d(i, j)));
        stored(sum.times(scale.f64()), into, &loss, i, j)
    })?;
    t.check(&("dX", case), &x, &|i, j| Expected::about(2.0 * scale.f64() * d(i, j)))
}
