//! The contract, on a CPU: shapes are checked here, kernels assume them.

use decora::backend::{AdamWStep, Backend, Clip, Dropout, Elem, SgdStep, Side, Store, Weight};
use decora::buffer::{Acc, Act, Float, Role};
use decora::error::{Shape, ShapeError, same};
use decora::frozen::Frozen;
use decora::mat::{Layout, Mat, MatMut};
use decora::scalar::{Accum, Scalar};

use crate::arena::{Cpu, Storage};
use crate::error::CpuError;
use crate::kernels::adamw::{adamw, clip as clip_factor};
use crate::kernels::affine::{affine, affine_grad};
use crate::kernels::axpy::axpy;
use crate::kernels::col_sum::col_sum;
use crate::kernels::dropout::dropout;
use crate::kernels::frozen::{each_format, frozen_row_sq, frozen_rows};
use crate::kernels::gain::{Gain, GainGrad, gain, gain_grad};
use crate::kernels::row_dot::row_dot;
use crate::kernels::scale_rows::scale_rows;
use crate::kernels::sgd::sgd;
use crate::kernels::sum_sq::sum_sq;
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
    fn at(&self) -> Layout {
        Layout::row_major(0, self.shape().0, self.shape().1)
    }
}

/// The elements of a view.
pub(crate) fn operand<'a, 'm, T: Scalar, K: Products, R: Role>(
    m: &Mat<'a, Cpu<'m, T, K>, R>,
) -> Operand<'a, R::Of<T>> {
    Operand { data: m.buf, at: m.at }
}

/// `Ok` when the columns of a matrix are adjacent.
pub(crate) fn adjacent(what: &'static str, at: Layout) -> Result<(), ShapeError> {
    if at.cols <= 1 { Ok(()) } else { same(what, (at.cs, 1), (1, 1)) }
}

/// The first `len` elements of a vector.
pub(crate) fn vector<'a, E>(
    what: &'static str,
    v: &'a [E],
    len: usize,
) -> Result<&'a [E], ShapeError> {
    v.get(..len).ok_or(ShapeError { what, found: (v.len(), 1), expected: (len, 1) })
}

/// As [`vector`], to write.
pub(crate) fn vector_mut<'a, E>(
    what: &'static str,
    v: &'a mut [E],
    len: usize,
) -> Result<&'a mut [E], ShapeError> {
    let found = (v.len(), 1);
    v.get_mut(..len).ok_or(ShapeError { what, found, expected: (len, 1) })
}

impl<'m, T: Scalar, K: Products> Cpu<'m, T, K> {
    fn clip(clip: Option<&Clip<'_, Self>>) -> Result<T::Accum, CpuError> {
        match clip {
            None => Ok(T::Accum::of(1.0)),
            Some(Clip { max, sum_sq }) => {
                let [sum] = vector("clip: sum of squares", sum_sq, 1)? else {
                    return Ok(T::Accum::of(1.0));
                };
                Ok(clip_factor(*max, *sum))
            }
        }
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
        let (found, what) = ((offset.saturating_add(src.len()), 1), "write (end, of length)");
        let expected = (dst.len(), 1);
        let place = dst.get_mut(offset..offset.saturating_add(src.len()));
        place.ok_or(ShapeError { what, found, expected })?.copy_from_slice(src);
        Ok(())
    }

    fn read<R: Role>(
        &mut self,
        src: &Self::Buf<R>,
        offset: usize,
        dst: &mut [Elem<Self, R>],
    ) -> Result<(), CpuError> {
        let (found, what) = ((offset.saturating_add(dst.len()), 1), "read (end, of length)");
        let expected = (src.len(), 1);
        let place = src.get(offset..offset.saturating_add(dst.len()));
        dst.copy_from_slice(place.ok_or(ShapeError { what, found, expected })?);
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
        same("gemm: B", b.shape(), (a.at.cols, c.at.cols))?;
        same("gemm: C", c.shape(), (a.at.rows, b.at.cols))?;
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
        let at = match side {
            Side::Plain => w.at(),
            Side::Transposed => w.at().t(),
        };
        same("gemm_frozen: A", a.shape(), (c.at.rows, at.rows))?;
        same("gemm_frozen: C", c.shape(), (a.at.rows, at.cols))?;
        let a = operand(&a);
        each_format!(w.0.data(), data => K::product(alpha, a, Operand { data, at }, store, c.buf, c.at));
        Ok(())
    }

