//! What is refused, and what the answer says.

use core::fmt::Debug;

use decora::adapter::Pass;
use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::Act;
use decora::error::Error;
use decora::frozen::Frozen;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::merge::Merge;
use decora::scalar::Accum;
use decora::spec::Spec;

use crate::against::Make;
use crate::ops::{Kind, Stored};
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

const OUT: usize = 4;
const INPUTS: usize = 6;
const ROWS: usize = 3;

/// Settings and operands that make no sense are answered with an error that names what was found
/// and what was expected.
#[must_use]
pub fn refusals<B: Backend>(make: Make<'_, B>) -> Report {
    property("refusals", make, &|t| {
        t.shape(&[ROWS, OUT, INPUTS]);
        settings(t)?;
        weights(t)?;
        operands(t)?;
        room(t)
    })
}

/// The outcome is an error that is as `expected` and whose text names all of `names`.
pub(super) fn answers<B: Backend, T>(
    t: &mut Trial<B>,
    case: &dyn Debug,
    outcome: Result<T, Error<B::Error>>,
    names: &[&str],
    expected: impl Fn(&Error<B::Error>) -> bool,
) {
    match outcome {
        Ok(_) => t.require(case, false, "accepted"),
        Err(e) => {
            t.require(case, expected(&e), &format!("refused for another reason: {e}"));
            let text = e.to_string();
            for name in names {
                t.require(case, text.contains(name), &format!("{name} is not in: {text}"));
            }
        }
    }
}

fn settings<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 1);
    let rig = Rig::new(&mut t.be, &w, None, Spec::dora(0, 1.0), ROWS);
    answers(
        t,
        &("rank", 0),
        rig,
        &["rank", "0", "1 or more"],
        |e| matches!(e, Error::OutOfRange { what, .. } if *what == "rank"),
    );
    for dropout in [1.0, -0.1, f64::NAN] {
        let spec = Spec { dropout, ..Spec::lora(1, 1.0) };
        let rig = Rig::new(&mut t.be, &w, None, spec, ROWS);
        answers(
            t,
            &spec,
            rig,
            &["dropout", &dropout.to_string(), "less than 1"],
            |e| matches!(e, Error::OutOfRange { what, .. } if *what == "dropout"),
        );
    }
    for alpha in [f64::NAN, f64::INFINITY] {
        let rig = Rig::new(&mut t.be, &w, None, Spec::lora(1, alpha), ROWS);
        answers(
            t,
            &alpha,
            rig,
            &["alpha", &alpha.to_string()],
            |e| matches!(e, Error::OutOfRange { what, .. } if *what == "alpha"),
        );
    }
    Ok(())
}

fn weights<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for kind in Kind::ALL {
        let mut values = vec![0.5; OUT * INPUTS];
        values[2 * INPUTS + 5] = f64::NAN;
        let w = Stored::new(kind, OUT, INPUTS, &values);
        let frozen = Frozen::new(OUT, INPUTS, w.format()).map_err(Error::from);
        answers(
            t,
            &kind,
            frozen,
            &["row 2", "column 5"],
            |e| matches!(e, Error::NonFinite { row, col, .. } if *row == 2 && *col == 5),
        );
        let short = Frozen::new(OUT, INPUTS + 1, w.format()).map_err(Error::from);
        answers(t, &kind, short, &["24", "28"], |e| matches!(e, Error::Shape(_)));
    }
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 1);
    let of = AccumOf::<B>::of;
    let short = Linear::new(&mut t.be, w.frozen()?, Some(&[of(1.0); OUT - 1]));
    answers(t, &"bias", short, &["3", "4"], |e| matches!(e, Error::Shape(_)));
    let nan = [of(1.0), of(f64::NAN), of(1.0), of(1.0)];
    let nan = Linear::new(&mut t.be, w.frozen()?, Some(&nan));
    answers(
        t,
        &"bias",
        nan,
        &["bias", "row 1"],
        |e| matches!(e, Error::NonFinite { row, .. } if *row == 1),
    );
    Ok(())
}

/// (what, shape of x, shape of y, what the answer names).
type Misfit = (&'static str, (usize, usize), (usize, usize), [&'static str; 2]);

