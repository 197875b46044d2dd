//! What a training step of DoRA costs: beside LoRA's, and beside its own matrix products.
//!
//! A step is forward, backward with the gradient of the input, update by AdamW, and the norms.
//! After criterion's timings, a table gives ratios from rounds in which every contestant runs once,
//! one right after the other: medians of ratios within a round, which a noisy machine leaves alone.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use criterion::Criterion;
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
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;
use decora_cpu::{Blocked, Cpu};

type B = Cpu<'static, f32, Blocked>;
type Outcome<T> = Result<T, Error<<B as Backend>::Error>>;

const ROWS: usize = 256;

/// One adapted layer with everything a step needs.
struct Step<'w> {
    be: B,
    base: Linear<'w, B>,
    layer: Adapted,
    ws: Workspace<B>,
    optimizer: Optimizer<B>,
    x: <B as Backend>::Buf<Act>,
    y: <B as Backend>::Buf<Act>,
    dx: <B as Backend>::Buf<Act>,
    target: Vec<f32>,
    size: usize,
}

struct Adapted(Adapter<B, LowRank<B>>);

impl Parameters<B> for Adapted {
    fn visit(&mut self, be: &mut B, f: &mut Visitor<'_, B>) -> Outcome<()> {
        self.0.visit(be, 0, f)
    }
}

impl<'w> Step<'w> {
    fn new(w: &'w [f32], size: usize, spec: Spec) -> Outcome<Self> {
        let mut be = Cpu::fast();
        let plan = Plan { out: size, inputs: size, bias: false, rows: ROWS, spec, moments: 2 };
        let base = Linear::new(&mut be, Frozen::trusted(size, size, Format::F32(w))?, None)?;
        let mut ws = Workspace::new(&mut be, plan.needs())?;
        let adapter = Adapter::new(&mut be, &mut ws, &base, plan, &mut Rng::new(1))?;
        let optimizer = Optimizer::new(&mut be, Training::default())?;
        let (mut x, target) = (be.alloc::<Act>(ROWS * size)?, painted(ROWS * size, 7));
        be.write::<Act>(&mut x, 0, &painted(ROWS * size, 3))?;
        let (y, dx) = (be.alloc::<Act>(ROWS * size)?, be.alloc::<Act>(ROWS * size)?);
        Ok(Self { be, base, layer: Adapted(adapter), ws, optimizer, x, y, dx, target, size })
    }

    fn run(&mut self) -> Outcome<()> {
        let Self { be, base, layer, ws, optimizer, x, y, dx, target, size } = self;
        let x = Mat::new(x, ROWS, *size)?;
        layer.0.forward(be, ws, base, x, MatMut::new(y, ROWS, *size)?, Pass::Train(1))?;
        be.write::<Act>(y, 0, target)?;
        let dx = Some(MatMut::new(dx, ROWS, *size)?);
        let dy = MatMut::new(y, ROWS, *size)?;
        layer.0.backward(be, ws, base, x, dy, dx, Store::Replace)?;
        optimizer.step(be, layer)
    }
}

/// The products of a DoRA step and nothing else, on operands of the same shapes.
struct Products<'w> {
    be: B,
    base: Linear<'w, B>,
    wide: [AccBuf; 3],
    thin: [AccBuf; 4],
    rank: usize,
    size: usize,
}

impl<'w> Products<'w> {
    fn new(w: &'w [f32], size: usize, rank: usize) -> Outcome<Self> {
        let mut be = Cpu::fast();
        let base = Linear::new(&mut be, Frozen::trusted(size, size, Format::F32(w))?, None)?;
        let mut buf = |len| -> Outcome<_> {
            let mut b = be.alloc::<Acc>(len)?;
            be.write::<Acc>(&mut b, 0, &painted(len, 5))?;
            Ok(b)
        };
        let wide = [buf(ROWS * size)?, buf(ROWS * size)?, buf(ROWS * size)?];
        let thin = [buf(rank * size)?, buf(rank * size)?, buf(rank * size)?, buf(rank * ROWS)?];
        Ok(Self { be, base, wide, thin, rank, size })
    }