    fn frozen_rows(
        &mut self,
        w: &CpuWeight<'_>,
        first: usize,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        let (out, inputs) = w.shape();
        let last = first.saturating_add(c.at.rows);
        same("frozen_rows: C", c.shape(), (last.min(out).saturating_sub(first), inputs))?;
        adjacent("frozen_rows: column stride of C", c.at)?;
        each_format!(w.0.data(), data => frozen_rows(Operand { data, at: w.at() }, first, c.buf, c.at));
        Ok(())
    }

    fn frozen_row_sq(
        &mut self,
        w: &CpuWeight<'_>,
        sq: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        let sq = vector_mut("frozen_row_sq: sq", sq, w.shape().0)?;
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
        same("axpy: Y", y.shape(), x.shape())?;
        adjacent("axpy: column stride of X", x.at)?;
        adjacent("axpy: column stride of Y", y.at)?;
        axpy(alpha, operand(&x), store, y.buf, y.at);
        Ok(())
    }

    fn dropout(
        &mut self,
        drop: Dropout,
        x: Mat<'_, Self, Act>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        same("dropout: Y", y.shape(), x.shape())?;
        adjacent("dropout: column stride of X", x.at)?;
        adjacent("dropout: column stride of Y", y.at)?;
        dropout(drop, operand(&x), store, y.buf, y.at);
        Ok(())
    }

    fn scale_rows(
        &mut self,
        d: Mat<'_, Self, Acc>,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        same("scale_rows: d", d.shape(), (c.at.rows, 1))?;
        adjacent("scale_rows: column stride of C", c.at)?;
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
        same("row_dot: B", b.shape(), a.shape())?;
        adjacent("row_dot: column stride of A", a.at)?;
        adjacent("row_dot: column stride of B", b.at)?;
        row_dot(
            alpha,
            operand(&a),
            operand(&b),
            store,
            vector_mut("row_dot: out", out, a.at.rows)?,
        );
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
        same("affine: Y", y.shape(), z.shape())?;
        adjacent("affine: column stride of Z", z.at)?;
        adjacent("affine: column stride of Y", y.at)?;
        let g = g.map(|g| vector("affine: g", g, z.at.cols)).transpose()?;
        let b = b.map(|b| vector("affine: b", b, z.at.cols)).transpose()?;
        affine(operand(&z), g, b, store, y.buf, y.at);
        Ok(())
    }

    fn affine_grad(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: &Self::Buf<Acc>,
        dy: MatMut<'_, Self, Act>,
        q: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        same("affine_grad: dY", dy.shape(), z.shape())?;
        adjacent("affine_grad: column stride of Z", z.at)?;
        adjacent("affine_grad: column stride of dY", dy.at)?;
        let g = vector("affine_grad: g", g, z.at.cols)?;
        let q = vector_mut("affine_grad: q", q, z.at.cols)?;
        affine_grad(operand(&z), g, dy.buf, dy.at, q);
        Ok(())
    }

    fn col_sum(
        &mut self,
        x: Mat<'_, Self, Act>,
        store: Store,
        s: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        adjacent("col_sum: column stride of X", x.at)?;
        col_sum(operand(&x), store, vector_mut("col_sum: s", s, x.at.cols)?);
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
        let sq = vector("gain: sq", sq, out)?;
        let m = vector_mut("gain: m", m, out)?;
        let n = vector_mut("gain: n", n, out)?;
        let g = vector_mut("gain: g", g, out)?;
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
        let n = vector("gain_grad: n", n, out)?;
        let g = vector("gain_grad: g", g, out)?;
        let q = vector("gain_grad: q", q, out)?;
        let dm = vector_mut("gain_grad: dm", dm, out)?;
        let c = vector_mut("gain_grad: c", c, out)?;
        gain_grad(store, GainGrad { base_sq, n, g, q, dm, c });
        Ok(())
    }

    fn sum_sq(
        &mut self,
        x: &Self::Buf<Acc>,
        store: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        sum_sq(x, store, vector_mut("sum_sq: out", out, 1)?);
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
        let len = (p.len(), 1);
        same("adamw: gradient", (grad.len(), 1), len)?;
        same("adamw: first moment", (m.len(), 1), len)?;
        same("adamw: second moment", (v.len(), 1), len)?;
        adamw(step, Self::clip(clip.as_ref())?, grad, p, m, v);
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
        same("sgd: gradient", (grad.len(), 1), (p.len(), 1))?;
        if let Some(u) = &u {
            same("sgd: momentum", (u.len(), 1), (p.len(), 1))?;
        }
        sgd(step, Self::clip(clip.as_ref())?, grad, p, u.map(|u| &mut **u));
        Ok(())
    }
}
