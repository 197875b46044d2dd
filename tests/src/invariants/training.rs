//! Gradients and steps.

use decora::adapter::Pass;
use decora::backend::{Backend, Store};
use decora::buffer::Acc;
use decora::optim::{AdamW, Optimizer, Rule, Training};
use decora::param::Slot;
use decora::spec::Spec;

use super::{activations, exact, with_zero_row};
use crate::against::Make;
use crate::expected::Expected;
use crate::ops::{Kind, Stored};
use crate::paint::painted;
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

const OUT: usize = 7;
const INPUTS: usize = 9;

/// The gradients of three micro-batches, [`Store::Replace`] then [`Store::Add`], add up to that of
/// the whole batch.
#[must_use]
pub fn micro_batches<B: Backend>(make: Make<'_, B>) -> Report {
    property("micro_batches", make, &|t| {
        let frozen_a = Spec::dora(2, 3.0).with_frozen_a();
        for spec in [Spec::lora(2, 3.0), Spec::dora(2, 3.0), exact(2, 3.0), frozen_a, Spec::full()]
        {
            for bias in [false, true] {
                accumulated(t, Spec { bias, ..spec })?;
            }
        }
        Ok(())
    })
}

fn accumulated<B: Backend>(t: &mut Trial<B>, spec: Spec) -> Outcome<B> {
    let (rows, part) = (6, 2);
    t.shape(&[rows, OUT, INPUTS]);
    let w = with_zero_row(Kind::F32, OUT, INPUTS);
    let bias = painted(4, OUT, 1);
    let (x, dy) = (activations::<B>(1, rows, INPUTS), activations::<B>(2, rows, OUT));
    let mut rig = Rig::new(&mut t.be, &w, Some(&bias), spec, rows)?;
    rig.stir(&mut t.be)?;
    rig.forward(&mut t.be, &x, Pass::Eval)?;
    rig.backward(&mut t.be, &x, &dy, Store::Replace)?;
    let whole = rig.grads(&mut t.be)?;
    let mut store = Store::Replace;
    for (x, dy) in x.chunks(part * INPUTS).zip(dy.chunks(part * OUT)) {
        rig.forward(&mut t.be, x, Pass::Eval)?;
        rig.backward(&mut t.be, x, dy, store)?;
        store = Store::Add;
    }
    for ((slot, expected), (_, found)) in whole.iter().zip(&rig.grads(&mut t.be)?) {
        let largest = expected.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        t.check_values::<Acc>(&(spec, slot), found, &|e| Expected {
            value: expected[e],
            sum: 4.0 * largest,
            terms: rows,
            exact: false,
        });
    }
    Ok(())
}

/// The magnitude receives a gradient in every row and moves against it.
#[must_use]
pub fn magnitude_moves<B: Backend>(make: Make<'_, B>) -> Report {
    property("magnitude_moves", make, &|t| {
        for spec in [Spec::dora(2, 3.0), exact(2, 3.0), Spec::magnitude_only()] {
            for rule in [Rule::AdamW(AdamW::default()), Rule::Sgd { momentum: 0.9 }] {
                moves(t, spec, rule)?;
            }
        }
        Ok(())
    })
}

fn moves<B: Backend>(t: &mut Trial<B>, spec: Spec, rule: Rule) -> Outcome<B> {
    t.shape(&[5, OUT, INPUTS]);
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 9);
    let (x, dy) = (activations::<B>(1, 5, INPUTS), activations::<B>(2, 5, OUT));
    let mut rig = Rig::new(&mut t.be, &w, None, spec, 5)?;
    rig.stir(&mut t.be)?;
    rig.forward(&mut t.be, &x, Pass::Eval)?;
    rig.backward(&mut t.be, &x, &dy, Store::Replace)?;
    let before = rig.param(&mut t.be, Slot::Magnitude)?;
    let grads = rig.grads(&mut t.be)?;
    let mut optimizer = Optimizer::new(&mut t.be, Training { rule, ..Training::default() })?;
    optimizer.step(&mut t.be, &mut rig)?;
    let after = rig.param(&mut t.be, Slot::Magnitude)?;
    let dm = grads.iter().find(|(s, _)| *s == Slot::Magnitude).map_or(&[][..], |(_, g)| g);
    let moved = before.iter().zip(&after).zip(dm).filter(|((b, a), dm)| (*b - *a) * **dm > 0.0);
    t.require(&(spec, rule), moved.count() == OUT, "a row of m does not follow its gradient");
    Ok(())
}

/// A step without gradient and with weight decay leaves m and b alone, and shrinks A and B.
#[must_use]
pub fn decay_spares_magnitude<B: Backend>(make: Make<'_, B>) -> Report {
    property("decay_spares_magnitude", make, &|t| {
        for rule in [Rule::AdamW(AdamW::default()), Rule::Sgd { momentum: 0.0 }] {
            decayed(t, rule)?;
        }
        Ok(())
    })
}

fn decayed<B: Backend>(t: &mut Trial<B>, rule: Rule) -> Outcome<B> {
    t.shape(&[5, OUT, INPUTS]);
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 9);
    let (x, bias) = (activations::<B>(1, 5, INPUTS), painted(4, OUT, 1));
    let spec = Spec { bias: true, ..Spec::dora(2, 3.0) };
    let mut rig = Rig::new(&mut t.be, &w, Some(&bias), spec, 5)?;
    rig.stir(&mut t.be)?;
    rig.forward(&mut t.be, &x, Pass::Eval)?;
    rig.backward(&mut t.be, &x, &[0.0; 5 * OUT], Store::Replace)?;
    let before = rig.params(&mut t.be)?;
    let training = Training { rule, lr: 0.1, weight_decay: 0.5, ..Training::default() };
    Optimizer::new(&mut t.be, training)?.step(&mut t.be, &mut rig)?;
    for ((slot, before), (_, after)) in before.iter().zip(&rig.params(&mut t.be)?) {
        if !slot.decays() {
            t.check_values::<Acc>(&(rule, slot), after, &|e| Expected::exactly(before[e]));
            continue;
        }
        let smaller = before.iter().zip(after).all(|(b, a)| a.abs() < b.abs() || *b == 0.0);
        t.require(&(rule, slot), smaller, "weight decay does nothing");
    }
    Ok(())
}
