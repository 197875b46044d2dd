//! A device that does nothing before it is read, and then everything as early as its barriers let it.

use core::cell::RefCell;
use core::fmt;
use std::rc::Rc;

use decora::error::same;
use decora_conformance::forward;
use decora_conformance::wrapper::prelude::*;
use decora_cpu::{Cpu, CpuError};

type Host = Cpu<'static, f32>;

/// Which barrier is not there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Missing {
    /// None.
    Nothing,
    /// Between a write and a later read.
    ReadAfterWrite,
    /// Between a read and a later write.
    WriteAfterRead,
    /// Between two writes.
    WriteAfterWrite,
}

/// The CPU behind a queue, with what the order of operations can be seen by: `alloc`, `write`, `read`,
/// `weight`, `gemm`, `gemm_frozen` and `axpy`.
pub(crate) struct Queue {
    cpu: Host,
    made: usize,
    waiting: Vec<Work>,
    missing: Missing,
}

struct Work {
    reads: Vec<usize>,
    writes: usize,
    run: Box<Run>,
}

type Run = dyn FnOnce(&mut Host) -> Result<(), CpuError>;

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operations waiting, missing: {:?}", self.waiting.len(), self.missing)
    }
}

/// A buffer that operations which wait can hold on to.
pub(crate) struct Queued<R: Role> {
    number: usize,
    len: usize,
    memory: Rc<RefCell<<Host as Backend>::Buf<R>>>,
}

impl<R: Role> fmt::Debug for Queued<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffer {} of {} elements", self.number, self.len)
    }
}

impl<R: Role> Buffer for Queued<R> {
    fn len(&self) -> usize {
        self.len
    }
}

impl Queue {
    pub(crate) fn without(missing: Missing) -> Self {
        Self { cpu: Cpu::heap(), made: 0, waiting: Vec::new(), missing }
    }

    /// Whether `later` may run before `earlier`: no barrier keeps them apart.
    fn may_pass(&self, earlier: &Work, later: &Work) -> bool {
        let conflicts = [
            (Missing::ReadAfterWrite, later.reads.contains(&earlier.writes)),
            (Missing::WriteAfterRead, earlier.reads.contains(&later.writes)),
            (Missing::WriteAfterWrite, earlier.writes == later.writes),
        ];
        conflicts.iter().all(|&(kind, conflict)| !conflict || kind == self.missing)
    }

    fn flush(&mut self) -> Result<(), CpuError> {
        let mut order: Vec<Work> = Vec::new();
        for work in core::mem::take(&mut self.waiting) {
            let passed = order.iter().rev().take_while(|earlier| self.may_pass(earlier, &work));
            order.insert(order.len() - passed.count(), work);
        }
        order.into_iter().try_for_each(|work| (work.run)(&mut self.cpu))
    }

    fn later(
        &mut self,
        reads: &[usize],
        writes: usize,
        run: impl FnOnce(&mut Host) -> Result<(), CpuError> + 'static,
    ) -> Result<(), CpuError> {
        self.waiting.push(Work { reads: reads.to_vec(), writes, run: Box::new(run) });
        Ok(())
    }
}

impl Wrapper<Host> for Queue {
    fn inner(&mut self) -> &mut Host {
        &mut self.cpu
    }

    fn lower<R: Role>(_: &Queued<R>) -> &<Host as Backend>::Buf<R> {
        unimplemented!("not needed to see whether operations take their turn")
    }

    fn lower_mut<R: Role>(_: &mut Queued<R>) -> &mut <Host as Backend>::Buf<R> {
        unimplemented!("not needed to see whether operations take their turn")
    }
}

impl Backend for Queue {
    type Scalar = f32;
    type Buf<R: Role> = Queued<R>;
    type Weight<'w> = <Host as Backend>::Weight<'w>;
    type Error = CpuError;

    forward!(weight frozen_rows frozen_row_sq dropout scale_rows row_dot affine affine_grad col_sum
        gain gain_grad sum_sq adamw sgd);

    fn alloc<R: Role>(&mut self, len: usize) -> Result<Queued<R>, CpuError> {
        self.made += 1;
        let memory = Rc::new(RefCell::new(self.cpu.alloc::<R>(len)?));
        Ok(Queued { number: self.made, len, memory })
    }

    fn write<R: Role>(
        &mut self,
        dst: &mut Queued<R>,
        offset: usize,
        src: &[Elem<Self, R>],
    ) -> Result<(), CpuError> {
        let end = offset.saturating_add(src.len());
        same("write", (end.max(dst.len), 1), (dst.len, 1))?;
        let (to, src) = (Rc::clone(&dst.memory), src.to_vec());
        self.later(&[], dst.number, move |cpu| cpu.write::<R>(&mut to.borrow_mut(), offset, &src))
    }

    fn read<R: Role>(
        &mut self,
        src: &Queued<R>,
        offset: usize,
        dst: &mut [Elem<Self, R>],
    ) -> Result<(), CpuError> {
        self.flush()?;
        self.cpu.read::<R>(&src.memory.borrow(), offset, dst)
    }

    fn gemm<X: Float, Y: Float, Z: Float>(
        &mut self,
        alpha: f32,
        a: Mat<'_, Self, X>,
        b: Mat<'_, Self, Y>,
        into: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        same("B", (b.at.rows, b.at.cols), (a.at.cols, c.at.cols))?;
        same("C", (c.at.rows, c.at.cols), (a.at.rows, b.at.cols))?;
        let (reads, writes) = ([a.buf.number, b.buf.number], c.buf.number);
        let (from_a, from_b) = (Rc::clone(&a.buf.memory), Rc::clone(&b.buf.memory));
        let (to, a, b, c) = (Rc::clone(&c.buf.memory), a.at, b.at, c.at);
        self.later(&reads, writes, move |cpu| {
            let (x, y, mut z) = (from_a.borrow(), from_b.borrow(), to.borrow_mut());
            let (x, y) = (Mat::<Host, X> { buf: &x, at: a }, Mat::<Host, Y> { buf: &y, at: b });
            cpu.gemm(alpha, x, y, into, MatMut::<Host, Z> { buf: &mut z, at: c })
        })
    }

    fn gemm_frozen<X: Float, Z: Float>(
        &mut self,
        alpha: f32,
        a: Mat<'_, Self, X>,
        w: &Self::Weight<'_>,
        side: Side,
        into: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        self.flush()?;
        let (x, mut z) = (a.buf.memory.borrow(), c.buf.memory.borrow_mut());
        let (x, z) = (Mat::<Host, X> { buf: &x, at: a.at }, MatMut { buf: &mut *z, at: c.at });
        self.cpu.gemm_frozen::<X, Z>(alpha, x, w, side, into, z)
    }

    fn axpy<X: Float, Y: Float>(
        &mut self,
        alpha: f32,
        x: Mat<'_, Self, X>,
        into: Store,
        y: MatMut<'_, Self, Y>,
    ) -> Result<(), CpuError> {
        same("Y", (y.at.rows, y.at.cols), (x.at.rows, x.at.cols))?;
        let (reads, writes) = ([x.buf.number], y.buf.number);
        let (from, to) = (Rc::clone(&x.buf.memory), Rc::clone(&y.buf.memory));
        let (x, y) = (x.at, y.at);
        self.later(&reads, writes, move |cpu| {
            let (from, mut to) = (from.borrow(), to.borrow_mut());
            let x = Mat::<Host, X> { buf: &from, at: x };
            cpu.axpy(alpha, x, into, MatMut::<Host, Y> { buf: &mut to, at: y })
        })
    }
}
