//! One linear layer with every option: forward, every gradient, norm and merged weight.

use decora::adapter::{Adapter, Pass};
use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::{Acc, Act};
use decora::direction::Any;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::merge::Merge;
use decora::param::{Param, Slot};
use decora::scalar::Scalar;
use decora::spec::{NormGradient, Plan, Spec, Update};
use decora::workspace::Workspace;
use decora_cpu::{Cpu, FastCpu};

use crate::file::Golden;
use crate::{close, to};

const ROWS: usize = 6;
const INPUTS: usize = 7;
const OUT: usize = 5;

const CASES: [&str; 12] = [
    "dora",
    "dora_bias",
    "dora_rslora",
    "dora_negative_m",
    "dora_dropout",
    "lora",
    "lora_bias",
    "lora_rslora",
    "lora_dropout",
    "dora_exact",
    "magnitude_only",
    "magnitude_dropout",
];

/// A golden layer on a device.
struct Case<'g, B: Backend> {
    golden: &'g Golden,
    name: &'static str,
    be: B,
    base: Linear<'g, B>,
    adapter: Adapter<B, Any<B>>,
    ws: Workspace<B>,
    bound: f64,
}

fn spec(golden: &Golden, name: &str) -> Spec {
    let one = |key: &str| golden.find(&format!("{name}/{key}")).map(|v| v[0]);
    let update = match one("r") {
        Some(r) => Update::LowRank { rank: r as usize },
        None => Update::None,
    };
    Spec {
        frozen_a: false,
        update,
        magnitude: one("dm").is_some() || golden.find(&format!("{name}/m")).is_some(),
        bias: golden.find(&format!("{name}/b")).is_some(),
        alpha: one("alpha").unwrap_or(1.0),
        rslora: name.ends_with("rslora"),
        dropout: one("p").unwrap_or(0.0),
        norm_gradient: match name {
            "dora_exact" => NormGradient::Exact,
            _ => NormGradient::Detached,
        },
    }
}

impl<'g, B: Backend> Case<'g, B> {
    fn new(golden: &'g Golden, name: &'static str, w: &'g [f64], mut be: B, bound: f64) -> Self {
        let bias = golden.find(&format!("{name}/b")).map(|b| to::<AccumOf<B>>(&b));
        let weight = Frozen::new(OUT, INPUTS, Format::F64(w)).unwrap();
        let base: Linear<'_, B> = Linear::new(&mut be, weight, bias.as_deref()).unwrap();
        let (spec, rows) = (spec(golden, name), ROWS);
        let plan = Plan { out: OUT, inputs: INPUTS, bias: bias.is_some(), rows, spec, moments: 0 };
        let mut ws = Workspace::new(&mut be, plan.needs()).unwrap();
        let adapter = Adapter::new(&mut be, &mut ws, &base, plan, &mut Rng::new(0)).unwrap();
        let mut case = Self { golden, name, be, base, adapter, ws, bound };
        case.load();
        case
    }

    fn get(&self, key: &str) -> Vec<f64> {
        self.golden.get(&format!("{}/{key}", self.name))
    }

    fn load(&mut self) {
        let Self { golden, name, be, adapter, .. } = self;
        let mut load = |be: &mut B, _: usize, p: &mut Param<B>| {
            let key = match p.slot {
                Slot::LoraA => "lora_a",
                Slot::LoraB => "lora_b",
                Slot::Magnitude => "m",
                _ => "b",
            };
            p.set(be, &to(&golden.get(&format!("{name}/{key}"))))
        };
        adapter.visit(be, 0, &mut load).unwrap();
    }

    fn upload(&mut self, key: &str) -> B::Buf<Act> {
        let x: Vec<_> =
            to::<AccumOf<B>>(&self.get(key)).into_iter().map(B::Scalar::narrow).collect();
        let mut buf = self.be.alloc::<Act>(x.len()).unwrap();
        self.be.write::<Act>(&mut buf, 0, &x).unwrap();
        buf
    }

    fn pass(&self) -> Pass {
        match self.golden.find(&format!("{}/seed", self.name)) {
            Some(_) => Pass::Train(self.golden.whole(&format!("{}/seed", self.name))),
            None => Pass::Eval,
        }
    }

    fn check(&mut self, key: &str, buf: &B::Buf<Act>, len: usize) {
        let mut found = vec![B::Scalar::default(); len];
        self.be.read::<Act>(buf, 0, &mut found).unwrap();
        close(&format!("{}/{key}", self.name), &found, &self.get(key), self.bound);
    }

    fn forward_and_backward(&mut self) {
        let (x, mut y, mut dx) = (self.upload("x"), self.upload("dy"), self.upload("x"));
        let pass = self.pass();
        let Self { be, base, adapter, ws, .. } = self;
        let input = Mat::new(&x, ROWS, INPUTS).unwrap();
        let to = MatMut::new(&mut y, ROWS, OUT).unwrap();
        adapter.forward(be, ws, base, input, to, pass).unwrap();
        self.check("y", &y, ROWS * OUT);

        let mut dy = self.upload("dy");
        let Self { be, base, adapter, ws, .. } = self;
        let to = MatMut::new(&mut dy, ROWS, OUT).unwrap();
        let of_x = Some(MatMut::new(&mut dx, ROWS, INPUTS).unwrap());
        let input = Mat::new(&x, ROWS, INPUTS).unwrap();
        adapter.backward(be, ws, base, input, to, of_x, Store::Replace).unwrap();
        self.check("dx", &dx, ROWS * INPUTS);
        self.gradients();
    }

