//! What a perceptron refuses.

use decora::adapter::Pass;
use decora::backend::Store;
use decora::direction::Any;
use decora::error::Error;
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::{Activation, Network};
use decora::scalar::Element;
use decora::spec::{Plan, Spec};

use super::refusals::answers;
use crate::against::Make;
use crate::ops::{Kind, Stored};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

const ROWS: usize = 3;
/// Inputs, width, classes.
const SIDES: [usize; 3] = [5, 4, 2];

fn plans() -> [Plan; 2] {
    [0, 1].map(|layer| Plan {
        out: SIDES[layer + 1],
        inputs: SIDES[layer],
        bias: false,
        rows: ROWS,
        spec: Spec::dora(1, 1.0),
        moments: 0,
    })
}

/// Inputs, outputs and labels that do not fit, layers that do not fit each other, and more layers
/// or rows than there is room for are refused.
#[must_use]
pub fn network_refusals<B: Network>(make: Make<'_, B>) -> Report {
    property("network_refusals", make, &|t| {
        t.shape(&[&[ROWS], &SIDES[..]].concat());
        lengths(t)?;
        layers(t)
    })
}

fn lengths<B: Network>(t: &mut Trial<B>) -> Outcome<B> {
    let w = [0, 1].map(|l| Stored::painted(Kind::F32, SIDES[l + 1], SIDES[l], l));
    let mut bases = Vec::new();
    for w in &w {
        bases.push(Linear::new(&mut t.be, w.frozen()?, None)?);
    }
    let plans = plans();
    let shape = Shape { plans: &plans, activation: Activation::Gelu };
    let mut mlp = Mlp::<B, Any<B>, 2>::new(&mut t.be, shape, bases, &mut Rng::new(1))?;
    let some = |len| vec![B::Scalar::store(0.25f64); len];
    for (rows, extra_x, y_len) in [(3, 1, 6), (3, 0, 5), (3, 0, 7), (3, 0, 8), (2, 0, 5), (4, 0, 8)]
    {
        let (x, mut y) = (some(rows * SIDES[0] + extra_x), some(y_len));
        let outcome = mlp.infer(&mut t.be, &x, &mut y);
        let case = ("infer", rows, extra_x, y_len);
        answers(t, &case, outcome, &[], |e| matches!(e, Error::Shape(_) | Error::Capacity { .. }));
        t.require(&case, y == some(y_len), "something was written all the same");
    }
    for (rows, labels) in [(3, 2), (3, 4), (4, 4)] {
        let (x, labels) = (some(rows * SIDES[0]), vec![0; labels]);
        let outcome = mlp.train(&mut t.be, &x, &labels, 1.0, Pass::Eval, Store::Replace);
        answers(t, &("train", rows, labels.len()), outcome, &[], |e| {
            matches!(e, Error::Shape(_) | Error::Capacity { .. })
        });
    }
    Ok(())
}

fn layers<B: Network>(t: &mut Trial<B>) -> Outcome<B> {
    let w = [0, 1].map(|l| Stored::painted(Kind::F32, SIDES[l + 1], SIDES[l], l));
    let plans = plans();
    let shape = Shape { plans: &plans, activation: Activation::Relu };
    let first = |be: &mut B| Linear::new(be, w[0].frozen()?, None);
    let second = |be: &mut B| Linear::new(be, w[1].frozen()?, None);

    let bases = vec![first(&mut t.be)?, second(&mut t.be)?];
    let crowded = Mlp::<B, Any<B>, 1>::new(&mut t.be, shape, bases, &mut Rng::new(1));
    answers(t, &"one layer too many", crowded, &["found 2", "1"], |e| {
        matches!(e, Error::Capacity { .. })
    });
    let bases = vec![first(&mut t.be)?];
    let missing = Mlp::<B, Any<B>, 2>::new(&mut t.be, shape, bases, &mut Rng::new(1));
    answers(t, &"a layer missing", missing, &["1", "2"], |e| matches!(e, Error::Shape(_)));
    let bases = vec![first(&mut t.be)?, first(&mut t.be)?];
    let unfit = Mlp::<B, Any<B>, 2>::new(&mut t.be, shape, bases, &mut Rng::new(1));
    answers(t, &"neighbours that do not fit", unfit, &["4×5"], |e| matches!(e, Error::Shape(_)));
    Ok(())
}
