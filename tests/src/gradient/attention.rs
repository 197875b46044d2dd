//! Attention.

use decora::backend::Store;
use decora::buffer::{Acc, Act};
use decora::sequence::{AttentionGrad, Sequence};

use super::{close_to, loss, slopes};
use crate::against::Make;
use crate::ops::{AttentionCase as Case, Spans};
use crate::paint::{View, painted};
use crate::reference::Attend;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// The gradients of attention in Q, K and V: O and ln Σ exp(score) go from the device's forward pass to
/// its backward pass. Heads share keys; queries see windows, sequences, or nothing.
#[must_use]
pub fn attention_gradient<B: Sequence<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("attention_gradient", make, &|t| {
        for (shape, heads, spans) in [
            ((5, 5), (2, 1), Spans::Causal),
            ((3, 6), (4, 2), Spans::Causal),
            ((6, 6), (2, 2), Spans::Window(3)),
            ((9, 9), (2, 1), Spans::Packed),
            ((9, 9), (1, 1), Spans::PackedBothWays),
            ((8, 8), (2, 1), Spans::Padded),
            ((4, 7), (4, 2), Spans::Holes),
        ] {
            let (views, size) = ([View::Gaps, View::Tight, View::Gaps], (2.0, 0.6));
            attended(t, Case { shape, heads, dim: 4, spans, size, views, fused: false })?;
        }
        Ok(())
    })
}

/// O.
fn output(numbers: &Attend) -> Vec<f64> {
    numbers.forward().o.iter().map(|o| o.value).collect()
}

fn attended<B: Sequence<Scalar = f64>>(t: &mut Trial<B>, case: Case) -> Outcome<B> {
    t.shape(&case.sides());
    let inputs = case.inputs(t)?;
    let (shapes, replace) = (case.shapes(), Store::Replace);
    let mut o = t.output::<Act>(shapes[0], View::Tight, replace, 0)?;
    let mut lse = t.column::<Acc>(case.shape.0 * case.heads.0, replace, 0)?;
    t.be.attention(inputs.attention(), o.mat_mut(), &mut lse.buf)?;
    let r = painted(4, shapes[0].0, shapes[0].1);
    let (d_o, mut dots) = (t.put::<Act>(&r, o.at)?, t.column::<Acc>(lse.at.rows, replace, 0)?);
    let mut out = |i: usize| t.output::<Act>(shapes[i], View::Tight, replace, 0);
    let (mut dq, mut dk, mut dv) = (out(0)?, out(1)?, out(2)?);
    let grad = AttentionGrad { dq: dq.mat_mut(), dk: dk.mat_mut(), dv: dv.mat_mut() };
    t.be.attention_grad(inputs.attention(), o.mat(), &lse.buf, d_o.mat(), &mut dots.buf, grad)?;

    let of = &inputs.numbers;
    let found = t.get::<Act>(&o.buf)?;
    t.check_values::<Acc>(&("o", case), &found, &close_to(&output(of), 0.0));
    let expected = [
        slopes(&of.q, &|q| loss(&output(&Attend { q: q.to_vec(), ..of.clone() }), &r)),
        slopes(&of.k, &|k| loss(&output(&Attend { k: k.to_vec(), ..of.clone() }), &r)),
        slopes(&of.v, &|v| loss(&output(&Attend { v: v.to_vec(), ..of.clone() }), &r)),
    ];
    for ((what, grad), expected) in
        [("dq", &dq), ("dk", &dk), ("dv", &dv)].into_iter().zip(expected)
    {
        let found = t.get::<Act>(&grad.buf)?;
        t.check_values::<Acc>(&(what, case), &found, &close_to(&expected, 0.0));
    }
    Ok(())
}