fn operands<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let misfits: [Misfit; 5] = [
        ("x too wide", (ROWS, INPUTS + 1), (ROWS, OUT), ["3×7", "3×6"]),
        ("y too narrow", (ROWS, INPUTS), (ROWS, OUT - 1), ["3×3", "3×4"]),
        ("y with fewer rows", (ROWS, INPUTS), (ROWS - 1, OUT), ["2×4", "3×4"]),
        ("one row too many", (ROWS + 1, INPUTS), (ROWS + 1, OUT), ["found 4", "3"]),
        ("many rows", (100, INPUTS), (100, OUT), ["found 100", "3"]),
    ];
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 1);
    for spec in [Spec::lora(1, 1.0), Spec::dora(1, 1.0), Spec::full()] {
        let mut rig = Rig::new(&mut t.be, &w, None, spec, ROWS)?;
        for (what, of_x, of_y, names) in misfits {
            let x = t.be.alloc::<Act>(of_x.0 * of_x.1)?;
            let mut y = t.be.alloc::<Act>(of_y.0 * of_y.1)?;
            let Rig { ws, base, adapter, .. } = &mut rig;
            let (from, to) = (Mat::new(&x, of_x.0, of_x.1)?, MatMut::new(&mut y, of_y.0, of_y.1)?);
            let outcome = adapter.forward(&mut t.be, ws, base, from, to, Pass::Eval);
            let fits = |e: &Error<B::Error>| matches!(e, Error::Shape(_) | Error::Capacity { .. });
            answers(t, &("forward", what), outcome, &names, fits);
            let (from, to) = (Mat::new(&x, of_x.0, of_x.1)?, MatMut::new(&mut y, of_y.0, of_y.1)?);
            let outcome = adapter.backward(&mut t.be, ws, base, from, to, None, Store::Replace);
            answers(t, &("backward", what), outcome, &names, fits);
        }
    }
    of_another_weight(t)
}

/// An adapter for W `(4, 6)` on a weight `(6, 4)`.
fn of_another_weight<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    use decora::adapter::Adapter;
    use decora::direction::Any;
    use decora::init::Rng;
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 1);
    let turned = Stored::painted(Kind::F32, INPUTS, OUT, 1);
    let mut rig = Rig::new(&mut t.be, &w, None, Spec::dora(2, 1.0), ROWS)?;
    let base = Linear::new(&mut t.be, turned.frozen()?, None)?;
    let plan = rig.plan;
    let outcome = Adapter::<B, Any<B>>::new(&mut t.be, &mut rig.ws, &base, plan, &mut Rng::new(1));
    answers(t, &"weight", outcome, &["4×6", "6×4"], |e| matches!(e, Error::Shape(_)));
    Ok(())
}

fn room<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 1);
    let mut rig = Rig::new(&mut t.be, &w, None, Spec::dora(2, 1.0), ROWS)?;
    let mut merge = Merge::new(&mut t.be, 2, INPUTS)?;
    let mut host = vec![AccumOf::<B>::of(0.0); INPUTS - 1];
    let Rig { ws, base, adapter, .. } = &mut rig;
    let outcome = merge.stream(&mut t.be, ws, base, adapter, &mut host, &mut |_, _| Ok(()));
    answers(t, &"merge", outcome, &["found 6", "5"], |e| matches!(e, Error::Capacity { .. }));
    infinite(t)
}

/// A checked merge gives nothing out when an element is not finite.
fn infinite<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    use decora::param::Slot;
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 1);
    let mut rig = Rig::new(&mut t.be, &w, None, Spec::dora(2, 1.0), ROWS)?;
    let mut m = rig.param(&mut t.be, Slot::Magnitude)?;
    m[3] = f64::INFINITY;
    rig.set(&mut t.be, Slot::Magnitude, &m)?;
    let mut merge = Merge::new(&mut t.be, 2, INPUTS)?;
    let mut host = vec![AccumOf::<B>::of(0.0); 2 * INPUTS];
    let mut given = 0;
    let Rig { ws, base, adapter, .. } = &mut rig;
    let outcome = merge.stream_checked(&mut t.be, ws, base, adapter, &mut host, &mut |_, _| {
        given += 1;
        Ok(())
    });
    answers(
        t,
        &"merge",
        outcome,
        &["row 3"],
        |e| matches!(e, Error::NonFinite { row, .. } if *row == 3),
    );
    t.require(&"merge", given == 0, "rows were given out all the same");
    Ok(())
}
