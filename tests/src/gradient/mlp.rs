//! A whole perceptron.

use decora::adapter::Pass;
use decora::backend::Store;
use decora::buffer::Acc;
use decora::direction::Any;
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::{Activation, Network};
use decora::param::{Parameters, Slot};
use decora::spec::{NormGradient, Plan, Spec, Update};

use super::{close_to, slopes};
use crate::against::Make;
use crate::ops::{ACTIVATIONS, Kind, Stored};
use crate::paint::{paint, painted};
use crate::reference::{Layer, cross_entropy, phi};
use crate::report::Report;
use crate::rig::download;
use crate::trial::{Outcome, Trial, property};

const ROWS: usize = 4;
const SIDES: [usize; 4] = [5, 6, 4, 3];
const LABELS: [u32; ROWS] = [2, 0, 1, 2];

/// The gradients of the mean cross-entropy of three adapted layers, in everything that is trained,
/// for each activation: n moves with the parameters (`NormGradient::Exact`).
#[must_use]
pub fn mlp_gradient<B: Network<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("mlp_gradient", make, &|t| {
        let exact = Spec { norm_gradient: NormGradient::Exact, bias: true, ..Spec::dora(2, 3.0) };
        let dense = Spec { update: Update::Dense, ..exact };
        t.shape(&[&[ROWS], &SIDES[..]].concat());
        for f in ACTIVATIONS {
            through(t, f, [exact; 3])?;
            through(t, f, [Spec::lora(2, 3.0), Spec::magnitude_only(), Spec::full()])?;
            through(t, f, [dense, Spec::bitfit(), exact])?;
            through(t, f, [Spec::frozen(), exact.with_frozen_a(), exact])?;
        }
        Ok(())
    })
}

fn plan(layer: usize, spec: Spec) -> Plan {
    let (inputs, out) = (SIDES[layer], SIDES[layer + 1]);
    Plan { out, inputs, bias: true, rows: ROWS, spec, moments: 0 }
}

fn through<B: Network<Scalar = f64>>(
    t: &mut Trial<B>,
    activation: Activation,
    specs: [Spec; 3],
) -> Outcome<B> {
    let plans = [0, 1, 2].map(|l| plan(l, specs[l]));
    let w = [0, 1, 2].map(|l| Stored::painted(Kind::F64, SIDES[l + 1], SIDES[l], l + 3));
    let mut bases = Vec::new();
    for (l, w) in w.iter().enumerate() {
        bases.push(Linear::new(&mut t.be, w.frozen()?, Some(&painted(l + 6, SIDES[l + 1], 1)))?);
    }
    let shape = Shape { plans: &plans, activation };
    let mut mlp = Mlp::<B, Any<B>, 3>::new(&mut t.be, shape, bases, &mut Rng::new(3))?;
    let mut layers: Vec<Layer> = (0..3).map(|l| frozen_layer(l, &w[l], specs[l])).collect();
    mlp.visit(&mut t.be, &mut |be, l, p| {
        let mut values = download::<B, Acc>(be, p.value())?;
        values.iter_mut().enumerate().for_each(|(e, x)| *x += 0.2 * paint(l, e, p.slot as usize));
        p.set(be, &values)?;
        layers[l].params.push((p.slot, values));
        Ok(())
    })?;
    compare(t, &mut mlp, &layers, activation)
}

fn frozen_layer(l: usize, w: &Stored, spec: Spec) -> Layer {
    let (out, inputs) = w.shape();
    let all = (0..out * inputs).map(|e| w.value(e / inputs, e % inputs)).collect();
    Layer { out, inputs, w: all, bias: Some(painted(l + 6, out, 1)), spec, params: Vec::new() }
}

fn compare<B: Network<Scalar = f64>>(
    t: &mut Trial<B>,
    mlp: &mut Mlp<'_, B, Any<B>, 3>,
    layers: &[Layer],
    f: Activation,
) -> Outcome<B> {
    let x = painted(1, ROWS, SIDES[0]);
    mlp.train(&mut t.be, &x, &LABELS, 1.0 / ROWS as f64, Pass::Eval, Store::Replace)?;
    let found = [mlp.loss(&mut t.be)?];
    t.check_values::<Acc>(&("loss", f), &found, &close_to(&[loss(layers, f, &x)], 0.0));
    let mut grads: Vec<(usize, Slot, Vec<f64>)> = Vec::new();
    mlp.visit(&mut t.be, &mut |be, l, p| {
        grads.push((l, p.slot, download::<B, Acc>(be, &p.grad)?));
        Ok(())
    })?;
    for (l, slot, found) in &grads {
        let Some(number) = layers[*l].params.iter().position(|(s, _)| s == slot) else { continue };
        if layers[*l].spec.frozen_a && *slot == Slot::LoraA {
            t.require(&(l, slot), found.is_empty(), "a gradient of what is not trained");
            continue;
        }
        let expected = slopes(&layers[*l].params[number].1, &|values| {
            let mut moved = layers.to_vec();
            moved[*l].params[number].1 = values.to_vec();
            loss(&moved, f, &x)
        });
        let case = (f, layers[*l].spec, "layer", l, slot);
        t.check_values::<Acc>(&case, found, &close_to(&expected, 1e-3));
    }
    Ok(())
}

fn loss(layers: &[Layer], f: Activation, x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    for (l, layer) in layers.iter().enumerate() {
        x = layer.forward(&x, &layer.norms(), None);
        if l + 1 < layers.len() {
            x.iter_mut().for_each(|x| *x = phi::value(f, *x));
        }
    }
    let classes = SIDES[3];
    let rows = x.chunks(classes).zip(LABELS);
    rows.map(|(x, label)| cross_entropy(x, label as usize) / ROWS as f64).sum()
}
