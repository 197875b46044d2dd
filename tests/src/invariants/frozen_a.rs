//! What holds when A stays as it was drawn.

use decora::adapter::Pass;
use decora::backend::{Backend, Store};
use decora::buffer::Acc;
use decora::optim::{AdamW, Optimizer, Rule, Training};
use decora::param::Slot;
use decora::spec::Spec;

use super::activations;
use crate::against::Make;
use crate::expected::Expected;
use crate::ops::{Kind, Stored};
use crate::paint::painted;
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

const ROWS: usize = 5;
const OUT: usize = 7;
const INPUTS: usize = 9;

/// Training with A frozen leaves A as it is and moves B; B's gradient, y and dx are those of the
/// same layer with a trained A.
#[must_use]
pub fn frozen_a<B: Backend>(make: Make<'_, B>) -> Report {
    property("frozen_a", make, &|t| {
        for spec in
            [Spec::lora(2, 3.0), Spec::dora(2, 3.0), Spec { dropout: 0.4, ..Spec::dora(2, 3.0) }]
        {
            stays(t, spec)?;
        }
        Ok(())
    })
}

fn stays<B: Backend>(t: &mut Trial<B>, spec: Spec) -> Outcome<B> {
    t.shape(&[ROWS, OUT, INPUTS]);
    let w = Stored::painted(Kind::F32, OUT, INPUTS, 9);
    let (x, dy) = (activations::<B>(1, ROWS, INPUTS), activations::<B>(2, ROWS, OUT));
    let bias = painted(4, OUT, 1);
    let mut both = Vec::new();
    for spec in [spec, spec.with_frozen_a()] {
        let mut rig = Rig::new(&mut t.be, &w, Some(&bias), spec, ROWS)?;
        rig.stir(&mut t.be)?;
        let y = rig.forward(&mut t.be, &x, Pass::Train(3))?;
        let dx = rig.backward(&mut t.be, &x, &dy, Store::Replace)?;
        both.push((rig, y, dx));
    }
    let (Some((mut frozen, y, dx)), Some((mut trained, of_y, of_dx))) = (both.pop(), both.pop())
    else {
        return Ok(());
    };
    t.check_values::<decora::buffer::Act>(&(spec, "y"), &y, &|e| Expected::exactly(of_y[e]));
    t.check_values::<decora::buffer::Act>(&(spec, "dx"), &dx, &|e| Expected::exactly(of_dx[e]));
    let all = trained.grads(&mut t.be)?;
    for (slot, found) in frozen.grads(&mut t.be)?.iter().filter(|(slot, _)| *slot != Slot::LoraA) {
        let expected = all.iter().find(|(s, _)| s == slot).map_or(&[][..], |(_, g)| g);
        t.check_values::<Acc>(&(spec, slot), found, &|e| Expected::exactly(expected[e]));
    }
    moves_b_alone(t, &mut frozen, spec)
}

fn moves_b_alone<B: Backend>(t: &mut Trial<B>, rig: &mut Rig<'_, B>, spec: Spec) -> Outcome<B> {
    let before = [Slot::LoraA, Slot::LoraB].map(|slot| rig.param(&mut t.be, slot));
    let rule = Rule::AdamW(AdamW::default());
    let training = Training { rule, lr: 0.1, weight_decay: 0.5, ..Training::default() };
    Optimizer::new(&mut t.be, training)?.step(&mut t.be, rig)?;
    let [a, b] = before;
    let (a, b) = (a?, b?);
    let now = rig.param(&mut t.be, Slot::LoraA)?;
    t.check_values::<Acc>(&(spec, "A"), &now, &|e| Expected::exactly(a[e]));
    let moved = rig.param(&mut t.be, Slot::LoraB)? != b;
    t.require(&(spec, "B"), moved, "B does not move");
    Ok(())
}
