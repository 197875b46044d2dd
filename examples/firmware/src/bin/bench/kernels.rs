//! The products of a step, each alone, and the kernels between them.

use decora::backend::{AdamWStep, Backend, Side, Store};
use decora::buffer::{Acc, Act, Role};
use decora::error::{Error, ShapeError};
use decora::frozen::{Format, Frozen};
use decora::mat::{Layout, Mat, MatMut};
use decora_cpu::{Cpu, CpuError};

use crate::steps::{RANK, SIZE, paint};
use crate::ticks::Ticks;

type B<'m> = Cpu<'m, f32>;
type Buf<'m> = <B<'m> as Backend>::Buf<Acc>;
type Outcome<T> = Result<T, Error<CpuError>>;

const ROWS: usize = 8;

type Ref<'a, 'm, R> = Mat<'a, B<'m>, R>;
type RefMut<'a, 'm, R> = MatMut<'a, B<'m>, R>;

fn of<'a, 'm, R: Role>(
    buf: &'a <B<'m> as Backend>::Buf<R>,
    at: Layout,
) -> Result<Ref<'a, 'm, R>, ShapeError> {
    Mat::with(buf, at)
}

fn to<'a, 'm, R: Role>(
    buf: &'a mut <B<'m> as Backend>::Buf<R>,
    at: Layout,
) -> Result<RefMut<'a, 'm, R>, ShapeError> {
    MatMut::with(buf, at)
}

/// `(out, r)`.
fn tall() -> Layout {
    Layout::row_major(0, SIZE, RANK)
}

/// A backend with buffers for any case.
struct Bench<'m> {
    be: B<'m>,
    a: Buf<'m>,
    b: Buf<'m>,
    c: Buf<'m>,
    d: Buf<'m>,
    act: <B<'m> as Backend>::Buf<Act>,
}

impl<'m> Bench<'m> {
    fn new(arena: &'m mut [f32]) -> Outcome<Self> {
        let mut be = Cpu::new(arena);
        let mut buf = || -> Outcome<_> {
            let mut buf = be.alloc::<Acc>(SIZE * SIZE)?;
            paint(&mut buf);
            Ok(buf)
        };
        let (a, b, c, d) = (buf()?, buf()?, buf()?, buf()?);
        let act = be.alloc::<Act>(SIZE * SIZE)?;
        Ok(Self { be, a, b, c, d, act })
    }

    /// C `(m, n)` from A `(m, k)` and B `(k, n)`, of which `turned` says which lie transposed.
    fn gemm(&mut self, ticks: &Ticks, name: &str, [m, k, n]: [usize; 3], turned: [bool; 2]) {
        let Self { be, a, b, c, .. } = self;
        let lie = |rows, cols, turned| match turned {
            true => Layout::row_major(0, cols, rows).t(),
            false => Layout::row_major(0, rows, cols),
        };
        let (at_a, at_b, at_c) = (lie(m, k, turned[0]), lie(k, n, turned[1]), lie(m, n, false));
        ticks.report(name, m * k * n, || -> Outcome<()> {
            let (a, b) = (of::<Acc>(a, at_a)?, of::<Acc>(b, at_b)?);
            Ok(be.gemm(1.0, a, b, Store::Replace, to::<Acc>(c, at_c)?)?)
        });
    }

    fn frozen(&mut self, ticks: &Ticks, name: &str, w: Format<'_>, m: usize, side: Side) {
        let Self { be, a, c, .. } = self;
        let Ok(w) = Frozen::new(SIZE, SIZE, w) else { return };
        let Ok(w) = be.weight(w) else { return };
        ticks.report(name, m * SIZE * SIZE, || -> Outcome<()> {
            let at = Layout::row_major(0, m, SIZE);
            let (a, c) = (of::<Acc>(a, at)?, to::<Acc>(c, at)?);
            Ok(be.gemm_frozen(1.0, a, &w, side, Store::Replace, c)?)
        });
    }

