//! Whole training steps of one layer: norms, forward, backward with the gradient of the input, and
//! update.

use decora::adapter::{Adapter, Pass};
use decora::backend::{Backend, Store};
use decora::buffer::Act;
use decora::direction::LowRank;
use decora::error::Error;
use decora::f16;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::optim::{Optimizer, Training};
use decora::param::{Parameters, Visitor};
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;
use decora_cpu::{Cpu, CpuError};

use crate::ticks::Ticks;

type B<'m> = Cpu<'m, f32>;
type Buf<'m> = <B<'m> as Backend>::Buf<Act>;
type Outcome<T> = Result<T, Error<CpuError>>;

pub(crate) const SIZE: usize = 64;
pub(crate) const RANK: usize = 4;

/// One adapted layer with everything a step needs.
struct Step<'w, 'm> {
    be: B<'m>,
    base: Linear<'w, B<'m>>,
    layer: Adapted<'m>,
    ws: Workspace<B<'m>>,
    optimizer: Optimizer<B<'m>>,
    x: Buf<'m>,
    y: Buf<'m>,
    dx: Buf<'m>,
    rows: usize,
}

struct Adapted<'m>(Adapter<B<'m>, LowRank<B<'m>>>);

impl<'m> Parameters<B<'m>> for Adapted<'m> {
    fn visit(&mut self, be: &mut B<'m>, f: &mut Visitor<'_, B<'m>>) -> Outcome<()> {
        self.0.visit(be, 0, f)
    }
}

impl<'w, 'm> Step<'w, 'm> {
    fn new(arena: &'m mut [f32], w: Format<'w>, rows: usize, spec: Spec) -> Outcome<Self> {
        let mut be = Cpu::new(arena);
        let plan = Plan { out: SIZE, inputs: SIZE, bias: true, rows, spec, moments: 2 };
        let base = Linear::new(&mut be, Frozen::new(SIZE, SIZE, w)?, Some(&[0.25; SIZE]))?;
        let mut ws = Workspace::new(&mut be, plan.needs())?;
        let adapter = Adapter::new(&mut be, &mut ws, &base, plan, &mut Rng::new(1))?;
        let optimizer = Optimizer::new(&mut be, Training::default())?;
        let mut x = be.alloc::<Act>(rows * SIZE)?;
        paint(&mut x);
        let (y, dx) = (be.alloc::<Act>(rows * SIZE)?, be.alloc::<Act>(rows * SIZE)?);
        Ok(Self { be, base, layer: Adapted(adapter), ws, optimizer, x, y, dx, rows })
    }

    /// One step with dy = y/8.
    fn run(&mut self) -> Outcome<()> {
        let Self { be, base, layer, ws, optimizer, x, y, dx, rows } = self;
        let x = Mat::new(x, *rows, SIZE)?;
        layer.0.forward(be, ws, base, x, MatMut::new(y, *rows, SIZE)?, Pass::Train(1))?;
        let dx = Some(MatMut::new(dx, *rows, SIZE)?);
        let dy = MatMut::new(y, *rows, SIZE)?;
        layer.0.backward(be, ws, base, x, dy, dx, Store::Replace)?;
        optimizer.step(be, layer)
    }
}

/// Multiply-adds of the products of one step.
fn macs(rows: usize, spec: &Spec) -> usize {
    let frozen = 2 * rows * SIZE * SIZE;
    let thin = if spec.frozen_a { 5 } else { 6 } * rows * SIZE * RANK;
    let of_a = if spec.frozen_a { 0 } else { SIZE * SIZE * RANK + RANK * RANK * SIZE };
    let norms = SIZE * RANK * RANK + SIZE * RANK + of_a;
    frozen + thin + if spec.magnitude { norms } else { 0 }
}

pub(crate) fn paint(x: &mut [f32]) {
    for (i, x) in x.iter_mut().enumerate() {
        *x = (i * 7 % 251) as f32 / 251.0 - 0.5;
    }
}

fn step(ticks: &Ticks, name: &str, arena: &mut [f32], w: Format<'_>, rows: usize, spec: Spec) {
    let spec = Spec { bias: true, ..spec };
    match Step::new(arena, w, rows, spec) {
        Ok(mut step) => ticks.report(name, macs(rows, &spec), || step.run()),
        Err(e) => cortex_m_semihosting::hprintln!("{}: {}", name, e),
    }
}

/// Each method with each weight format and batch.
pub(crate) fn all(ticks: &Ticks, arena: &mut [f32]) {
    let (mut wide, mut narrow) = ([0.0; SIZE * SIZE], [f16::ZERO; SIZE * SIZE]);
    paint(&mut wide);
    for (narrow, &wide) in narrow.iter_mut().zip(&wide) {
        *narrow = f16::from_f32(wide);
    }
    let (wide, narrow) = (Format::F32(&wide), Format::F16(&narrow));
    let (lora, dora) = (Spec::lora(RANK, 8.0), Spec::dora(RANK, 8.0));
    let (lora_fa, dora_fa) = (lora.with_frozen_a(), dora.with_frozen_a());
    for (name, w, rows, spec) in [
        ("step LoRA, f32, batch 8", wide, 8, lora),
        ("step DoRA, f32, batch 8", wide, 8, dora),
        ("step LoRA, A frozen, f32, batch 8", wide, 8, lora_fa),
        ("step DoRA, A frozen, f32, batch 8", wide, 8, dora_fa),
        ("step LoRA, f16, batch 8", narrow, 8, lora),
        ("step DoRA, f16, batch 8", narrow, 8, dora),
        ("step DoRA, A frozen, f16, batch 8", narrow, 8, dora_fa),
        ("step LoRA, f32, batch 1", wide, 1, lora),
        ("step DoRA, f32, batch 1", wide, 1, dora),
        ("step DoRA, A frozen, f32, batch 1", wide, 1, dora_fa),
        ("step DoRA, f16, batch 1", narrow, 1, dora),
    ] {
        step(ticks, name, arena, w, rows, spec);
    }
}
