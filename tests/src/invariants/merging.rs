//! Merging and its inverse.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Backend};
use decora::buffer::{Acc, Act};
use decora::error::Error;
use decora::linear::Linear;
use decora::merge::Merge;
use decora::scalar::{Accum, Scalar};
use decora::spec::{NormGradient, Spec};

use super::{activations, exact, weight_norm, with_zero_row};
use crate::against::Make;
use crate::expected::Expected;
use crate::ops::{Kind, Stored};
use crate::paint::painted;
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

const SIDES: [(usize, usize, usize); 2] = [(3, 7, 9), (33, 40, 37)];

/// x·W'ᵀ + b, with W' merged into a frozen layer of its own, is y of the adapter: both as the
/// reference has it.
#[must_use]
pub fn merged_is_forward<B: Backend>(make: Make<'_, B>) -> Report {
    property("merged_is_forward", make, &|t| {
        let specs = [
            Spec::lora(2, 3.0),
            Spec::dora(3, 2.0),
            Spec::dora(41, 2.0),
            exact(2, 1.0),
            Spec::dora(2, 3.0).with_frozen_a(),
            Spec::magnitude_only(),
            Spec::full(),
            weight_norm(NormGradient::Detached),
        ];
        for spec in specs {
            for kind in Kind::ALL {
                SIDES.into_iter().try_for_each(|sides| merged(t, spec, kind, sides))?;
            }
        }
        Ok(())
    })
}

/// A storage format that holds sums of the device exactly.
fn widest<B: Backend>() -> Kind {
    if <AccumOf<B> as Scalar>::NAME == "f64" { Kind::F64 } else { Kind::F32 }
}

fn merged<B: Backend>(
    t: &mut Trial<B>,
    spec: Spec,
    kind: Kind,
    (rows, out, inputs): (usize, usize, usize),
) -> Outcome<B> {
    let spec = Spec { bias: false, ..spec };
    t.shape(&[rows, out, inputs]);
    let (w, x) = (with_zero_row(kind, out, inputs), activations::<B>(1, rows, inputs));
    let bias = painted(4, out, 1);
    let mut rig = Rig::new(&mut t.be, &w, Some(&bias), spec, rows)?;
    rig.stir(&mut t.be)?;
    let w = Stored::new(widest::<B>(), out, inputs, &rig.merged(&mut t.be)?);
    let mut merged = Rig::new(&mut t.be, &w, Some(&bias), Spec::frozen(), rows)?;
    let reference = rig.reference(&mut t.be)?;
    let y = reference.forward(&x, &reference.norms(), None);
    let expected = |e: usize| Expected {
        value: y[e],
        sum: reference.size(&x, e / out, e % out),
        terms: inputs + spec.rank(),
        exact: false,
    };
    let case = (spec, kind, rows);
    let found = rig.forward(&mut t.be, &x, Pass::Eval)?;
    t.check_values::<Act>(&("adapter", case), &found, &expected);
    let found = merged.forward(&mut t.be, &x, Pass::Eval)?;
    t.check_values::<Act>(&("merged", case), &found, &expected);
    Ok(())
}

/// Merging and unmerging gives W back, to the rounding of W'. An adapter whose parameters were set
/// and that has not run since either does the same or answers with an error.
#[must_use]
pub fn unmerge_restores<B: Backend>(make: Make<'_, B>) -> Report {
    property("unmerge_restores", make, &|t| {
        for spec in [Spec::lora(2, 3.0), Spec::dora(3, 2.0), exact(2, 1.0), Spec::magnitude_only()]
        {
            for sides in SIDES {
                unmerged(t, spec, sides)?;
            }
        }
        Ok(())
    })
}

fn unmerged<B: Backend>(
    t: &mut Trial<B>,
    spec: Spec,
    (rows, out, inputs): (usize, usize, usize),
) -> Outcome<B> {
    t.shape(&[rows, out, inputs]);
    let w = with_zero_row(Kind::F16, out, inputs);
    let mut rig = Rig::new(&mut t.be, &w, None, spec, rows)?;
    rig.stir(&mut t.be)?;
    let reference = rig.reference(&mut t.be)?;
    let merged = Stored::new(widest::<B>(), out, inputs, &rig.merged(&mut t.be)?);
    let expected =
        |e: usize| Expected::within(reference.w[e], 2.0 * reference.v(e / inputs, e % inputs).1);
    let found = rows_without(t, &mut rig, &merged)?;
    t.check_values::<Acc>(&(spec, rows), &found, &expected);

    let mut loaded = Rig::new(&mut t.be, &w, None, spec, rows)?;
    for (slot, values) in &reference.params {
        loaded.set(&mut t.be, *slot, values)?;
    }
    if let Ok(found) = rows_without(t, &mut loaded, &merged) {
        t.check_values::<Acc>(&("parameters set, and never used", spec), &found, &expected);
    }
    Ok(())
}

/// W out of W'.
fn rows_without<'w, B: Backend>(
    t: &mut Trial<B>,
    rig: &mut Rig<'_, B>,
    merged: &'w Stored,
) -> Result<Vec<f64>, Error<B::Error>> {
    let inputs = merged.shape().1;
    let base = Linear::<'w, B>::new(&mut t.be, merged.frozen()?, None)?;
    let mut room = vec![AccumOf::<B>::default(); 5 * inputs];
    let mut found = Vec::new();
    Merge::new(&mut t.be, 4, inputs)?.unmerge(
        &mut t.be,
        &base,
        &mut rig.adapter,
        &mut room,
        &mut |_, rows| {
            found.extend(rows.iter().map(|x| x.f64()));
            Ok(())
        },
    )?;
    Ok(found)
}
