//! Ten optimiser steps: every loss, every gradient norm, every learning rate, the trained
//! parameters, and the output of the trained network.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Store};
use decora::direction::Any;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::{Activation, Network};
use decora::optim::{AdamW, Optimizer, Rule, Schedule, Training};
use decora::param::{Param, Parameters, Slot};
use decora::scalar::Scalar;
use decora::spec::{Plan, Spec};
use decora_cpu::{Cpu, FastCpu};

use crate::file::Golden;
use crate::{close, to};

const DIMS: [usize; 4] = [6, 7, 5, 3];
const STEPS: usize = 10;
const ROWS: usize = 8;

/// A run's method and settings, as `make.py` lists them, and its number of micro-batches.
fn settings(run: &str) -> (Spec, Training, usize) {
    let adamw = Training {
        rule: Rule::AdamW(AdamW::default()),
        lr: 0.02,
        lr_magnitude: Some(0.01),
        weight_decay: 0.05,
        schedule: Schedule::Cosine { warmup: 2, total: 10 },
        clip: Some(0.5),
    };
    let dora = Spec::dora(2, 4.0);
    match run {
        "dora" => (dora, adamw, 1),
        "accumulate" => (dora, adamw, 2),
        "lora" => {
            let schedule = Schedule::Linear { warmup: 3, total: 10 };
            let spec = Spec { rslora: true, ..Spec::lora(2, 4.0) };
            (spec, Training { schedule, clip: None, ..adamw }, 1)
        }
        "full" => {
            let constant = Training { lr: 0.01, schedule: Schedule::Constant, ..adamw };
            (Spec::full(), constant, 1)
        }
        _ => {
            let rule = Rule::Sgd { momentum: 0.9 };
            let (lr, schedule) = (0.05, Schedule::Constant);
            let plain = Training { rule, lr, schedule, clip: None, weight_decay: 0.01, ..adamw };
            (dora, Training { lr_magnitude: None, ..plain }, 1)
        }
    }
}

fn key(p: Slot, layer: usize) -> String {
    let name = match p {
        Slot::LoraA => "lora_a",
        Slot::LoraB => "lora_b",
        Slot::Magnitude => "m",
        Slot::Bias => "bias",
        _ => "weight",
    };
    format!("layers.{layer}.{name}")
}

/// The frozen network of a run on a device.
fn network<'w, B: Network>(
    be: &mut B,
    golden: &Golden,
    run: &str,
    weights: &'w [Vec<f64>],
    plans: &[Plan],
) -> Mlp<'w, B, Any<B>, 3> {
    let mut bases = Vec::new();
    for (i, w) in weights.iter().enumerate() {
        let frozen = Frozen::new(DIMS[i + 1], DIMS[i], Format::F64(w)).unwrap();
        let bias = to::<AccumOf<B>>(&golden.get(&format!("{run}/initial/layers.{i}.bias")));
        bases.push(Linear::new(be, frozen, Some(&bias)).unwrap());
    }
    let shape = Shape { plans, activation: Activation::Relu };
    let mut mlp: Mlp<'_, B, Any<B>, 3> = Mlp::new(be, shape, bases, &mut Rng::new(0)).unwrap();
    let mut start = |be: &mut B, layer: usize, p: &mut Param<B>| {
        p.set(be, &to(&golden.get(&format!("{run}/initial/{}", key(p.slot, layer)))))
    };
    mlp.visit(be, &mut start).unwrap();
    mlp
}

fn scalars<B: Network>(x: &[f64]) -> Vec<B::Scalar> {
    to::<AccumOf<B>>(x).into_iter().map(B::Scalar::narrow).collect()
}

/// One optimiser step on batch `step`; what it was like.
fn step<B: Network>(
    be: &mut B,
    mlp: &mut Mlp<'_, B, Any<B>, 3>,
    optimizer: &mut Optimizer<B>,
    (x, labels): (&[B::Scalar], &[u32]),
    parts: usize,
) -> [f64; 3] {
    let mut store = Store::Replace;
    let batches = x.chunks(x.len() / parts).zip(labels.chunks(labels.len() / parts));
    for (x, labels) in batches {
        mlp.train(be, x, labels, 1.0 / ROWS as f64, Pass::Train(0), store).unwrap();
        store = Store::Add;
    }
    let (loss, lr) = (mlp.loss(be).unwrap(), optimizer.lr());
    let norm = optimizer.grad_norm(be, mlp).unwrap();
    optimizer.step(be, mlp).unwrap();
    [loss, norm, lr]
}

