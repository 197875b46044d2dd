//! The lengths that the library promises at compile time are exact: a network, its optimiser and
//! its training fit in an arena of that length, and not in one that is a word shorter.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Backend, Store};
use decora::direction::Any;
use decora::error::{DeviceError, Error, ErrorKind};
use decora::f16;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::Activation;
use decora::optim::{AdamW, Optimizer, Rule, Training};
use decora::scalar::Scalar;
use decora::spec::{NormGradient, Plan, Spec, Update};
use decora_cpu::{Cpu, CpuError};

/// Sides of the layers: odd, so that half words and labels leave remainders.
const SIDES: [usize; 4] = [5, 7, 3, 9];
const WEIGHTS: [f32; 35] = [0.5; 35];

const fn plans(specs: [Spec; 3], rows: usize, bias: bool, moments: usize) -> [Plan; 3] {
    let [a, b, c] = specs;
    [
        Plan { out: SIDES[1], inputs: SIDES[0], bias, rows, spec: a, moments },
        Plan { out: SIDES[2], inputs: SIDES[1], bias, rows, spec: b, moments },
        Plan { out: SIDES[3], inputs: SIDES[2], bias, rows, spec: c, moments },
    ]
}

type Answer<T> = Result<T, Error<CpuError>>;

/// Trains one step in an arena of `words`; the words that are left.
fn train<S: Scalar>(shape: Shape<'_>, rule: Rule, words: usize) -> Answer<Option<usize>> {
    let mut arena = vec![S::Accum::default(); words];
    let mut be = Cpu::<S>::new(&mut arena);
    let mut bases = Vec::new();
    for plan in shape.plans {
        let w =
            Frozen::new(plan.out, plan.inputs, Format::F32(&WEIGHTS[..plan.out * plan.inputs]))?;
        let zeros = vec![AccumOf::<Cpu<'_, S>>::default(); plan.out];
        bases.push(Linear::new(&mut be, w, plan.bias.then_some(&zeros[..]))?);
    }
    let mut mlp = Mlp::<_, Any<_>, 3>::new(&mut be, shape, bases, &mut Rng::new(1))?;
    let mut optimizer = Optimizer::new(&mut be, Training { rule, ..Training::default() })?;
    let rows = shape.plans.first().map_or(0, |p| p.rows);
    let (x, labels) = (vec![S::default(); rows * SIDES[0]], vec![1; rows]);
    mlp.train(&mut be, &x, &labels, 1.0, Pass::Train(3), Store::Replace)?;
    optimizer.step(&mut be, &mut mlp)?;
    Ok(be.left())
}

fn fits_exactly<S: Scalar>(shape: Shape<'_>, rule: Rule) {
    let words = shape.words::<S>() + Optimizer::<Cpu<'_, S>>::WORDS;
    let case = format!("{} {:?} {:?}", S::NAME, shape.activation, shape.plans);
    match train::<S>(shape, rule, words) {
        Ok(left) => assert_eq!(left, Some(0), "words too many: {case}"),
        Err(e) => panic!("{words} words are too few: {e}: {case}"),
    }
    match train::<S>(shape, rule, words - 1) {
        Err(Error::Device(e)) => assert_eq!(e.kind(), ErrorKind::OutOfMemory, "{case}"),
        other => panic!("one word less: {other:?}: {case}"),
    }
}

fn every_scalar(specs: [Spec; 3]) {
    for activation in [Activation::Gelu, Activation::Relu] {
        for rows in [1, 4] {
            for (bias, rule) in [
                (false, Rule::Sgd { momentum: 0.0 }),
                (true, Rule::Sgd { momentum: 0.9 }),
                (true, Rule::AdamW(AdamW::default())),
            ] {
                let plans = plans(specs, rows, bias, rule.moments());
                let shape = Shape { plans: &plans, activation };
                fits_exactly::<f32>(shape, rule);
                fits_exactly::<f64>(shape, rule);
                fits_exactly::<f16>(shape, rule);
            }
        }
    }
}

fn exact(spec: Spec) -> Spec {
    Spec { norm_gradient: NormGradient::Exact, ..spec }
}

fn weight_norm() -> Spec {
    Spec { update: Update::Dense, magnitude: true, ..Spec::frozen() }
}

#[test]
fn low_rank() {
    every_scalar([Spec::lora(1, 1.0), Spec::lora(3, 1.0), Spec::lora(2, 1.0)]);
    every_scalar([Spec::dora(1, 1.0), Spec::dora(3, 1.0), Spec::dora(2, 1.0)]);
    every_scalar([Spec { bias: true, ..Spec::dora(2, 1.0) }; 3]);
}

#[test]
fn low_rank_with_the_exact_gradient() {
    every_scalar([exact(Spec::dora(3, 1.0)); 3]);
    every_scalar([exact(Spec::dora(1, 1.0)), Spec::lora(3, 1.0), Spec::frozen()]);
}

#[test]
fn low_rank_with_a_as_it_was_drawn() {
    every_scalar([Spec::lora(2, 1.0).with_frozen_a(), Spec::dora(3, 1.0), Spec::frozen()]);
    every_scalar([Spec::dora(2, 1.0).with_frozen_a(); 3]);
    every_scalar([exact(Spec::dora(2, 1.0).with_frozen_a()); 3]);
}

#[test]
fn magnitudes_alone() {
    every_scalar([Spec::magnitude_only(); 3]);
    every_scalar([exact(Spec::magnitude_only()), Spec::frozen(), Spec::bitfit()]);
}

#[test]
fn dense() {
    every_scalar([Spec::full(); 3]);
    every_scalar([weight_norm(), exact(weight_norm()), Spec::lora(2, 1.0)]);
}

#[test]
fn nothing_trained() {
    every_scalar([Spec::frozen(); 3]);
    every_scalar([Spec::bitfit(); 3]);
}

#[test]
fn dropout() {
    let dropping = |spec| Spec { dropout: 0.5, ..spec };
    every_scalar([dropping(Spec::lora(2, 1.0)), Spec::lora(1, 1.0), Spec::frozen()]);
    every_scalar([dropping(Spec::dora(2, 1.0)); 3]);
    every_scalar([dropping(exact(Spec::dora(2, 1.0))), Spec::full(), Spec::magnitude_only()]);
}

#[test]
fn the_length_is_known_to_the_compiler() {
    const PLANS: [Plan; 3] = plans([Spec::dora(2, 1.0); 3], 4, true, 2);
    const SHAPE: Shape<'_> = Shape { plans: &PLANS, activation: Activation::Relu };
    static ARENA: [f32; SHAPE.words::<f32>() + Optimizer::<Cpu<'static, f32>>::WORDS] =
        [0.0; SHAPE.words::<f32>() + Optimizer::<Cpu<'static, f32>>::WORDS];
    let mut arena = ARENA;
    let mut be = Cpu::<f32>::new(&mut arena);
    assert!(be.alloc::<decora::buffer::Acc>(ARENA.len()).is_ok());
}
