//! Norms and magnitudes.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::{Acc, Act};
use decora::param::Slot;
use decora::scalar::Scalar;
use decora::spec::{NormGradient, Spec};

use super::{ZERO, activations, exact, weight_norm, with_zero_row};
use crate::against::Make;
use crate::expected::Expected;
use crate::ops::{Kind, Stored};
use crate::report::Report;
use crate::rig::Rig;
use crate::trial::{Outcome, Trial, property};

/// n from ‖W‖² + 2s·Σ B⊙U + s²·Σ (B·G)⊙B is ‖W + s·B·A‖, and g = m/n.
#[must_use]
pub fn factored_norm<B: Backend>(make: Make<'_, B>) -> Report {
    property("factored_norm", make, &|t| {
        let frozen_a = Spec::dora(2, 3.0).with_frozen_a();
        for spec in [Spec::dora(1, 1.0), Spec::dora(4, 6.0), frozen_a, Spec::magnitude_only()] {
            for kind in Kind::ALL {
                for (out, inputs) in [(5, 4), (17, 33), (40, 70)] {
                    norms(t, spec, kind, out, inputs)?;
                }
            }
        }
        Ok(())
    })
}

fn norms<B: Backend>(
    t: &mut Trial<B>,
    spec: Spec,
    kind: Kind,
    out: usize,
    inputs: usize,
) -> Outcome<B> {
    t.shape(&[1, out, inputs]);
    let (w, x) = (with_zero_row(kind, out, inputs), activations::<B>(1, 1, inputs));
    let mut rig = Rig::new(&mut t.be, &w, None, spec, 1)?;
    rig.stir(&mut t.be)?;
    rig.forward(&mut t.be, &x, Pass::Eval)?;
    let (n, g) = rig.norms_and_gains(&mut t.be)?;
    let reference = rig.reference(&mut t.be)?;
    let case = (spec, kind, out, inputs);
    let terms = inputs + spec.rank();
    let close = |value, sum| Expected { value, sum, terms, exact: false };
    t.check_values::<Acc>(&("n", case), &n, &|i| {
        let (norm, sum) = reference.norm(i);
        if norm == 0.0 { Expected::exactly(0.0) } else { close(norm, sum / norm) }
    });
    t.check_values::<Acc>(&("g", case), &g, &|i| {
        let gain = reference.gain(i, reference.norm(i).0);
        if i == ZERO { Expected::exactly(1.0) } else { close(gain, gain * reference.condition(i)) }
    });
    Ok(())
}

/// Row V times k > 0 (a row of W and the same row of B) with the same m leaves W' alone: only the
/// direction of V counts.
#[must_use]
pub fn norm_is_free_of_scale<B: Backend>(make: Make<'_, B>) -> Report {
    property("norm_is_free_of_scale", make, &|t| {
        for spec in [Spec::dora(2, 3.0), exact(3, 1.0), Spec::magnitude_only()] {
            for k in [0.25, 3.0, 64.0] {
                scaled_row(t, spec, k)?;
            }
        }
        Ok(())
    })
}

fn scaled_row<B: Backend>(t: &mut Trial<B>, spec: Spec, k: f64) -> Outcome<B> {
    let (out, inputs, row) = (5, 7, 3);
    t.shape(&[1, out, inputs]);
    let w = Stored::painted(Kind::F32, out, inputs, 9);
    let longer: Vec<f64> = (0..out * inputs)
        .map(|e| w.value(e / inputs, e % inputs) * if e / inputs == row { k } else { 1.0 })
        .collect();
    let longer = Stored::new(Kind::F64, out, inputs, &longer);
    let mut one = Rig::new(&mut t.be, &w, None, spec, 1)?;
    one.stir(&mut t.be)?;
    let mut other = Rig::new(&mut t.be, &longer, None, spec, 1)?;
    for (slot, mut values) in one.params(&mut t.be)? {
        if slot == Slot::LoraB {
            values.chunks_mut(spec.rank()).skip(row).take(1).flatten().for_each(|b| *b *= k);
        }
        other.set(&mut t.be, slot, &values)?;
    }
    let (expected, found) = (one.merged(&mut t.be)?, other.merged(&mut t.be)?);
    let reference = one.reference(&mut t.be)?;
    t.check_values::<Acc>(&(spec, k), &found, &|e| {
        let (i, j) = (e / inputs, e % inputs);
        let g = reference.gain(i, reference.norm(i).0).abs() * reference.condition(i);
        Expected { value: expected[e], sum: g * reference.v(i, j).1, terms: inputs, exact: false }
    });
    Ok(())
}