fn check<B: Network>(mut be: B, run: &str, bound: f64) {
    let golden = Golden::open("train.safetensors");
    let get = |name: &str| golden.get(&format!("{run}/{name}"));
    let (spec, training, parts) = settings(run);
    let moments = training.rule.moments();
    let plans = [0, 1, 2].map(|i| {
        let (out, inputs) = (DIMS[i + 1], DIMS[i]);
        Plan { out, inputs, bias: true, rows: ROWS, spec, moments }
    });
    let weights = [0, 1, 2].map(|i| get(&format!("initial/layers.{i}.weight")));
    let mut mlp = network(&mut be, &golden, run, &weights, &plans);
    let mut optimizer = Optimizer::new(&mut be, training).unwrap();
    let (x, labels) = (scalars::<B>(&get("x")), get("labels"));
    let labels: Vec<u32> = labels.iter().map(|&l| l as u32).collect();
    let batches = x.chunks(ROWS * DIMS[0]).zip(labels.chunks(ROWS));
    let history: Vec<[f64; 3]> =
        batches.map(|b| step(&mut be, &mut mlp, &mut optimizer, b, parts)).collect();
    assert_eq!(history.len(), STEPS);
    for (i, name) in ["losses", "grad_norms", "lr"].iter().enumerate() {
        let found: Vec<f64> = history.iter().map(|h| h[i]).collect();
        close(&format!("{run}/{name}"), &found, &get(name), bound);
    }
    trained(&mut be, &mut mlp, &golden, run, bound);
}

fn trained<B: Network>(
    be: &mut B,
    mlp: &mut Mlp<'_, B, Any<B>, 3>,
    golden: &Golden,
    run: &str,
    bound: f64,
) {
    let mut seen = 0;
    let mut same = |be: &mut B, layer: usize, p: &mut Param<B>| {
        let mut found = vec![AccumOf::<B>::default(); p.count()];
        p.get(be, &mut found)?;
        let name = format!("{run}/final/{}", key(p.slot, layer));
        close(&name, &found, &golden.get(&name), bound);
        seen += 1;
        Ok(())
    };
    mlp.visit(be, &mut same).unwrap();
    let all = golden.names().iter().filter(|n| n.starts_with(&format!("{run}/final/"))).count();
    assert_eq!(seen, all, "{run}: every trained tensor was compared");
    let x = scalars::<B>(&golden.get(&format!("{run}/x_eval")));
    let mut y = vec![B::Scalar::default(); x.len() / DIMS[0] * DIMS[3]];
    mlp.infer(be, &x, &mut y).unwrap();
    close(&format!("{run}/logits"), &y, &golden.get(&format!("{run}/logits_eval")), bound);
}

/// Ten steps of a badly conditioned optimiser multiply rounding errors: AdamW divides by √v, and
/// where a gradient is near zero its sign decides the step.
const F32_BOUND: f64 = 1e-4;

macro_rules! runs {
    ($($run:ident),*) => {
        $(
            #[test]
            fn $run() {
                check(Cpu::<f64>::heap(), stringify!($run), 1e-12);
                check(FastCpu::<f64>::fast(), stringify!($run), 1e-12);
                check(Cpu::<f32>::heap(), stringify!($run), F32_BOUND);
                check(FastCpu::<f32>::fast(), stringify!($run), F32_BOUND);
            }
        )*

        #[test]
        fn no_run_is_left_out() {
            let names = Golden::open("train.safetensors").names();
            let mut runs: Vec<_> = names.iter().map(|n| n.split('/').next().unwrap()).collect();
            runs.dedup();
            let mut known = vec![$(stringify!($run)),*];
            known.sort();
            assert_eq!(runs, known);
        }
    };
}

runs!(dora, lora, full, sgd, accumulate);
