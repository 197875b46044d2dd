//! Steps of optimisers, and what clipping needs.

use decora::backend::{AccumOf, AdamWStep, Backend, Clip, SgdStep, Store};
use decora::buffer::Acc;
use decora::scalar::Accum;

use super::gemm::stored;
use super::{LENGTHS, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::{paint, whole};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// out₀ = Σ x² or the same added to out₀, over the whole of x, which may be empty.
#[must_use]
pub fn sum_sq<B: Backend>(make: Make<'_, B>) -> Report {
    property("sum_sq", make, &|t| {
        for len in LENGTHS.into_iter().chain([0, 70_001]) {
            for into in STORES {
                t.shape(&[len]);
                let x = t.whole::<Acc>(&(0..len).map(|i| paint(1, i, 0)).collect::<Vec<_>>())?;
                let mut out = t.column::<Acc>(1, into, 2)?;
                t.be.sum_sq(&x.buf, into, &mut out.buf)?;
                t.check(&(len, into), &out, &|i, j| {
                    let squares = (0..len).map(|k| x.value(k, 0) * x.value(k, 0));
                    stored(Expected::sum_of(squares), into, &out, i, j)
                })?;
            }
        }
        for len in [4099, 65_539, 1_048_583] {
            exact_squares(t, len)?;
        }
        let (x, mut none) = (t.whole::<Acc>(&[1.0; 3])?, t.whole::<Acc>(&[])?);
        let outcome = t.be.sum_sq(&x.buf, Store::Replace, &mut none.buf);
        t.refused("out without elements", outcome, &none)
    })
}

/// A sum of whole numbers, to the last of them.
fn exact_squares<B: Backend>(t: &mut Trial<B>, len: usize) -> Outcome<B> {
    t.shape(&[len]);
    let x = t.whole::<Acc>(&(0..len).map(|i| whole(1, i, 0)).collect::<Vec<_>>())?;
    let mut out = t.column::<Acc>(1, Store::Replace, 0)?;
    t.be.sum_sq(&x.buf, Store::Replace, &mut out.buf)?;
    t.check(&("whole numbers", len), &out, &|_, _| {
        Expected::exactly((0..len).map(|k| x.value(k, 0) * x.value(k, 0)).sum())
    })
}

/// The largest norm that clipping leaves alone, and the sum of squares: no clipping, none
/// needed, a quarter left, nothing left.
const CLIPS: [Option<(f64, f64)>; 4] =
    [None, Some((1.0, 0.25)), Some((1.0, 16.0)), Some((1e-3, 1e6))];

/// The same as the device holds it.
fn held<B: Backend>(t: &Trial<B>, clip: Option<(f64, f64)>) -> Option<(f64, f64)> {
    clip.map(|(max, sum_sq)| (t.number(max).f64(), t.number(sum_sq).f64()))
}

/// min(1, max/(√`sum_sq` + 1e-6)).
fn factor(clip: Option<(f64, f64)>) -> f64 {
    clip.map_or(1.0, |(max, sum_sq)| (max / (sum_sq.sqrt() + 1e-6)).min(1.0))
}

fn painted<B: Backend>(
    t: &mut Trial<B>,
    len: usize,
    salt: usize,
) -> Result<Operand<B, Acc>, B::Error> {
    t.whole::<Acc>(&(0..len).map(|i| paint(salt, i, 0)).collect::<Vec<_>>())
}

/// One AdamW step, with and without clipping, from moments of 0 and from others.
#[must_use]
pub fn adamw<B: Backend>(make: Make<'_, B>) -> Report {
    property("adamw", make, &|t| {
        for (i, len) in LENGTHS.into_iter().enumerate() {
            let of = |x| t.number(x);
            let step = AdamWStep {
                beta1: of(0.9),
                beta2: of([0.999, 0.95][i % 2]),
                eps: of([1e-8, 1e-3][i / 2 % 2]),
                decay: of([1.0, 0.99][i / 3 % 2]),
                rate: of(0.05),
                root: of([31.6, 1.0][i % 2]),
            };
            adamw_step(t, len, step, held(t, CLIPS[i % 4]), i % 3 == 0)?;
        }
        adamw_refusals(t)
    })
}

fn adamw_step<B: Backend>(
    t: &mut Trial<B>,
    len: usize,
    step: AdamWStep<AccumOf<B>>,
    clip: Option<(f64, f64)>,
    first: bool,
) -> Outcome<B> {
    t.shape(&[len]);
    let second: Vec<f64> =
        (0..len).map(|i| if first { 0.0 } else { paint(4, i, 0).abs() }).collect();
    let m_old: Vec<f64> = (0..len).map(|i| if first { 0.0 } else { paint(3, i, 0) }).collect();
    let (grad, mut p) = (painted(t, len, 1)?, painted(t, len, 2)?);
    let (mut m, mut v) = (t.whole::<Acc>(&m_old)?, t.whole::<Acc>(&second)?);
    let sum = t.vector::<Acc>(&[clip.map_or(0.0, |c| c.1)])?;
    let on = clip.map(|(max, _)| Clip { max: t.number(max), sum_sq: &sum.buf });
    t.be.adamw(step, on, &grad.buf, &mut p.buf, &mut m.buf, &mut v.buf)?;

    let AdamWStep { beta1, beta2, eps, decay, rate, root } = step;
    let [beta1, beta2, eps] = [beta1.f64(), beta2.f64(), eps.f64()];
    let [decay, rate, root] = [decay.f64(), rate.f64(), root.f64()];
    let g = |i| factor(clip) * grad.value(i, 0);
    let new_m = |i| Expected::sum_of([beta1 * m.value(i, 0), (1.0 - beta1) * g(i)]);
    let new_v = |i| Expected::sum_of([beta2 * v.value(i, 0), (1.0 - beta2) * g(i) * g(i)]);
    let case = (len, step, clip);
    t.check(&("m", case), &m, &|i, _| new_m(i))?;
    t.check(&("v", case), &v, &|i, _| new_v(i))?;
    t.check(&("p", case), &p, &|i, _| {
        let per = -rate / (root * new_v(i).value.sqrt() + eps);
        let moved = new_m(i).times(per);
        Expected::about(decay * p.value(i, 0)).plus_within(moved.value, moved.sum)
    })
}

fn adamw_refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let of = AccumOf::<B>::of;
    let (half, one) = (of(0.5), of(1.0));
    let step =
        AdamWStep { beta1: half, beta2: half, eps: half, decay: half, rate: half, root: one };
    for odd in 0..4 {
        for other in [4, 6] {
            let len = |of| if of == odd { other } else { 5 };
            let grad = painted(t, len(0), 1)?;
            let (mut p, mut m) = (painted(t, len(1), 2)?, painted(t, len(2), 3)?);
            let mut v = t.whole::<Acc>(&vec![0.5; len(3)])?;
            let outcome = t.be.adamw(step, None, &grad.buf, &mut p.buf, &mut m.buf, &mut v.buf);
            t.refused("lengths that differ", outcome, &p)?;
            t.untouched("lengths that differ", &m)?;
            t.untouched("lengths that differ", &v)?;
        }
    }
    Ok(())
}

