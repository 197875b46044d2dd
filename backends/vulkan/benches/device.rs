//! What a device does with products and with training steps, beside PyTorch and PEFT where these
//! are installed.
//!
//! `cargo bench -p decora-vulkan --bench device -- [SIZE [ROWS]]`, both 4096 unless told. All
//! contestants take turns, and ratios are medians over rounds, which a noisy machine leaves alone.
//! `PYTHON` names the interpreter that has PyTorch, for the vendor's library beside ours.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use core::time::Duration;
use std::collections::HashMap;
use std::process::Command;
use std::time::Instant;

use decora::adapter::{Adapter, Pass};
use decora::backend::{Backend, Side, Store};
use decora::buffer::{Acc, Act};
use decora::direction::LowRank;
use decora::error::Error;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::optim::{Optimizer, Training};
use decora::param::{Parameters, Visitor};
use decora::scalar::{Element, Scalar};
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;
use decora::{bf16, f16};
use decora_vulkan::{Gpu, GpuScalar, Limits, Settings, Vulkan, VulkanError};

type Outcome<T> = Result<T, Error<VulkanError>>;

const RANK: usize = 16;
const ROUNDS: usize = 9;

/// A weight of random numbers in one storage format.
enum Weight {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Weight {
    fn new<T: Scalar>(len: usize) -> Self {
        match T::NAME {
            "f16" => Self::F16(random(len)),
            "bf16" => Self::Bf16(random(len)),
            _ => Self::F32(random(len)),
        }
    }

    fn format(&self) -> Format<'_> {
        match self {
            Self::F32(w) => Format::F32(w),
            Self::F16(w) => Format::F16(w),
            Self::Bf16(w) => Format::Bf16(w),
        }
    }
}

fn random<E: Element>(len: usize) -> Vec<E> {
    let mut rng = Rng::new(5);
    (0..len).map(|_| E::store(rng.within(0.05) as f32)).collect()
}

/// One adapted layer with everything a step needs.
struct Step<'w, T: GpuScalar> {
    be: Vulkan<T>,
    base: Linear<'w, Vulkan<T>>,
    layer: Adapted<T>,
    ws: Workspace<Vulkan<T>>,
    optimizer: Optimizer<Vulkan<T>>,
    x: <Vulkan<T> as Backend>::Buf<Act>,
    y: <Vulkan<T> as Backend>::Buf<Act>,
    dx: <Vulkan<T> as Backend>::Buf<Act>,
    sides: (usize, usize),
}

struct Adapted<T: GpuScalar>(Adapter<Vulkan<T>, LowRank<Vulkan<T>>>);

impl<T: GpuScalar> Parameters<Vulkan<T>> for Adapted<T> {
    fn visit(&mut self, be: &mut Vulkan<T>, f: &mut Visitor<'_, Vulkan<T>>) -> Outcome<()> {
        self.0.visit(be, 0, f)
    }
}

impl<'w, T: GpuScalar> Step<'w, T> {
    fn new(gpu: &Gpu, w: &'w Weight, size: usize, rows: usize, spec: Spec) -> Outcome<Self> {
        let mut be = Vulkan::new(gpu)?;
        let plan = Plan { out: size, inputs: size, bias: false, rows, spec, moments: 2 };
        let base = Linear::new(&mut be, Frozen::trusted(size, size, w.format())?, None)?;
        let mut ws = Workspace::new(&mut be, plan.needs())?;
        let adapter = Adapter::new(&mut be, &mut ws, &base, plan, &mut Rng::new(1))?;
        let optimizer = Optimizer::new(&mut be, Training::default())?;
        let (mut x, mut y) = (be.alloc::<Act>(rows * size)?, be.alloc::<Act>(rows * size)?);
        be.write::<Act>(&mut x, 0, &random::<T>(rows * size))?;
        be.write::<Act>(&mut y, 0, &random::<T>(rows * size))?;
        let dx = be.alloc::<Act>(rows * size)?;
        let (layer, sides) = (Adapted(adapter), (rows, size));
        Ok(Self { be, base, layer, ws, optimizer, x, y, dx, sides })
    }

    /// Forward, backward with the gradient of the input, update. The output of the forward pass
    /// serves as its own gradient.
    fn run(&mut self) -> Outcome<()> {
        let Self { be, base, layer, ws, optimizer, x, y, dx, sides: (n, d) } = self;
        let x = Mat::new(x, *n, *d)?;
        layer.0.forward(be, ws, base, x, MatMut::new(y, *n, *d)?, Pass::Train(1))?;
        let dx = Some(MatMut::new(dx, *n, *d)?);
        layer.0.backward(be, ws, base, x, MatMut::new(y, *n, *d)?, dx, Store::Replace)?;
        optimizer.step(be, layer)?;
        Ok(be.finish()?)
    }
}

/// C = A·Wᵀ of activations of type `T`, square.
struct Product<'w, T: GpuScalar> {
    be: Vulkan<T>,
    base: Linear<'w, Vulkan<T>>,
    a: <Vulkan<T> as Backend>::Buf<Act>,
    c: <Vulkan<T> as Backend>::Buf<Acc>,
    size: usize,
}

impl<'w, T: GpuScalar> Product<'w, T> {
    fn new(gpu: &Gpu, w: &'w Weight, size: usize) -> Outcome<Self> {
        let mut be = Vulkan::new(gpu)?;
        let base = Linear::new(&mut be, Frozen::trusted(size, size, w.format())?, None)?;
        let mut a = be.alloc::<Act>(size * size)?;
        be.write::<Act>(&mut a, 0, &random::<T>(size * size))?;
        let c = be.alloc::<Acc>(size * size)?;
        Ok(Self { be, base, a, c, size })
    }