    /// The kernels that are no products, per element.
    fn elementwise(&mut self, ticks: &Ticks) {
        let Self { be, a, b, c, d, act } = self;
        let (at, len) = (Layout::row_major(0, ROWS, SIZE), ROWS * SIZE);
        for (name, g) in [("affine g b, per element", true), ("affine b, per element", false)] {
            ticks.report(name, len, || -> Outcome<()> {
                let g = g.then_some(&*b);
                Ok(be.affine(
                    Mat::with(a, at)?,
                    g,
                    Some(&*c),
                    Store::Replace,
                    MatMut::with(act, at)?,
                )?)
            });
        }
        ticks.report("affine_grad, per element", len, || -> Outcome<()> {
            Ok(be.affine_grad(Mat::with(a, at)?, b, MatMut::with(act, at)?, d)?)
        });
        ticks.report("col_sum, per element", len, || -> Outcome<()> {
            Ok(be.col_sum(Mat::with(act, at)?, Store::Replace, d)?)
        });
        ticks.report("axpy add, per element", len, || -> Outcome<()> {
            Ok(be.axpy(0.5, of::<Acc>(a, at)?, Store::Add, to::<Acc>(d, at)?)?)
        });
        let tall = tall();
        ticks.report("row_dot, per element", SIZE * RANK, || -> Outcome<()> {
            Ok(be.row_dot(0.5, Mat::with(a, tall)?, Mat::with(b, tall)?, Store::Replace, d)?)
        });
        let len = SIZE * SIZE;
        let step =
            AdamWStep { beta1: 0.9, beta2: 0.99, eps: 1e-8, decay: 1.0, rate: 0.0, root: 1.0 };
        paint(c);
        c.iter_mut().for_each(|v| *v = *v * *v);
        ticks.report("adamw, per parameter", len, || be.adamw(step, None, a, b, d, c));
        ticks.report("sum_sq, per element", len, || be.sum_sq(a, Store::Replace, d));
    }

    fn gains(&mut self, ticks: &Ticks, arena: &'m mut [f32]) -> Outcome<()> {
        let Self { be, a, b, c, d, .. } = self;
        let mut own = B::new(arena);
        let mut base = own.alloc::<Acc>(SIZE)?;
        base.fill(1.0);
        a.fill(2.0);
        let (of_b, u) = (of::<Acc>(b, tall())?, of::<Acc>(c, tall())?);
        ticks.report("norms, per row", SIZE, || {
            let (gram, t) =
                (of::<Acc>(c, Layout::row_major(0, RANK, RANK))?, to::<Acc>(a, tall())?);
            Ok::<_, Error<_>>(be.low_rank_row_sq(0.5, &base, of_b, u, gram, t, d)?)
        });
        ticks.report("gain, per row", SIZE, || be.gain(&base, a, b, c, d));
        let mut dm = own.alloc::<Acc>(SIZE)?;
        ticks.report("gain_grad, per row", SIZE, || {
            be.gain_grad(&base, a, b, c, Store::Replace, &mut dm, d)
        });
        Ok(())
    }
}

/// Everything but whole steps.
pub(crate) fn all(ticks: &Ticks, arena: &mut [f32]) {
    let Some((w, arena)) = arena.split_at_mut_checked(SIZE * SIZE) else { return };
    let Some((few, arena)) = arena.split_at_mut_checked(2 * SIZE) else { return };
    paint(w);
    let Ok(mut bench) = Bench::new(arena) else { return };
    let w = Format::F32(w);
    bench.gemm(ticks, "A·B 64³", [SIZE, SIZE, SIZE], [false, false]);
    bench.gemm(ticks, "A·Bᵀ 64³", [SIZE, SIZE, SIZE], [false, true]);
    bench.gemm(ticks, "A·B 8×64×64", [ROWS, SIZE, SIZE], [false, false]);
    for (name, m, side) in [
        ("x·Wᵀ, batch 8", ROWS, Side::Transposed),
        ("dz·W, batch 8", ROWS, Side::Plain),
        ("x·Wᵀ, batch 1", 1, Side::Transposed),
        ("dz·W, batch 1", 1, Side::Plain),
        ("A·Wᵀ, rank 4", RANK, Side::Transposed),
    ] {
        bench.frozen(ticks, name, w, m, side);
    }
    bench.gemm(ticks, "H = x·Aᵀ", [ROWS, SIZE, RANK], [false, true]);
    bench.gemm(ticks, "H·Bᵀ", [ROWS, RANK, SIZE], [false, true]);
    bench.gemm(ticks, "dB = dzᵀ·H", [SIZE, ROWS, RANK], [true, false]);
    bench.gemm(ticks, "dH = dz·B", [ROWS, SIZE, RANK], [false, false]);
    bench.gemm(ticks, "dA = dHᵀ·x", [RANK, ROWS, SIZE], [true, false]);
    bench.gemm(ticks, "dH·A", [ROWS, RANK, SIZE], [false, false]);
    bench.gemm(ticks, "G = A·Aᵀ", [RANK, SIZE, RANK], [false, true]);
    bench.gemm(ticks, "B·G", [SIZE, RANK, RANK], [false, false]);
    bench.elementwise(ticks);
    if bench.gains(ticks, few).is_err() {
        cortex_m_semihosting::hprintln!("gains failed");
    }
}