/// One SGD step, with and without clipping, momentum and decay.
#[must_use]
pub fn sgd<B: Backend>(make: Make<'_, B>) -> Report {
    property("sgd", make, &|t| {
        for (i, len) in LENGTHS.into_iter().enumerate() {
            let of = |x| t.number(x);
            let step = SgdStep {
                rate: of(0.3),
                momentum: of([0.9, 0.5][i % 2]),
                decay: of([0.0, 0.01][i / 2 % 2]),
            };
            for with_u in [false, true] {
                sgd_step(t, len, step, held(t, CLIPS[i % 4]), with_u)?;
            }
        }
        sgd_refusals(t)
    })
}

fn sgd_step<B: Backend>(
    t: &mut Trial<B>,
    len: usize,
    step: SgdStep<AccumOf<B>>,
    clip: Option<(f64, f64)>,
    with_u: bool,
) -> Outcome<B> {
    t.shape(&[len]);
    let (grad, mut p, mut u) = (painted(t, len, 1)?, painted(t, len, 2)?, painted(t, len, 3)?);
    let sum = t.vector::<Acc>(&[clip.map_or(0.0, |c| c.1)])?;
    let on = clip.map(|(max, _)| Clip { max: t.number(max), sum_sq: &sum.buf });
    t.be.sgd(step, on, &grad.buf, &mut p.buf, with_u.then_some(&mut u.buf))?;

    let [rate, mu, decay] = [step.rate.f64(), step.momentum.f64(), step.decay.f64()];
    let new_u = |i| {
        let g = [factor(clip) * grad.value(i, 0), decay * p.value(i, 0)];
        Expected::sum_of(g).plus(if with_u { mu * u.value(i, 0) } else { 0.0 })
    };
    let case = (len, step, clip, with_u);
    t.check(&("u", case), &u, &|i, _| match with_u {
        true => new_u(i),
        false => Expected::exactly(u.value(i, 0)),
    })?;
    t.check(&("p", case), &p, &|i, _| {
        let moved = new_u(i).times(-rate);
        Expected::about(p.value(i, 0)).plus_within(moved.value, moved.sum)
    })
}

fn sgd_refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let half = AccumOf::<B>::of(0.5);
    let step = SgdStep { rate: half, momentum: half, decay: half };
    for odd in 0..3 {
        for other in [4, 6] {
            let len = |of| if of == odd { other } else { 5 };
            let grad = painted(t, len(0), 1)?;
            let (mut p, mut u) = (painted(t, len(1), 2)?, painted(t, len(2), 3)?);
            let outcome = t.be.sgd(step, None, &grad.buf, &mut p.buf, Some(&mut u.buf));
            t.refused("lengths that differ", outcome, &p)?;
            t.untouched("lengths that differ", &u)?;
        }
    }
    Ok(())
}
