//! Where training starts: at the base layer. And settings that must come to the same.

use decora::adapter::Pass;
use decora::backend::Backend;
use decora::buffer::{Acc, Act};
use decora::param::Slot;
use decora::spec::{NormGradient, Spec};

use super::{activations, exact, weight_norm, with_zero_row};
use crate::against::Make;
use crate::expected::Expected;
use crate::ops::Kind;
use crate::paint::painted;
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

const SIDES: [(usize, usize, usize); 3] = [(3, 5, 4), (7, 11, 13), (33, 40, 37)];

/// With B = 0, y is that of the base, bit for bit, and g is exactly 1: for every low-rank and
/// fixed direction, every storage format, with and without bias, also in rows of zeros.
#[must_use]
pub fn starts_at_base<B: Backend>(make: Make<'_, B>) -> Report {
    property("starts_at_base", make, &|t| {
        for kind in Kind::ALL {
            let frozen_a = Spec::dora(2, 3.0).with_frozen_a();
            for spec in [Spec::lora(2, 3.0), Spec::dora(3, 5.0), exact(2, 1.0), frozen_a] {
                starts(t, kind, spec)?;
            }
            starts(t, kind, Spec::magnitude_only())?;
            starts(t, kind, Spec { bias: true, ..Spec::dora(1, 2.0) })?;
        }
        Ok(())
    })
}

fn starts<B: Backend>(t: &mut Trial<B>, kind: Kind, spec: Spec) -> Outcome<B> {
    for (rows, out, inputs) in SIDES {
        for bias in [None, Some(painted(4, out, 1))] {
            t.shape(&[rows, out, inputs]);
            let (w, x) = (with_zero_row(kind, out, inputs), activations::<B>(1, rows, inputs));
            let mut base = Rig::new(&mut t.be, &w, bias.as_deref(), Spec::frozen(), rows)?;
            let mut rig = Rig::new(&mut t.be, &w, bias.as_deref(), spec, rows)?;
            let expected = base.forward(&mut t.be, &x, Pass::Eval)?;
            let found = rig.forward(&mut t.be, &x, Pass::Eval)?;
            let case = (kind, spec, (rows, out, inputs), bias.is_some());
            t.check_values::<Act>(&case, &found, &|e| Expected::exactly(expected[e]));
            let (_, gains) = rig.norms_and_gains(&mut t.be)?;
            t.check_values::<Acc>(&("g", case), &gains, &|_| Expected::exactly(1.0));
        }
    }
    Ok(())
}

/// The same for dense directions, up to the order of summation.
#[must_use]
pub fn dense_starts_at_base<B: Backend>(make: Make<'_, B>) -> Report {
    property("dense_starts_at_base", make, &|t| {
        for kind in Kind::ALL {
            for spec in [Spec::full(), weight_norm(NormGradient::Detached)] {
                for (rows, out, inputs) in SIDES {
                    t.shape(&[rows, out, inputs]);
                    let w = with_zero_row(kind, out, inputs);
                    let x = activations::<B>(1, rows, inputs);
                    let mut rig = Rig::new(&mut t.be, &w, None, spec, rows)?;
                    let found = rig.forward(&mut t.be, &x, Pass::Eval)?;
                    let reference = rig.reference(&mut t.be)?;
                    let expected = reference.forward(&x, &reference.norms(), None);
                    t.check_values::<Act>(&(kind, spec, rows), &found, &|e| Expected {
                        value: expected[e],
                        sum: reference.size(&x, e / out, e % out),
                        terms: inputs,
                        exact: false,
                    });
                }
            }
        }
        Ok(())
    })
}

/// y of two adapters with the same parameters, bit for bit.
fn alike<B: Backend>(t: &mut Trial<B>, one: Spec, other: Spec) -> Outcome<B> {
    t.shape(&[5, 7, 9]);
    let (w, x) = (with_zero_row(Kind::F32, 7, 9), activations::<B>(1, 5, 9));
    let mut one_rig = Rig::new(&mut t.be, &w, None, one, 5)?;
    let mut other_rig = Rig::new(&mut t.be, &w, None, other, 5)?;
    one_rig.stir(&mut t.be)?;
    other_rig.stir(&mut t.be)?;
    let expected = one_rig.forward(&mut t.be, &x, Pass::Eval)?;
    let found = other_rig.forward(&mut t.be, &x, Pass::Eval)?;
    t.check_values::<Act>(&(one, other), &found, &|e| Expected::exactly(expected[e]));
    Ok(())
}

/// Dropout changes y in training, and leaves it alone in [`Pass::Eval`].
#[must_use]
pub fn dropout_off_in_eval<B: Backend>(make: Make<'_, B>) -> Report {
    property("dropout_off_in_eval", make, &|t| {
        for spec in [Spec::lora(2, 3.0), Spec::dora(2, 3.0), exact(2, 3.0)] {
            let dropping = Spec { dropout: 0.5, ..spec };
            alike(t, spec, dropping)?;
            let (w, x) = (with_zero_row(Kind::F32, 7, 9), activations::<B>(1, 5, 9));
            let mut rig = Rig::new(&mut t.be, &w, None, dropping, 5)?;
            rig.stir(&mut t.be)?;
            let eval = rig.forward(&mut t.be, &x, Pass::Eval)?;
            let train = rig.forward(&mut t.be, &x, Pass::Train(11))?;
            t.require(&dropping, eval != train, "nothing is dropped in training");
        }
        Ok(())
    })
}

/// rsLoRA with α is LoRA with α·√r: the same s.
#[must_use]
pub fn rank_stabilised<B: Backend>(make: Make<'_, B>) -> Report {
    property("rank_stabilised", make, &|t| {
        for (rank, root) in [(1, 1.0), (4, 2.0)] {
            alike(t, Spec::lora(rank, 3.0 * root), Spec { rslora: true, ..Spec::lora(rank, 3.0) })?;
            alike(t, Spec::dora(rank, 3.0 * root), Spec { rslora: true, ..Spec::dora(rank, 3.0) })?;
        }
        let w = with_zero_row(Kind::F32, 7, 9);
        let mut rig = Rig::new(&mut t.be, &w, None, Spec::dora(4, 1.0), 5)?;
        let a = rig.param(&mut t.be, Slot::LoraA)?;
        t.require(&"A", a.iter().any(|&a| a != 0.0), "A starts at 0, where nothing can be learnt");
        Ok(())
    })
}
