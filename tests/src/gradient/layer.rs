//! One adapted layer.

use decora::adapter::Pass;
use decora::backend::{Backend, Dropout, Store};
use decora::buffer::Acc;
use decora::param::Slot;
use decora::spec::{NormGradient, Spec, Update};

use super::{close_to, loss, slopes};
use crate::against::Make;
use crate::ops::{Kind, Stored};
use crate::paint::painted;
use crate::reference::Layer;
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

const ROWS: usize = 3;
const OUT: usize = 5;
const INPUTS: usize = 4;
const SEED: u64 = 0xABCD_0123_4567;

/// The gradient of L = Σ R⊙y in x and in everything that is trained, R a fixed matrix, for every
/// method: where the norm is detached, the differences are taken with n held where it is.
#[must_use]
pub fn layer_gradient<B: Backend<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("layer_gradient", make, &|t| {
        t.shape(&[ROWS, OUT, INPUTS]);
        for spec in methods() {
            for with_bias in [false, true] {
                let spec = Spec { bias: with_bias, ..spec };
                for zero_row in [false, true] {
                    gradients(t, spec, with_bias, zero_row)?;
                }
            }
        }
        Ok(())
    })
}

/// Every method, alone and with what may be added to it.
fn methods() -> Vec<Spec> {
    let exact = |spec| Spec { norm_gradient: NormGradient::Exact, ..spec };
    let dropping = |spec| Spec { dropout: 0.4, ..spec };
    let dense = Spec { update: Update::Dense, magnitude: true, ..Spec::frozen() };
    let (lora, dora) = (Spec::lora(2, 3.0), Spec::dora(2, 3.0));
    let rslora = Spec { rslora: true, ..Spec::dora(3, 2.0) };
    // A rank that no matrix of this shape has.
    let high = Spec::dora(OUT + 2, 3.0);
    let plain =
        [lora, dora, rslora, Spec::magnitude_only(), Spec::full(), dense, Spec::frozen(), high];
    let mut all = plain.to_vec();
    all.extend([
        exact(dora),
        exact(rslora),
        exact(dense),
        exact(high),
        exact(Spec::magnitude_only()),
    ]);
    all.extend([dropping(lora), dropping(dora), dropping(exact(dora)), dropping(exact(dense))]);
    all.push(dropping(Spec::magnitude_only()));
    let frozen_a = [lora, dora, exact(dora), dropping(lora), dropping(dora), dropping(exact(dora))];
    all.extend(frozen_a.map(Spec::with_frozen_a));
    all
}

fn gradients<B: Backend<Scalar = f64>>(
    t: &mut Trial<B>,
    spec: Spec,
    with_bias: bool,
    zero_row: bool,
) -> Outcome<B> {
    let mut w = painted(9, OUT, INPUTS);
    if zero_row {
        w[2 * INPUTS..3 * INPUTS].fill(0.0);
    }
    let w = Stored::new(Kind::F64, OUT, INPUTS, &w);
    let bias = with_bias.then(|| painted(4, OUT, 1));
    let (x, r) = (painted(1, ROWS, INPUTS), painted(2, ROWS, OUT));
    let mut rig = Rig::new(&mut t.be, &w, bias.as_deref(), spec, ROWS)?;
    rig.stir(&mut t.be)?;
    let y = rig.forward(&mut t.be, &x, Pass::Train(SEED))?;
    let dx = rig.backward(&mut t.be, &x, &r, Store::Replace)?;
    let (found, layer) = (rig.grads(&mut t.be)?, rig.reference(&mut t.be)?);

    let case = (spec, zero_row);
    let drop = (spec.dropout > 0.0).then_some(Dropout { p: spec.dropout, seed: SEED });
    let expected = layer.forward(&x, &layer.norms(), drop);
    t.check_values::<Acc>(&("y", case), &y, &close_to(&expected, 0.0));
    let of_x = slopes(&x, &|x| loss(&layer.forward(x, &layer.norms(), drop), &r));
    t.check_values::<Acc>(&("dx", case), &dx, &close_to(&of_x, 0.0));
    for (number, (slot, found)) in found.iter().enumerate() {
        if spec.frozen_a && *slot == Slot::LoraA {
            t.require(&(slot, case), found.is_empty(), "a gradient of what is not trained");
            continue;
        }
        let expected = slopes_of(&layer, number, &x, &r, drop);
        t.check_values::<Acc>(&(slot, case), found, &close_to(&expected, 1e-3));
    }
    Ok(())
}

/// ∂L/∂θ for the parameter with this number; n moves with it only in the exact mode.
fn slopes_of(
    layer: &Layer,
    number: usize,
    x: &[f64],
    r: &[f64],
    drop: Option<Dropout>,
) -> Vec<f64> {
    let held = layer.norms();
    slopes(&layer.params[number].1, &|values| {
        let mut moved = layer.clone();
        moved.params[number].1 = values.to_vec();
        let exact = layer.spec.norm_gradient == NormGradient::Exact;
        let norms = if exact { moved.norms() } else { held.clone() };
        loss(&moved.forward(x, &norms, drop), r)
    })
}
