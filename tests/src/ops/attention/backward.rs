//! dQ, dK and dV.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::mat::Mat;
use decora::sequence::{Attention, AttentionGrad, Heads, Sequence};

use super::case::{Case, Spans, cases, flat};
use crate::against::Make;
use crate::operand::Operand;
use crate::paint::View;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// dQ, dK and dV of dO, O and ln Σ exp(score), for whatever [`attention`](super::attention) is tried on;
/// keys that no query sees get 0, and where every query sees one key dQ and dK are exactly 0.
#[must_use]
pub fn attention_grad<B: Sequence>(make: Make<'_, B>) -> Report {
    property("attention_grad", make, &|t| {
        cases().try_for_each(|case| backward(t, case))?;
        (0..8).try_for_each(|misfit| refused(t, misfit))
    })
}

/// The values, rounded to what the device holds, in this view.
fn given<B: Sequence>(
    t: &mut Trial<B>,
    values: &[f64],
    (rows, cols): (usize, usize),
    view: View,
) -> Result<Operand<B, Act>, B::Error> {
    let (at, len) = view.layout(rows, cols);
    let mut host = vec![f64::NAN; len];
    for (e, &value) in values.iter().enumerate() {
        host[at.offset + e / cols * at.rs + e % cols] = value;
    }
    t.put::<Act>(&host, at)
}

fn backward<B: Sequence>(t: &mut Trial<B>, case: Case) -> Outcome<B> {
    t.shape(&case.sides());
    let inputs = case.inputs(t)?;
    let ([of_q, of_k, of_v], [view, of_dk, of_dv]) = (case.shapes(), case.views);
    let forward = inputs.numbers.forward();
    let values =
        |all: &[crate::expected::Expected]| all.iter().map(|e| e.value).collect::<Vec<_>>();
    let o = given(t, &values(&forward.o), of_q, view)?;
    let lse = t.vector::<Acc>(&values(&forward.lse))?;
    let d_o = t.input::<Act>(of_q, of_dk, 4)?;
    let mut dots = t.column::<Acc>(lse.at.rows, Store::Replace, 0)?;
    let mut dq = t.output::<Act>(of_q, of_dv, Store::Replace, 0)?;
    let mut dk = t.output::<Act>(of_k, of_dk, Store::Replace, 0)?;
    let mut dv = t.output::<Act>(of_v, of_dv, Store::Replace, 0)?;
    let grad = AttentionGrad { dq: dq.mat_mut(), dk: dk.mat_mut(), dv: dv.mat_mut() };
    t.be.attention_grad(inputs.attention(), o.mat(), &lse.buf, d_o.mat(), &mut dots.buf, grad)?;

    let [o, d_o] = [&o, &d_o].map(|x| flat(&x.host, x.at));
    let expected = inputs.numbers.backward(&o, &lse.host[..lse.at.rows], &d_o);
    t.check(&("dQ", case), &dq, &|i, j| expected.dq[i * of_q.1 + j])?;
    t.check(&("dK", case), &dk, &|i, j| expected.dk[i * of_k.1 + j])?;
    t.check(&("dV", case), &dv, &|i, j| expected.dv[i * of_v.1 + j])?;
    let (behind, found) = (dots.at.rows, t.get::<Acc>(&dots.buf)?);
    t.require(&case, found[behind..] == dots.host[behind..], "something was written behind dots");
    if matches!(case.spans, Spans::Window(1)) {
        let [of_q, of_k] = [&dq, &dk].map(|x| (t.get::<Act>(&x.buf), x.at));
        let zeros = |host: Vec<f64>, at| flat(&host, at).iter().all(|&x| x == 0.0);
        let exact = zeros(of_q.0?, of_q.1) && zeros(of_k.0?, of_k.1);
        t.require(&case, exact, "dQ or dK of the only key is not 0");
    }
    Ok(())
}

/// What each of the operands is when one of them does not fit: 3 queries, 5 keys, 4 heads of 2 and 2
/// of keys.
fn refused<B: Sequence>(t: &mut Trial<B>, misfit: usize) -> Outcome<B> {
    const WHAT: [&str; 8] = [
        "dO of another shape",
        "dQ of another shape",
        "dK of another shape",
        "dV of another shape",
        "O of another shape",
        "too little room for dots",
        "too few sums",
        "columns that are not adjacent",
    ];
    let (what, is) = (WHAT[misfit], |number| misfit == number);
    let off = |number, (rows, cols)| (rows + usize::from(is(number)), cols);
    let heads = Heads { heads: 4, kv_heads: 2, dim: 2, scale: 1.0 };
    let [q, k, v] = [((3, 8), 1), ((5, 4), 2), ((5, 4), 3)];
    let [q, k, v] = [q, k, v].map(|(shape, salt)| t.input::<Act>(shape, View::Tight, salt));
    let (q, k, v) = (q?, k?, v?);
    let spans = t.whole::<Index>(&[0.0, 5.0].repeat(3))?;
    let turned = if is(7) { View::Turned } else { View::Tight };
    let (o, d_o) =
        (t.input::<Act>(off(4, (3, 8)), View::Tight, 4)?, t.input(off(0, (3, 8)), turned, 5)?);
    let lse = t.whole::<Acc>(&vec![1.0; 12 - usize::from(is(6))])?;
    let mut dots = t.whole::<Acc>(&vec![1.0; 12 - usize::from(is(5))])?;
    let mut out = |number, shape| t.output::<Act>(off(number, shape), View::Tight, Store::Add, 6);
    let (mut dq, mut dk, mut dv) = (out(1, (3, 8))?, out(2, (5, 4))?, out(3, (5, 4))?);
    let [q, k, v] = [&q, &k, &v].map(|x| Mat { buf: &x.buf, at: x.at });
    let of = Attention { heads, q, k, v, spans: &spans.buf };
    let grad = AttentionGrad { dq: dq.mat_mut(), dk: dk.mat_mut(), dv: dv.mat_mut() };
    let outcome = t.be.attention_grad(of, o.mat(), &lse.buf, d_o.mat(), &mut dots.buf, grad);
    t.refused(what, outcome, &dq)?;
    [&dk, &dv].into_iter().try_for_each(|grad| t.untouched(what, grad))?;
    t.untouched(what, &dots)
}
