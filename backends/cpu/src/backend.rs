//! The contract, on a CPU: shapes are checked by the core, kernels assume them.

use decora::backend::{AdamWStep, Backend, Clip, Dropout, Elem, SgdStep, Side, Store, Weight};
use decora::buffer::{Acc, Act, Buffer, Float, Role};
use decora::check;
use decora::error::Shape;
use decora::frozen::{Format, Frozen};
use decora::mat::{Layout, Mat, MatMut};
use decora::scalar::{Accum, Scalar};

use crate::arena::{Cpu, Storage};
use crate::error::CpuError;
use crate::kernels::adamw::clip as clip_factor;
use crate::kernels::affine::affine;
use crate::kernels::axpy::axpy;
use crate::kernels::col_sum::col_sum;
use crate::kernels::dropout::dropout;
use crate::kernels::frozen::{each_format, frozen_row_sq, frozen_rows};
use crate::kernels::gain::{Gain, GainGrad, gain, gain_grad};
use crate::kernels::low_rank_row_sq::Update;
use crate::kernels::row_dot::row_dot;
use crate::kernels::scale_rows::scale_rows;
use crate::kernels::sgd::sgd;
use crate::products::{Operand, Products};

/// A frozen weight, read where the caller keeps it.
#[derive(Clone, Copy, Debug)]
pub struct CpuWeight<'w>(Frozen<'w>);

impl Weight for CpuWeight<'_> {
    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

impl CpuWeight<'_> {
    pub(crate) fn at(&self) -> Layout {
        Layout::row_major(0, self.shape().0, self.shape().1)
    }

    pub(crate) fn data(&self) -> Format<'_> {
        self.0.data()
    }
}

/// The elements of a view.
pub(crate) fn operand<'a, 'm, T: Scalar, K: Products, R: Role>(
    m: &Mat<'a, Cpu<'m, T, K>, R>,
) -> Operand<'a, R::Of<T>> {
    Operand { data: m.buf, at: m.at }
}

/// Of two slices of one length, which a build for size does not see: `copy_from_slice` could panic there.
fn copy<E: Copy>(from: &[E], to: &mut [E]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
}

/// The first `len` elements of a vector that was checked to have them.
pub(crate) fn head<E>(v: &[E], len: usize) -> &[E] {
    v.get(..len).unwrap_or_default()
}

/// As [`head`], to write.
pub(crate) fn head_mut<E>(v: &mut [E], len: usize) -> &mut [E] {
    v.get_mut(..len).unwrap_or_default()
}

impl<'m, T: Scalar, K: Products> Cpu<'m, T, K> {
    fn clip(clip: Option<Clip<'_, Self>>) -> Result<T::Accum, CpuError> {
        check::clip(clip.as_ref().map(|c| c.sum_sq.len()))?;
        let factor = clip.and_then(|c| Some(clip_factor(c.max, *c.sum_sq.first()?)));
        Ok(factor.unwrap_or(T::Accum::of(1.0)))
    }
}

impl<'m, T: Scalar, K: Products> Backend for Cpu<'m, T, K> {
    type Scalar = T;
    type Buf<R: Role> = Storage<'m, R::Of<T>>;
    type Weight<'w> = CpuWeight<'w>;
    type Error = CpuError;

    fn alloc<R: Role>(&mut self, len: usize) -> Result<Self::Buf<R>, CpuError> {
        self.take(len)
    }

    fn write<R: Role>(
        &mut self,
        dst: &mut Self::Buf<R>,
        offset: usize,
        src: &[Elem<Self, R>],
    ) -> Result<(), CpuError> {
        check::write(offset, src.len(), dst.len())?;
        if let Some(place) = dst.get_mut(offset..).and_then(|dst| dst.get_mut(..src.len())) {
            copy(src, place);
        }
        Ok(())
    }

    fn read<R: Role>(
        &mut self,
        src: &Self::Buf<R>,
        offset: usize,
        dst: &mut [Elem<Self, R>],
    ) -> Result<(), CpuError> {
        check::read(offset, dst.len(), src.len())?;
        if let Some(place) = src.get(offset..).and_then(|src| src.get(..dst.len())) {
            copy(place, dst);
        }
        Ok(())
    }

