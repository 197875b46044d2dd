//! CPU devices with one fault each.

use core::cell::Cell;

use decora::buffer::RoleKind;
use decora::check;
use decora::scalar::{Accum, Element, Scalar};
use decora_conformance::forward;
use decora_conformance::wrapper::prelude::*;
use decora_cpu::{Cpu, CpuError};

use crate::fault::Fault;

/// The CPU with a fault.
#[derive(Debug)]
pub(crate) struct Mutant<T: Scalar> {
    pub(crate) inner: Cpu<'static, T>,
    pub(crate) fault: Fault,
    number: usize,
}

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
}

impl<T: Scalar> Mutant<T> {
    pub(crate) fn with(fault: Fault) -> Self {
        let number = MADE.replace(MADE.get() + 1);
        Self { inner: Cpu::heap(), fault, number }
    }

    pub(crate) fn skips(&self, op: &'static str) -> bool {
        self.fault == Fault::Skips(op)
    }

    /// How `op` stores its result.
    pub(crate) fn store(&self, op: &'static str, into: Store) -> Store {
        if self.fault == Fault::KeepsOld(op) { Store::Add } else { into }
    }

    /// Y = α·X as it is, but rounded towards 0.
    fn truncate<X: Float, Y: Float>(
        &mut self,
        alpha: f64,
        x: Mat<'_, Self, X>,
        y: MatMut<'_, Self, Y>,
    ) -> Result<(), CpuError> {
        for (i, j) in (0..y.at.rows).flat_map(|i| (0..y.at.cols).map(move |j| (i, j))) {
            let place = y.at.offset + i * y.at.rs + j;
            let (mut exact, mut found) = ([X::Of::<T>::default()], [Y::Of::<T>::default()]);
            self.inner.read::<X>(x.buf, x.at.offset + i * x.at.rs + j, &mut exact)?;
            self.inner.read::<Y>(y.buf, place, &mut found)?;
            let (exact, found) = (alpha * exact[0].load::<f64>(), found[0].load::<f64>());
            if found.abs() > exact.abs() {
                let below = Element::store(found * (1.0 - 0.6 * T::EPSILON));
                self.inner.write::<Y>(y.buf, place, &[below])?;
            }
        }
        Ok(())
    }
}

type Host<T> = Cpu<'static, T>;

impl<T: Scalar> Wrapper<Host<T>> for Mutant<T> {
    fn inner(&mut self) -> &mut Host<T> {
        &mut self.inner
    }

    fn lower<R: Role>(buf: &Self::Buf<R>) -> &Self::Buf<R> {
        buf
    }

    fn lower_mut<R: Role>(buf: &mut Self::Buf<R>) -> &mut Self::Buf<R> {
        buf
    }

    fn before(&mut self, cost: Cost) -> bool {
        self.fault != Fault::Skips(cost.op)
    }
}

impl<T: Scalar> Backend for Mutant<T> {
    type Scalar = T;
    type Buf<R: Role> = <Host<T> as Backend>::Buf<R>;
    type Weight<'w> = <Host<T> as Backend>::Weight<'w>;
    type Error = CpuError;

    forward!(write read weight frozen_row_sq gain gain_grad sum_sq sgd);

    fn alloc<R: Role>(&mut self, len: usize) -> Result<Self::Buf<R>, CpuError> {
        let mut buf = self.inner.alloc::<R>(len)?;
        if self.fault == Fault::DirtyMemory && len > 0 {
            self.inner.write::<R>(&mut buf, len - 1, &[Element::store(1.0f32)])?;
        }
        Ok(buf)
    }