/// With the full gradient of the norm, the gradient of each row of V is orthogonal to it: a step
/// along it would change nothing. Seen on a dense V, and on V = W + s·B with A = 1.
#[must_use]
pub fn exact_is_orthogonal<B: Backend>(make: Make<'_, B>) -> Report {
    property("exact_is_orthogonal", make, &|t| {
        for (rows, out, inputs) in [(3, 5, 4), (9, 17, 13)] {
            let dense = weight_norm(NormGradient::Exact);
            orthogonal(t, dense, Slot::Weight, (rows, out, inputs))?;
            let low_rank = exact(inputs, inputs as f64);
            orthogonal(t, low_rank, Slot::LoraB, (rows, out, inputs))?;
        }
        Ok(())
    })
}

fn orthogonal<B: Backend>(
    t: &mut Trial<B>,
    spec: Spec,
    slot: Slot,
    (rows, out, inputs): (usize, usize, usize),
) -> Outcome<B> {
    t.shape(&[rows, out, inputs]);
    let w = with_zero_row(Kind::F32, out, inputs);
    let (x, dy) = (activations::<B>(1, rows, inputs), activations::<B>(2, rows, out));
    let mut rig = Rig::new(&mut t.be, &w, None, spec, rows)?;
    rig.stir(&mut t.be)?;
    let identity: Vec<f64> =
        (0..inputs * inputs).map(|e| f64::from(u8::from(e / inputs == e % inputs))).collect();
    rig.set(&mut t.be, Slot::LoraA, &identity[..spec.rank() * inputs])?;
    rig.forward(&mut t.be, &x, Pass::Eval)?;
    rig.backward(&mut t.be, &x, &dy, Store::Replace)?;
    let grads = rig.grads(&mut t.be)?;
    let dv = grads.into_iter().find(|(s, _)| *s == slot).map_or(Vec::new(), |(_, grad)| grad);
    let reference = rig.reference(&mut t.be)?;
    let dot = |i: usize| (0..inputs).map(|j| reference.v(i, j).0 * dv[i * inputs + j]).sum();
    let found: Vec<f64> = (0..out).filter(|&i| i != ZERO).map(dot).collect();
    // dz = g⊙dy is an activation, and rounded as one.
    let coarser = B::Scalar::EPSILON / <AccumOf<B> as Scalar>::EPSILON;
    t.check_values::<Act>(&(spec, rows), &found, &|e| {
        let i = e + usize::from(e >= ZERO);
        let size: f64 = (0..rows).map(|t| dy[t * out + i].abs() * reference.size(&x, t, i)).sum();
        Expected { value: 0.0, sum: 2.0 * coarser * size, terms: rows + inputs, exact: false }
    });
    Ok(())
}