    fn run(&mut self) -> Outcome<()> {
        let Self { be, base, wide: [x, z, dx], thin: [a, b, t, h], rank, size } = self;
        let (r, n, d, w) = (*rank, ROWS, *size, &base.weight);
        let (replace, add) = (Store::Replace, Store::Add);
        // Norms: U = W·Aᵀ, G = A·Aᵀ, B·G.
        let u_t = to(t, d, r)?.t();
        be.gemm_frozen(1.0, of(a, r, d)?, w, Side::Transposed, replace, u_t)?;
        let a = of(a, r, d)?;
        be.gemm(1.0, a, a.t(), replace, to(h, r, r)?)?;
        let b = of(b, d, r)?;
        be.gemm(1.0, b, of(h, r, r)?, replace, to(t, d, r)?)?;
        // Forward: H = x·Aᵀ, z = x·Wᵀ + H·Bᵀ.
        let x = of(x, n, d)?;
        be.gemm(1.0, x, a.t(), replace, to(h, n, r)?)?;
        be.gemm_frozen(1.0, x, w, Side::Transposed, replace, to(z, n, d)?)?;
        let low = of(h, n, r)?;
        be.gemm(1.0, low, b.t(), add, to(z, n, d)?)?;
        // Backward: dB = xᵀ·H, dH = z·B, dA = dHᵀ·x, dx = z·W + dH·A.
        be.gemm(1.0, x.t(), low, replace, to(t, d, r)?)?;
        be.gemm(1.0, x, b, replace, to(h, n, r)?)?;
        let low = of(h, n, r)?;
        be.gemm(1.0, low.t(), x, replace, to(t, r, d)?)?;
        be.gemm_frozen(1.0, x, w, Side::Plain, replace, to(dx, n, d)?)?;
        be.gemm(1.0, low, a, add, to(dx, n, d)?)?;
        Ok(())
    }
}

type AccBuf = <B as Backend>::Buf<Acc>;

fn of(buf: &AccBuf, rows: usize, cols: usize) -> Outcome<Mat<'_, B, Acc>> {
    Ok(Mat::new(buf, rows, cols)?)
}

fn to(buf: &mut AccBuf, rows: usize, cols: usize) -> Outcome<MatMut<'_, B, Acc>> {
    Ok(MatMut::new(buf, rows, cols)?)
}

fn painted(len: usize, prime: usize) -> Vec<f32> {
    (0..len).map(|i| (i * prime % 251) as f32 / 251.0 - 0.5).collect()
}

fn timed(f: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Contestants are DoRA's step, LoRA's, and DoRA's products. Medians over rounds of: the first in
/// ms, its ratio to the second, its ratio to the third.
fn rounds(contestants: &mut [&mut dyn FnMut(); 3]) -> [f64; 3] {
    let mut all: [Vec<f64>; 3] = Default::default();
    for _ in 0..41 {
        let [d, l, p] = contestants.each_mut().map(|f| timed(f).as_secs_f64());
        for (list, x) in all.iter_mut().zip([d * 1e3, d / l, d / p]) {
            list.push(x);
        }
    }
    all.map(median)
}

fn compare(c: &mut Criterion, size: usize, rank: usize) -> [f64; 3] {
    let w = painted(size * size, 11);
    let mut dora = Step::new(&w, size, Spec::dora(rank, 16.0)).unwrap();
    let mut lora = Step::new(&w, size, Spec::lora(rank, 16.0)).unwrap();
    let mut products = Products::new(&w, size, rank).unwrap();
    let mut dora = || black_box(&mut dora).run().unwrap();
    let mut lora = || black_box(&mut lora).run().unwrap();
    let mut products = || black_box(&mut products).run().unwrap();
    let mut group = c.benchmark_group(format!("{size}x{size}, rank {rank}, {ROWS} rows"));
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.bench_function("DoRA step", |b| b.iter(&mut dora));
    group.bench_function("LoRA step", |b| b.iter(&mut lora));
    group.bench_function("products alone", |b| b.iter(&mut products));
    group.finish();
    rounds(&mut [&mut dora, &mut lora, &mut products])
}

fn main() {
    let mut c = Criterion::default().configure_from_args();
    let cases = [(768, 8), (768, 16), (2048, 8), (2048, 16)];
    let results = cases.map(|(size, rank)| (size, rank, compare(&mut c, size, rank)));
    println!("| layer | rank | DoRA step | DoRA / LoRA | DoRA / its products |");
    println!("|---|---|---|---|---|");
    for (size, rank, [ms, lora, products]) in results {
        println!("| {size}×{size} | {rank} | {ms:.2} ms | {lora:.3} | {products:.3} |");
    }
    c.final_summary();
}