    fn weight<'w>(&mut self, w: Frozen<'w>) -> Result<CpuWeight<'w>, CpuError> {
        Ok(CpuWeight(w))
    }

    fn gemm<X: Float, Y: Float, Z: Float>(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, X>,
        b: Mat<'_, Self, Y>,
        store: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        check::gemm(a.at, b.at, c.at)?;
        K::product(alpha, operand(&a), operand(&b), store, c.buf, c.at);
        Ok(())
    }

    fn gemm_frozen<X: Float, Z: Float>(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, X>,
        w: &CpuWeight<'_>,
        side: Side,
        store: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        check::gemm_frozen(a.at, w.shape(), side, c.at)?;
        let at = match side {
            Side::Plain => w.at(),
            Side::Transposed => w.at().t(),
        };
        let a = operand(&a);
        each_format!(w.0.data(), data => K::product(alpha, a, Operand { data, at }, store, c.buf, c.at));
        Ok(())
    }

    fn gemm_adapted<X: Float, Z: Float>(
        &mut self,
        a: Mat<'_, Self, X>,
        (w, side): (&CpuWeight<'_>, Side),
        (s, p, q): (T::Accum, Mat<'_, Self, Acc>, Mat<'_, Self, Acc>),
        store: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        check::gemm_frozen(a.at, w.shape(), side, c.at)?;
        check::gemm(p.at, q.at, c.at)?;
        let at = match side {
            Side::Plain => w.at(),
            Side::Transposed => w.at().t(),
        };
        let (a, low) = (operand(&a), (s, operand(&p), operand(&q)));
        each_format!(w.0.data(), data => K::adapted(a, Operand { data, at }, low, store, c.buf, c.at));
        Ok(())
    }

    fn frozen_rows(
        &mut self,
        w: &CpuWeight<'_>,
        first: usize,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        check::frozen_rows(w.shape(), first, c.at)?;
        each_format!(w.0.data(), data => frozen_rows(Operand { data, at: w.at() }, first, c.buf, c.at));
        Ok(())
    }

    fn frozen_row_sq(
        &mut self,
        w: &CpuWeight<'_>,
        sq: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::frozen_row_sq(w.shape(), sq.len())?;
        let sq = head_mut(sq, w.shape().0);
        each_format!(w.0.data(), data => frozen_row_sq(Operand { data, at: w.at() }, sq));
        Ok(())
    }

    fn axpy<X: Float, Y: Float>(
        &mut self,
        alpha: T::Accum,
        x: Mat<'_, Self, X>,
        store: Store,
        y: MatMut<'_, Self, Y>,
    ) -> Result<(), CpuError> {
        check::axpy(x.at, y.at)?;
        let x = operand(&x);
        K::bands((y.buf, y.at), |rows, (y, at)| axpy(alpha, x.rows(rows), store, y, at));
        Ok(())
    }

    fn dropout(
        &mut self,
        drop: Dropout,
        x: Mat<'_, Self, Act>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::dropout(x.at, y.at)?;
        dropout(drop, operand(&x), store, y.buf, y.at);
        Ok(())
    }

    fn scale_rows(
        &mut self,
        d: Mat<'_, Self, Acc>,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        check::scale_rows(d.at, c.at)?;
        scale_rows(operand(&d), c.buf, c.at);
        Ok(())
    }

    fn row_dot(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, Acc>,
        b: Mat<'_, Self, Acc>,
        store: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::row_dot(a.at, b.at, out.len())?;
        row_dot(alpha, operand(&a), operand(&b), store, head_mut(out, a.at.rows));
        Ok(())
    }

    fn low_rank_row_sq(
        &mut self,
        s: T::Accum,
        base_sq: &Self::Buf<Acc>,
        b: Mat<'_, Self, Acc>,
        u: Mat<'_, Self, Acc>,
        gram: Mat<'_, Self, Acc>,
        t: MatMut<'_, Self, Acc>,
        sq: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::low_rank_row_sq(base_sq.len(), b.at, u.at, gram.at, t.at, sq.len())?;
        let (b, u, gram) = (operand(&b), operand(&u), operand(&gram));
        K::low_rank_row_sq(Update { s, base_sq, b, u, gram }, head_mut(sq, b.at.rows));
        Ok(())
    }

    fn affine(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: Option<&Self::Buf<Acc>>,
        b: Option<&Self::Buf<Acc>>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::affine(z.at, g.map(Buffer::len), b.map(Buffer::len), y.at)?;
        let (g, b) = (g.map(|g| head(g, z.at.cols)), b.map(|b| head(b, z.at.cols)));
        let z = operand(&z);
        K::bands((y.buf, y.at), |rows, (y, at)| affine(z.rows(rows), g, b, store, y, at));
        Ok(())
    }

    fn affine_grad(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: &Self::Buf<Acc>,
        dy: MatMut<'_, Self, Act>,
        q: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::affine_grad(z.at, g.len(), dy.at, q.len())?;
        let (g, q) = (head(g, z.at.cols), head_mut(q, z.at.cols));
        K::affine_grad(operand(&z), g, (dy.buf, dy.at), q);
        Ok(())
    }

    fn col_sum(
        &mut self,
        x: Mat<'_, Self, Act>,
        store: Store,
        s: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::col_sum(x.at, s.len())?;
        col_sum(operand(&x), store, head_mut(s, x.at.cols));
        Ok(())
    }

    fn gain(
        &mut self,
        base_sq: &Self::Buf<Acc>,
        sq: &Self::Buf<Acc>,
        m: &mut Self::Buf<Acc>,
        n: &mut Self::Buf<Acc>,
        g: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        let out = base_sq.len();
        check::gain(out, sq.len(), m.len(), n.len(), g.len())?;
        let (sq, m) = (head(sq, out), head_mut(m, out));
        let (n, g) = (head_mut(n, out), head_mut(g, out));
        gain(Gain { base_sq, sq, m, n, g });
        Ok(())
    }

    fn gain_grad(
        &mut self,
        base_sq: &Self::Buf<Acc>,
        n: &Self::Buf<Acc>,
        g: &Self::Buf<Acc>,
        q: &Self::Buf<Acc>,
        store: Store,
        dm: &mut Self::Buf<Acc>,
        c: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        let out = base_sq.len();
        check::gain_grad(out, n.len(), g.len(), q.len(), dm.len(), c.len())?;
        let (n, g, q) = (head(n, out), head(g, out), head(q, out));
        let (dm, c) = (head_mut(dm, out), head_mut(c, out));
        gain_grad(store, GainGrad { base_sq, n, g, q, dm, c });
        Ok(())
    }

    fn sum_sq(
        &mut self,
        x: &Self::Buf<Acc>,
        store: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::sum_sq(out.len())?;
        K::sum_sq(x, store, head_mut(out, 1));
        Ok(())
    }

    fn adamw(
        &mut self,
        step: AdamWStep<T::Accum>,
        clip: Option<Clip<'_, Self>>,
        grad: &Self::Buf<Acc>,
        p: &mut Self::Buf<Acc>,
        m: &mut Self::Buf<Acc>,
        v: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::adamw(p.len(), grad.len(), m.len(), v.len())?;
        K::adamw(step, Self::clip(clip)?, grad, [p, m, v]);
        Ok(())
    }

    fn sgd(
        &mut self,
        step: SgdStep<T::Accum>,
        clip: Option<Clip<'_, Self>>,
        grad: &Self::Buf<Acc>,
        p: &mut Self::Buf<Acc>,
        u: Option<&mut Self::Buf<Acc>>,
    ) -> Result<(), CpuError> {
        check::sgd(p.len(), grad.len(), u.as_ref().map(|u| u.len()))?;
        sgd(step, Self::clip(clip)?, grad, p, u.map(|u| &mut **u));
        Ok(())
    }
}