/// y with m times a factor, and without bias.
fn with_magnitude<B: Backend>(t: &mut Trial<B>, spec: Spec, factor: f64) -> Outcome<B> {
    let (rows, out, inputs) = (5, 7, 9);
    t.shape(&[rows, out, inputs]);
    let w = Stored::painted(Kind::F32, out, inputs, 9);
    let x = activations::<B>(1, rows, inputs);
    let mut rig = Rig::new(&mut t.be, &w, None, spec, rows)?;
    rig.stir(&mut t.be)?;
    let before = rig.forward(&mut t.be, &x, Pass::Eval)?;
    let m = rig.param(&mut t.be, Slot::Magnitude)?;
    let m: Vec<f64> = m.iter().map(|m| factor * m).collect();
    rig.set(&mut t.be, Slot::Magnitude, &m)?;
    let after = rig.forward(&mut t.be, &x, Pass::Eval)?;
    t.check_values::<Act>(&(spec, factor), &after, &|e| Expected::exactly(factor * before[e]));
    Ok(())
}

/// 2m gives 2y (without bias), bit for bit.
#[must_use]
pub fn doubled_magnitude<B: Backend>(make: Make<'_, B>) -> Report {
    property("doubled_magnitude", make, &|t| {
        with_magnitude(t, Spec::dora(2, 3.0), 2.0)?;
        with_magnitude(t, Spec::magnitude_only(), 2.0)
    })
}

/// −m gives −y (without bias): a negative magnitude turns a row round.
#[must_use]
pub fn negated_magnitude<B: Backend>(make: Make<'_, B>) -> Report {
    property("negated_magnitude", make, &|t| {
        with_magnitude(t, Spec::dora(2, 3.0), -1.0)?;
        with_magnitude(t, Spec::magnitude_only(), -1.0)
    })
}

/// A row that is zero in W acts as in LoRA: g = 1 and dm = 0, before and after B moves, all finite.
#[must_use]
pub fn zero_row<B: Backend>(make: Make<'_, B>) -> Report {
    property("zero_row", make, &|t| {
        for spec in [Spec::dora(2, 3.0), exact(2, 3.0)] {
            for moved in [false, true] {
                zero_row_of(t, spec, moved)?;
            }
        }
        Ok(())
    })
}

fn zero_row_of<B: Backend>(t: &mut Trial<B>, spec: Spec, moved: bool) -> Outcome<B> {
    let (rows, out, inputs) = (5, 7, 9);
    t.shape(&[rows, out, inputs]);
    let w = with_zero_row(Kind::F32, out, inputs);
    let (x, dy) = (activations::<B>(1, rows, inputs), activations::<B>(2, rows, out));
    let mut rig = Rig::new(&mut t.be, &w, None, spec, rows)?;
    if moved {
        rig.stir(&mut t.be)?;
    }
    let y = rig.forward(&mut t.be, &x, Pass::Eval)?;
    let dx = rig.backward(&mut t.be, &x, &dy, Store::Replace)?;
    let (n, g) = rig.norms_and_gains(&mut t.be)?;
    let m = rig.param(&mut t.be, Slot::Magnitude)?;
    let case = (spec, moved);
    t.require(&case, g[ZERO] == 1.0, "g is not 1");
    t.require(&case, m[ZERO] == n[ZERO], "m does not follow n");
    let grads = rig.grads(&mut t.be)?;
    let all = grads.iter().flat_map(|(_, grad)| grad).chain(&y).chain(&dx);
    let finite = all.chain(&n).chain(&g).all(|x| x.is_finite());
    t.require(&case, finite, "something is infinite or not a number");
    let zero = |(slot, grad): &(Slot, Vec<f64>)| *slot != Slot::Magnitude || grad[ZERO] == 0.0;
    t.require(&case, grads.iter().all(zero), "dm is not 0");

    let mut lora = rig.reference(&mut t.be)?;
    lora.spec = Spec::lora(2, 3.0);
    let expected = lora.forward(&x, &lora.norms(), None);
    let of_row: Vec<f64> = y.chunks(out).map(|y| y[ZERO]).collect();
    t.check_values::<Act>(&case, &of_row, &|i| Expected {
        value: expected[i * out + ZERO],
        sum: lora.size(&x, i, ZERO),
        terms: inputs,
        exact: false,
    });
    Ok(())
}
