//! Y = α·X.

use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::{Acc, Act, Float};
use decora::mat::Layout;
use decora::scalar::Accum;

use super::gemm::stored;
use super::{SHAPES, STORES};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::View;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Y = α·X or Y += α·X, from either role to either; α = 1 copies. NaN stays where it is.
#[must_use]
pub fn axpy<B: Backend>(make: Make<'_, B>) -> Report {
    property("axpy", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                let alpha = [1.0, -1.0, 0.7][i % 3];
                scaled::<B, Act, Act>(t, shape, views, into, alpha)?;
                scaled::<B, Act, Acc>(t, shape, views, into, alpha)?;
                scaled::<B, Acc, Act>(t, shape, views, into, alpha)?;
                scaled::<B, Acc, Acc>(t, shape, views, into, alpha)?;
            }
        }
        copies(t)?;
        refusals(t)?;
        not_a_number(t)
    })
}

fn scaled<B: Backend, X: Float, Y: Float>(
    t: &mut Trial<B>,
    shape: (usize, usize),
    [of_x, of_y]: [View; 2],
    into: Store,
    alpha: f64,
) -> Outcome<B> {
    t.shape(&[shape.0, shape.1]);
    let alpha = t.number(alpha);
    let x = t.input::<X>(shape, of_x, 1)?;
    let mut y = t.output::<Y>(shape, of_y, into, 2)?;
    t.be.axpy(alpha, x.mat(), into, y.mat_mut())?;
    let case = (X::KIND, Y::KIND, shape, [of_x, of_y], into, alpha);
    t.check(&case, &y, &|i, j| stored(Expected::about(alpha.f64() * x.value(i, j)), into, &y, i, j))
}

fn copies<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    t.shape(&[17, 19]);
    let x = t.input::<Acc>((17, 19), View::Gaps, 1)?;
    let mut y = t.output::<Acc>((17, 19), View::Tight, Store::Replace, 2)?;
    t.be.axpy(AccumOf::<B>::of(1.0), x.mat(), Store::Replace, y.mat_mut())?;
    t.check(&"a copy", &y, &|i, j| Expected::exactly(x.value(i, j)))
}

fn refusals<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let x = t.input::<Act>((3, 4), View::Tight, 1)?;
    for shape in [(4, 3), (3, 5), (2, 4), (12, 1)] {
        let mut y = t.output::<Acc>(shape, View::Tight, Store::Add, 2)?;
        let (one, into) = (AccumOf::<B>::of(1.0), Store::Replace);
        let outcome = t.be.axpy(one, x.mat(), into, y.mat_mut());
        t.refused("Y of another shape", outcome, &y)?;
    }
    Ok(())
}

fn not_a_number<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    t.shape(&[5, 6]);
    let mut host = vec![0.25; 30];
    host[8] = f64::NAN;
    let x = t.put::<Act>(&host, Layout::row_major(0, 5, 6))?;
    for into in STORES {
        let mut y = t.output::<Acc>((5, 6), View::Tight, into, 2)?;
        t.be.axpy(AccumOf::<B>::of(2.0), x.mat(), into, y.mat_mut())?;
        t.check(&("a NaN in X", into), &y, &|i, j| match (i, j) {
            (1, 2) => Expected::exactly(f64::NAN),
            _ => stored(Expected::about(0.5), into, &y, i, j),
        })?;
    }
    Ok(())
}