    fn gemm<X: Float, Y: Float, Z: Float>(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, X>,
        b: Mat<'_, Self, Y>,
        into: Store,
        mut c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        let (mut a, mut b) = (mat(a), mat(b));
        let square = a.at.rows == a.at.cols;
        match self.fault {
            Fault::Skips("gemm") => return Ok(()),
            Fault::SwapsStrides if square => (a.at.rs, a.at.cs) = (a.at.cs, a.at.rs),
            Fault::ShortSum if a.at.cols > 256 => (a.at.cols, b.at.rows) = (256, 256),
            _ => {}
        }
        let into = self.store("gemm", into);
        self.inner.gemm(alpha, a, b, into, mat_mut(&mut c))
    }

    fn gemm_frozen<X: Float, Z: Float>(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, X>,
        w: &Self::Weight<'_>,
        mut side: Side,
        into: Store,
        mut c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        match self.fault {
            Fault::Skips("gemm_frozen") => return Ok(()),
            Fault::SwapsSides if w.shape().0 == w.shape().1 => side = Side::Plain,
            _ => {}
        }
        let into = self.store("gemm_frozen", into);
        self.inner.gemm_frozen(alpha, mat(a), w, side, into, mat_mut(&mut c))
    }

    fn gemm_adapted<X: Float, Z: Float>(
        &mut self,
        a: Mat<'_, Self, X>,
        (w, side): (&Self::Weight<'_>, Side),
        (s, p, q): (T::Accum, Mat<'_, Self, Acc>, Mat<'_, Self, Acc>),
        into: Store,
        mut c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        if self.fault == Fault::Skips("gemm_adapted") {
            return Ok(());
        }
        check::gemm_frozen(a.at, w.shape(), side, c.at)?;
        check::gemm(p.at, q.at, c.at)?;
        let into = self.store("gemm_adapted", into);
        self.gemm_frozen(T::Accum::of(1.0), a, w, side, into, c.reborrow())?;
        self.gemm(s, p, q, Store::Add, c)
    }

    fn frozen_rows(
        &mut self,
        w: &Self::Weight<'_>,
        first: usize,
        mut c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        let fits = first.saturating_add(c.at.rows) <= w.shape().0;
        match self.fault {
            Fault::Skips("frozen_rows") => Ok(()),
            Fault::ForgetsFirst if fits => self.inner.frozen_rows(w, 0, mat_mut(&mut c)),
            _ => self.inner.frozen_rows(w, first, mat_mut(&mut c)),
        }
    }

    fn axpy<X: Float, Y: Float>(
        &mut self,
        alpha: T::Accum,
        x: Mat<'_, Self, X>,
        into: Store,
        mut y: MatMut<'_, Self, Y>,
    ) -> Result<(), CpuError> {
        if self.skips("axpy") {
            return Ok(());
        }
        let into = self.store("axpy", into);
        self.inner.axpy(alpha, mat(x), into, mat_mut(&mut y))?;
        let truncates = self.fault == Fault::Truncates && Y::KIND == RoleKind::Act;
        match truncates && into == Store::Replace {
            true => self.truncate(alpha.f64(), x, y),
            false => Ok(()),
        }
    }

    fn dropout(
        &mut self,
        mut drop: Dropout,
        x: Mat<'_, Self, Act>,
        into: Store,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        match self.fault {
            Fault::Skips("dropout") => return Ok(()),
            Fault::HalfTheSeed => drop.seed &= u64::from(u32::MAX),
            Fault::ForgetsScale => drop.p = 0.0,
            _ => {}
        }
        let into = self.store("dropout", into);
        self.inner.dropout(drop, mat(x), into, mat_mut(&mut y))
    }

    fn scale_rows(
        &mut self,
        d: Mat<'_, Self, Acc>,
        mut c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        let misfit = d.at.rows != c.at.rows;
        match self.fault {
            Fault::Skips("scale_rows") => Ok(()),
            Fault::AcceptsMisfits if misfit => Ok(()),
            _ => self.inner.scale_rows(mat(d), mat_mut(&mut c)),
        }?;
        let end = (c.at.offset + c.at.rows * c.at.rs + c.at.cols).saturating_sub(c.at.rs);
        match self.fault == Fault::LoosensBound && !misfit && end < c.buf.len() {
            true => self.inner.write::<Acc>(c.buf, end, &[T::Accum::of(0.5)]),
            false => Ok(()),
        }
    }

    fn row_dot(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, Acc>,
        b: Mat<'_, Self, Acc>,
        into: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("row_dot") {
            return Ok(());
        }
        let into = self.store("row_dot", into);
        self.inner.row_dot(alpha, mat(a), mat(b), into, out)?;
        match self.fault == Fault::WritesBehind && out.len() > a.at.rows {
            true => self.inner.write::<Acc>(out, a.at.rows, &[T::Accum::of(0.0)]),
            false => Ok(()),
        }
    }

    fn low_rank_row_sq(
        &mut self,
        s: T::Accum,
        base_sq: &Self::Buf<Acc>,
        b: Mat<'_, Self, Acc>,
        u: Mat<'_, Self, Acc>,
        gram: Mat<'_, Self, Acc>,
        mut t: MatMut<'_, Self, Acc>,
        sq: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("low_rank_row_sq") {
            return Ok(());
        }
        let (of, old) = (mat(b), mat(u));
        self.inner.low_rank_row_sq(s, base_sq, of, old, mat(gram), mat_mut(&mut t), sq)?;
        if self.fault == Fault::ForgetsSquare {
            let row = decora::mat::Layout::row_major(0, 1, b.at.rows);
            let (from, to) = (Mat { buf: base_sq, at: row }, MatMut { buf: &mut *sq, at: row });
            self.inner.axpy::<Acc, Acc>(T::Accum::of(1.0), from, Store::Replace, to)?;
            self.inner.row_dot(s + s, of, old, Store::Add, sq)?;
        }
        Ok(())
    }

    fn affine(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: Option<&Self::Buf<Acc>>,
        b: Option<&Self::Buf<Acc>>,
        into: Store,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.skips("affine") {
            return Ok(());
        }
        let b = b.filter(|_| self.fault != Fault::ForgetsBias);
        let into = self.store("affine", into);
        self.inner.affine(mat(z), g, b, into, mat_mut(&mut y))
    }

    fn affine_grad(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: &Self::Buf<Acc>,
        mut dy: MatMut<'_, Self, Act>,
        q: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("affine_grad") {
            return Ok(());
        }
        if self.fault == Fault::GainTwice {
            self.inner.affine_grad(mat(z), g, mat_mut(&mut dy), q)?;
        }
        self.inner.affine_grad(mat(z), g, mat_mut(&mut dy), q)
    }

    fn col_sum(
        &mut self,
        x: Mat<'_, Self, Act>,
        into: Store,
        s: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("col_sum") {
            return Ok(());
        }
        let into = self.store("col_sum", into);
        self.inner.col_sum(mat(x), into, s)?;
        if self.fault == Fault::Undecided && self.number % 2 == 1 && x.at.cols > 0 {
            let mut first = [T::Accum::of(0.0)];
            self.inner.read::<Acc>(s, 0, &mut first)?;
            let next = first[0] * T::Accum::of(1.0 + <T::Accum as Scalar>::EPSILON);
            self.inner.write::<Acc>(s, 0, &[next])?;
        }
        Ok(())
    }

    fn adamw(
        &mut self,
        step: AdamWStep<T::Accum>,
        clipping: Option<Clip<'_, Self>>,
        grad: &Self::Buf<Acc>,
        p: &mut Self::Buf<Acc>,
        m: &mut Self::Buf<Acc>,
        v: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.skips("adamw") {
            return Ok(());
        }
        let clipping = clip(clipping.as_ref()).filter(|_| self.fault != Fault::ForgetsClip);
        self.inner.adamw(step, clipping, grad, p, m, v)
    }
}

impl<T: Scalar> Network for Mutant<T> {
    forward!(activate activate_grad softmax_cross_entropy squared_error);
}
