//! O = softmax(scale·Q·Kᵀ)·V.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::mat::Mat;
use decora::sequence::{Attention, Heads, Sequence};

use super::case::{Case, cases};
use crate::against::Make;
use crate::paint::View;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// O and ln Σ exp(score): causal, in windows, in packed sequences, with a cache, with heads that share
/// keys; queries that see nothing get 0, scores of ±1000 do not overflow, and what no query sees may
/// be NaN.
#[must_use]
pub fn attention<B: Sequence>(make: Make<'_, B>) -> Report {
    property("attention", make, &|t| {
        cases().try_for_each(|case| forward(t, case))?;
        REFUSED.iter().try_for_each(|misfit| refused(t, misfit))
    })
}

fn forward<B: Sequence>(t: &mut Trial<B>, case: Case) -> Outcome<B> {
    t.shape(&case.sides());
    let inputs = case.inputs(t)?;
    let (heads, width) = (case.heads.0, case.heads().width());
    let mut o = t.output::<Act>((case.shape.0, width), case.views[1], Store::Replace, 0)?;
    let mut lse = t.column::<Acc>(case.shape.0 * heads, Store::Replace, 0)?;
    t.be.attention(inputs.attention(), o.mat_mut(), &mut lse.buf)?;
    let expected = inputs.numbers.forward();
    t.check(&("lse", case), &lse, &|i, _| expected.lse[i])?;
    t.check(&("O", case), &o, &|i, j| expected.o[i * width + j])
}

/// What an attention of 3 queries and 5 keys, 4 heads of 2 and 2 of keys, is given.
struct Misfit {
    what: &'static str,
    kv_heads: usize,
    shapes: [(usize, usize); 4],
    view: View,
    spans: usize,
    lse: usize,
}

const FITS: Misfit = Misfit {
    what: "",
    kv_heads: 2,
    shapes: [(3, 8), (5, 4), (5, 4), (3, 8)],
    view: View::Tight,
    spans: 6,
    lse: 12,
};

const REFUSED: [Misfit; 9] = [
    Misfit { what: "4 heads, 3 of keys", kv_heads: 3, ..FITS },
    Misfit {
        what: "no heads of keys",
        kv_heads: 0,
        shapes: [(3, 8), (5, 0), (5, 0), (3, 8)],
        ..FITS
    },
    Misfit { what: "Q of another width", shapes: [(3, 7), (5, 4), (5, 4), (3, 7)], ..FITS },
    Misfit { what: "K of another width", shapes: [(3, 8), (5, 8), (5, 8), (3, 8)], ..FITS },
    Misfit { what: "fewer rows of V than of K", shapes: [(3, 8), (5, 4), (4, 4), (3, 8)], ..FITS },
    Misfit { what: "O of another shape", shapes: [(3, 8), (5, 4), (5, 4), (4, 8)], ..FITS },
    Misfit { what: "columns that are not adjacent", view: View::Turned, ..FITS },
    Misfit { what: "a span too few", spans: 5, ..FITS },
    Misfit { what: "a sum too few", lse: 11, ..FITS },
];

fn refused<B: Sequence>(t: &mut Trial<B>, misfit: &Misfit) -> Outcome<B> {
    let Misfit { what, kv_heads, shapes: [of_q, of_k, of_v, of_o], view, spans, lse } = *misfit;
    let heads = Heads { heads: 4, kv_heads, dim: 2, scale: 1.0 };
    let q = t.input::<Act>(of_q, View::Tight, 1)?;
    let (k, v) = (t.input::<Act>(of_k, View::Tight, 2)?, t.input::<Act>(of_v, view, 3)?);
    let spans = t.whole::<Index>(&vec![1.0; spans])?;
    let mut o = t.output::<Act>(of_o, View::Tight, Store::Add, 4)?;
    let mut lse = t.whole::<Acc>(&vec![1.0; lse])?;
    let [q, k, v] = [&q, &k, &v].map(|x| Mat { buf: &x.buf, at: x.at });
    let of = Attention { heads, q, k, v, spans: &spans.buf };
    let outcome = t.be.attention(of, o.mat_mut(), &mut lse.buf);
    t.refused(what, outcome, &o)?;
    t.untouched(what, &lse)
}