    fn run(&mut self) -> Outcome<()> {
        let Self { be, base, a, c, size } = self;
        let (a, c) = (Mat::new(a, *size, *size)?, MatMut::<_, Acc>::new(c, *size, *size)?);
        be.gemm_frozen(1.0, a, &base.weight, Side::Transposed, Store::Replace, c)?;
        Ok(be.finish()?)
    }
}

type Contestant<'a> = (&'static str, Box<dyn FnMut() -> Outcome<()> + 'a>);

/// For each contestant, the times of all rounds; a first round is not counted.
fn race(contestants: &mut [Contestant<'_>]) -> Outcome<Vec<Vec<Duration>>> {
    let mut times = vec![Vec::new(); contestants.len()];
    for round in 0..=ROUNDS {
        for ((_, run), times) in contestants.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run()?;
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    Ok(times)
}

fn median(mut x: Vec<f64>) -> f64 {
    x.sort_by(f64::total_cmp);
    x.get(x.len() / 2).copied().unwrap_or(f64::NAN)
}

fn seconds(times: &[Duration]) -> f64 {
    median(times.iter().map(Duration::as_secs_f64).collect())
}

fn ratio(a: &[Duration], b: &[Duration]) -> f64 {
    median(a.iter().zip(b).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect())
}

/// What PyTorch needs for the same, in seconds, by name; empty without PyTorch or its GPU.
fn vendor(size: usize, rows: usize) -> HashMap<String, f64> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch.py");
    let run = Command::new(python)
        .args([script, &size.to_string(), &rows.to_string(), &RANK.to_string()])
        .output();
    let text = run.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    let line = |l: &str| l.split_once(' ').and_then(|(k, v)| Some((k.into(), v.parse().ok()?)));
    text.lines().filter_map(line).collect()
}

fn products(gpu: &Gpu, size: usize, vendor: &HashMap<String, f64>) -> Outcome<()> {
    let mut limits = Limits::default();
    limits.portable_only = true;
    let portable = Gpu::with(Settings::from_env().within(limits))?;
    let (w32, w16) = (Weight::new::<f32>(size * size), Weight::new::<f16>(size * size));
    let wb16 = Weight::new::<bf16>(size * size);
    let mut plain = Product::<f32>::new(&portable, &w32, size)?;
    let mut tuned = Product::<f32>::new(gpu, &w32, size)?;
    let mut half = Product::<f16>::new(gpu, &w16, size)?;
    let mut brain = Product::<bf16>::new(gpu, &wb16, size)?;
    let mut all: Vec<Contestant<'_>> = vec![
        ("f32 portable", Box::new(|| plain.run())),
        ("f32", Box::new(|| tuned.run())),
        ("f16", Box::new(|| half.run())),
        ("bf16", Box::new(|| brain.run())),
    ];
    let times = race(&mut all)?;
    println!("\nC = A·Wᵀ, {size}³         ms    TFLOP/s    share of PyTorch's speed");
    for ((name, _), times) in all.iter().zip(&times) {
        let s = seconds(times);
        let speed = 2.0 * (size as f64).powi(3) / s * 1e-12;
        let theirs = name.split(' ').next().and_then(|n| vendor.get(&format!("gemm_{n}")));
        let share = theirs.map_or("-".into(), |t| format!("{:.0} %", t / s * 100.0));
        println!("{name:<16} {:>13.3} {speed:>10.3}    {share}", s * 1e3);
    }
    Ok(())
}

fn steps<T: GpuScalar>(
    gpu: &Gpu,
    (size, rows): (usize, usize),
    vendor: &HashMap<String, f64>,
) -> Outcome<()> {
    let w = Weight::new::<T>(size * size);
    let mut dora = Step::<T>::new(gpu, &w, size, rows, Spec::dora(RANK, 2.0 * RANK as f64))?;
    let mut lora = Step::<T>::new(gpu, &w, size, rows, Spec::lora(RANK, 2.0 * RANK as f64))?;
    let mut all: Vec<Contestant<'_>> =
        vec![("DoRA", Box::new(|| dora.run())), ("LoRA", Box::new(|| lora.run()))];
    let times = race(&mut all)?;
    drop(all);
    let [dora_times, lora_times] = times.as_slice() else { return Ok(()) };
    let (d, l) = (seconds(dora_times), seconds(lora_times));
    let over = ratio(dora_times, lora_times);
    let peft = |m: &str| vendor.get(&format!("{m}_{}", T::NAME)).map(|t| t * 1e3);
    let of = |m: &str| peft(m).map_or("-".into(), |ms| format!("{ms:.3}"));
    println!(
        "{:<6} {:>10.3} {:>10.3} {over:>11.3}   {:>10} {:>10}",
        T::NAME,
        d * 1e3,
        l * 1e3,
        of("dora"),
        of("lora")
    );
    if gpu.info().timestamps && std::env::var_os("DECORA_PROFILE").is_some() {
        println!("{}", dora.be.profile()?);
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let size = numbers.first().copied().unwrap_or(4096);
    let rows = numbers.get(1).copied().unwrap_or(size);
    let gpu = Gpu::open()?;
    println!("{}", gpu.info());
    let vendor = vendor(size, rows);
    if vendor.is_empty() {
        println!("PyTorch with a GPU is not here: set PYTHON to have it measured beside this.");
    }
    products(&gpu, size, &vendor)?;
    println!("\nA step, {size}×{size}, {rows} rows, r = {RANK}, in ms");
    println!("type         DoRA       LoRA   DoRA/LoRA   PEFT's DoRA       LoRA");
    steps::<f32>(&gpu, (size, rows), &vendor)?;
    steps::<f16>(&gpu, (size, rows), &vendor)?;
    steps::<bf16>(&gpu, (size, rows), &vendor)
}