    fn gradients(&mut self) {
        let Self { golden, name, be, adapter, bound, .. } = self;
        let mut seen = 0;
        let mut check = |be: &mut B, _: usize, p: &mut Param<B>| {
            let key = match p.slot {
                Slot::LoraA => "d_lora_a",
                Slot::LoraB => "d_lora_b",
                Slot::Magnitude => "dm",
                _ => "db",
            };
            let mut grad = vec![AccumOf::<B>::default(); p.count()];
            be.read::<Acc>(&p.grad, 0, &mut grad)?;
            let key = format!("{name}/{key}");
            close(&key, &grad, &golden.get(&key), *bound);
            seen += 1;
            Ok(())
        };
        adapter.visit(be, 0, &mut check).unwrap();
        assert!(seen > 0, "{name}: something is trained");
    }

    fn merged_and_norm(&mut self) {
        let (merged, bound) = (self.get("merged"), self.bound);
        let name = self.name;
        let Self { be, base, adapter, ws, .. } = self;
        let mut merge = Merge::new(be, 2, INPUTS).unwrap();
        let mut host = vec![AccumOf::<B>::default(); 2 * INPUTS];
        let mut rows = 0;
        let mut sink = |range: core::ops::Range<usize>, w: &[AccumOf<B>]| {
            let expected = &merged[range.start * INPUTS..range.end * INPUTS];
            close(&format!("{name}/merged from row {}", range.start), w, expected, bound);
            rows += range.len();
            Ok(())
        };
        merge.stream_checked(be, ws, base, adapter, &mut host, &mut sink).unwrap();
        assert_eq!(rows, OUT);
        if let Some(magnitude) = adapter.magnitude() {
            let mut n = vec![AccumOf::<B>::default(); OUT];
            be.read::<Acc>(&magnitude.n, 0, &mut n).unwrap();
            close(&format!("{name}/norm"), &n, &self.get("norm"), bound);
        }
    }
}

fn all<B: Backend>(make: impl Fn() -> B, bound: f64) {
    let golden = Golden::open("layer.safetensors");
    for name in CASES {
        let w = golden.get(&format!("{name}/w"));
        let mut case = Case::new(&golden, name, &w, make(), bound);
        case.forward_and_backward();
        case.merged_and_norm();
    }
}

#[test]
fn in_f64_every_case_agrees_to_rounding() {
    all(Cpu::<f64>::heap, 1e-13);
    all(FastCpu::<f64>::fast, 1e-13);
}

#[test]
fn in_f32_every_case_agrees_to_rounding() {
    all(Cpu::<f32>::heap, 2e-6);
    all(FastCpu::<f32>::fast, 2e-6);
}

#[test]
fn no_case_is_left_out() {
    let names = Golden::open("layer.safetensors").names();
    let mut cases: Vec<_> = names.iter().map(|n| n.split('/').next().unwrap()).collect();
    cases.dedup();
    cases.retain(|c| *c != "init");
    let mut known = CASES.to_vec();
    known.sort();
    assert_eq!(cases, known);
}

/// A fresh adapter is the base layer, bit for bit, and its m is PEFT's.
#[test]
fn a_fresh_adapter_starts_where_pefts_does() {
    let golden = Golden::open("layer.safetensors");
    let get = |key: &str| to::<f32>(&golden.get(&format!("init/{key}")));
    let (w, b, x, y) = (get("w"), get("b"), get("x"), get("y"));
    let [out, inputs] = golden.shape("init/w")[..] else { panic!("w has two dimensions") };
    let run = |spec: Spec| {
        let mut be = Cpu::<f32>::heap();
        let weight = Frozen::new(out, inputs, Format::F32(&w)).unwrap();
        let base: Linear<'_, _> = Linear::new(&mut be, weight, Some(&b)).unwrap();
        let rows = x.len() / inputs;
        let plan = Plan { out, inputs, bias: true, rows, spec, moments: 0 };
        let mut ws = Workspace::new(&mut be, plan.needs()).unwrap();
        let mut adapter =
            Adapter::<_, Any<_>>::new(&mut be, &mut ws, &base, plan, &mut Rng::new(0)).unwrap();
        let (mut from, mut to) =
            (be.alloc::<Act>(x.len()).unwrap(), be.alloc::<Act>(y.len()).unwrap());
        be.write::<Act>(&mut from, 0, &x).unwrap();
        let input = Mat::new(&from, rows, inputs).unwrap();
        let output = MatMut::new(&mut to, rows, out).unwrap();
        adapter.forward(&mut be, &mut ws, &base, input, output, Pass::Train(1)).unwrap();
        let mut m = vec![0.0; out];
        if let Some(magnitude) = adapter.magnitude() {
            magnitude.m.get(&mut be, &mut m).unwrap();
        }
        (to.to_vec(), m)
    };
    let (base, _) = run(Spec::frozen());
    let (adapted, m) = run(Spec::dora(3, 5.0));
    assert_eq!(adapted, base, "a fresh DoRA changes no bit");
    close("init/y", &adapted, &golden.get("init/y"), 1e-6);
    close("init/m", &m, &golden.get("init/m"), 2e-7);
}
