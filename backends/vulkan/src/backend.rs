//! The contract, on a GPU: shapes are checked by the core, kernels assume them.

use core::marker::PhantomData;

use decora::backend::{AdamWStep, Backend, Clip, Dropout, Elem, SgdStep, Side, Store, Weight};
use decora::buffer::{Acc, Act, Buffer, Float, Role, RoleKind};
use decora::check;
use decora::frozen::Frozen;
use decora::mat::{Layout, Mat, MatMut};
use decora::scalar::Element;

use crate::buffer::{VulkanBuf, VulkanWeight};
use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::push;
use crate::reduction::{Blocks, Parts, adds};
use crate::rowwise::rows;
use crate::vulkan::{GpuScalar, Operand, Vulkan};

impl<T: GpuScalar> Vulkan<T> {
    pub(crate) fn mat<'b, R: Role>(&self, m: &Mat<'b, Self, R>) -> Operand<'b> {
        self.operand(m.buf, m.at)
    }

    pub(crate) fn mat_mut<'b, R: Role>(&self, m: &'b MatMut<'_, Self, R>) -> Operand<'b> {
        self.operand(&*m.buf, m.at)
    }

    /// The largest norm, whether to clip, and where the sum of squares is; without clipping, any
    /// buffer stands in for it.
    fn clip<'b>(
        &self,
        clip: Option<Clip<'b, Self>>,
        other: Operand<'b>,
    ) -> (f32, u32, Operand<'b>) {
        match clip {
            Some(Clip { max, sum_sq }) => (max, 1, self.vector(sum_sq, 1)),
            None => (0.0, 0, other),
        }
    }
}

impl<T: GpuScalar> Backend for Vulkan<T> {
    type Scalar = T;
    type Buf<R: Role> = VulkanBuf<R>;
    type Weight<'w> = VulkanWeight;
    type Error = VulkanError;

    fn alloc<R: Role>(&mut self, len: usize) -> Result<VulkanBuf<R>, VulkanError> {
        let asked = (len as u64).saturating_mul(self.width(R::KIND));
        let limit = self.recorder.shared.info.binding;
        if asked > limit {
            return Err(VulkanError::TooLarge { asked, limit });
        }
        Ok(VulkanBuf { block: self.recorder.alloc(asked)?, len, role: PhantomData })
    }

    fn write<R: Role>(
        &mut self,
        dst: &mut VulkanBuf<R>,
        offset: usize,
        src: &[Elem<Self, R>],
    ) -> Result<(), VulkanError> {
        check::write(offset, src.len(), dst.len)?;
        let at = offset as u64 * self.width(R::KIND);
        if R::KIND == RoleKind::Act && T::HALF.is_some() && !self.packed() {
            let words: Vec<f32> = src.iter().map(|x| x.load()).collect();
            return self.recorder.upload(&dst.block, at, bytemuck::cast_slice(&words));
        }
        self.recorder.upload(&dst.block, at, bytemuck::cast_slice(src))
    }

    fn read<R: Role>(
        &mut self,
        src: &VulkanBuf<R>,
        offset: usize,
        dst: &mut [Elem<Self, R>],
    ) -> Result<(), VulkanError> {
        check::read(offset, dst.len(), src.len)?;
        let at = offset as u64 * self.width(R::KIND);
        if R::KIND == RoleKind::Act && T::HALF.is_some() && !self.packed() {
            let mut words = vec![0.0f32; dst.len()];
            self.recorder.download(&src.block, at, bytemuck::cast_slice_mut(&mut words))?;
            dst.iter_mut().zip(words).for_each(|(x, word)| *x = Element::store(word));
            return Ok(());
        }
        self.recorder.download(&src.block, at, bytemuck::cast_slice_mut(dst))
    }

    fn weight<'w>(&mut self, w: Frozen<'w>) -> Result<VulkanWeight, VulkanError> {
        self.upload_weight(w)
    }

    fn gemm<X: Float, Y: Float, Z: Float>(
        &mut self,
        alpha: f32,
        a: Mat<'_, Self, X>,
        b: Mat<'_, Self, Y>,
        into: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), VulkanError> {
        check::gemm(a.at, b.at, c.at)?;
        let (a, b, c) = (self.mat(&a), self.mat(&b), self.mat_mut(&c));
        self.product(alpha, a, b, into, c)
    }

    fn gemm_frozen<X: Float, Z: Float>(
        &mut self,
        alpha: f32,
        a: Mat<'_, Self, X>,
        w: &VulkanWeight,
        side: Side,
        into: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), VulkanError> {
        check::gemm_frozen(a.at, w.shape(), side, c.at)?;
        let (a, c) = (self.mat(&a), self.mat_mut(&c));
        match side {
            Side::Plain => self.product_of_weight(alpha, a, w, into, c),
            Side::Transposed => self.product_of_transposed(alpha, a, w, into, c),
        }
    }

    fn frozen_rows(
        &mut self,
        w: &VulkanWeight,
        first: usize,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), VulkanError> {
        check::frozen_rows(w.shape(), first, c.at)?;
        self.copy_rows(w, first, self.mat_mut(&c))
    }

    fn frozen_row_sq(
        &mut self,
        w: &VulkanWeight,
        sq: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::frozen_row_sq(w.shape(), sq.len)?;
        self.weight_row_sq(w, sq)
    }

    fn axpy<X: Float, Y: Float>(
        &mut self,
        alpha: f32,
        x: Mat<'_, Self, X>,
        into: Store,
        y: MatMut<'_, Self, Y>,
    ) -> Result<(), VulkanError> {
        check::axpy(x.at, y.at)?;
        self.scaled(alpha, self.mat(&x), into, self.mat_mut(&y))
    }

    fn dropout(
        &mut self,
        drop: Dropout,
        x: Mat<'_, Self, Act>,
        into: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::dropout(x.at, y.at)?;
        let (x, y) = (self.mat(&x), self.mat_mut(&y));
        let (count, cols) = (y.at.rows * y.at.cols, y.at.cols);
        let push = push::Dropout {
            rows: y.at.rows as u32,
            cols: cols as u32,
            x: rows(&x),
            y: rows(&y),
            scale: drop.scale() as f32,
            add: adds(into),
            threshold: drop.threshold(),
            seed_lo: drop.seed as u32,
            seed_hi: (drop.seed >> 32) as u32,
        };
        self.run_each(Kernel::Dropout, &[y.kind as u32], &[x, y], &push, count)
    }

    fn scale_rows(
        &mut self,
        d: Mat<'_, Self, Acc>,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), VulkanError> {
        check::scale_rows(d.at, c.at)?;
        let (d, c) = (self.mat(&d), self.mat_mut(&c));
        let (m, n) = c.at.shape();
        let push = push::ScaleRows { rows: m as u32, cols: n as u32, d: rows(&d), c: rows(&c) };
        self.run_each(Kernel::ScaleRows, &[], &[d, c], &push, m * n)
    }

    fn row_dot(
        &mut self,
        alpha: f32,
        a: Mat<'_, Self, Acc>,
        b: Mat<'_, Self, Acc>,
        into: Store,
        out: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::row_dot(a.at, b.at, out.len)?;
        let (a, b, out) = (self.mat(&a), self.mat(&b), self.vector(out, a.at.rows));
        self.dots(alpha, a, b, into, out)
    }

    fn affine(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: Option<&VulkanBuf<Acc>>,
        b: Option<&VulkanBuf<Acc>>,
        into: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::affine(z.at, g.map(Buffer::len), b.map(Buffer::len), y.at)?;
        let (z, y) = (self.mat(&z), self.mat_mut(&y));
        let (m, n) = y.at.shape();
        let push = push::Affine {
            rows: m as u32,
            cols: n as u32,
            z: rows(&z),
            y: rows(&y),
            add: adds(into),
            has_g: g.is_some().into(),
            has_b: b.is_some().into(),
        };
        let g = g.map_or(z, |g| self.vector(g, n));
        let b = b.map_or(z, |b| self.vector(b, n));
        self.run_each(Kernel::Affine, &[y.kind as u32], &[z, g, b, y], &push, m * n)
    }

    fn affine_grad(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: &VulkanBuf<Acc>,
        dy: MatMut<'_, Self, Act>,
        q: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::affine_grad(z.at, g.len, dy.at, q.len)?;
        let (z, dy) = (self.mat(&z), self.mat_mut(&dy));
        let ((m, n), blocks) = (dy.at.shape(), Blocks::of(dy.at.rows));
        let (g, q) = (self.vector(g, n), self.operand(q, Layout::row_major(0, 1, n)));
        let push = push::AffineGrad {
            rows: m as u32,
            cols: n as u32,
            z: rows(&z),
            dy: rows(&dy),
            rows_per_block: blocks.rows as u32,
        };
        self.in_blocks(blocks, Store::Replace, q, |be, part| {
            let groups = blocks.groups(n);
            let operands = [z, g, dy, part];
            be.run(Kernel::AffineGrad, &[dy.kind as u32], &operands, &push, groups, 3 * m * n)
        })
    }

    fn col_sum(
        &mut self,
        x: Mat<'_, Self, Act>,
        into: Store,
        s: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::col_sum(x.at, s.len)?;
        let x = self.mat(&x);
        let ((m, n), blocks) = (x.at.shape(), Blocks::of(x.at.rows));
        let s = self.operand(s, Layout::row_major(0, 1, n));
        let (kind, per) = (x.kind as u32, blocks.rows as u32);
        let push =
            push::ColSum { rows: m as u32, cols: n as u32, x: rows(&x), rows_per_block: per };
        self.in_blocks(blocks, into, s, |be, part| {
            be.run(Kernel::ColSum, &[kind], &[x, part], &push, blocks.groups(n), m * n)
        })
    }

    fn gain(
        &mut self,
        base_sq: &VulkanBuf<Acc>,
        sq: &VulkanBuf<Acc>,
        m: &mut VulkanBuf<Acc>,
        n: &mut VulkanBuf<Acc>,
        g: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        let out = base_sq.len;
        check::gain(out, sq.len, m.len, n.len, g.len)?;
        let operands = [base_sq, sq, &*m, &*n, &*g].map(|v| self.vector(v, out));
        let push = push::Gain { len: out as u32 };
        self.run_each(Kernel::Gain, &[], &operands, &push, out)
    }

    fn gain_grad(
        &mut self,
        base_sq: &VulkanBuf<Acc>,
        n: &VulkanBuf<Acc>,
        g: &VulkanBuf<Acc>,
        q: &VulkanBuf<Acc>,
        into: Store,
        dm: &mut VulkanBuf<Acc>,
        c: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        let out = base_sq.len;
        check::gain_grad(out, n.len, g.len, q.len, dm.len, c.len)?;
        let operands = [base_sq, n, g, q, &*dm, &*c].map(|v| self.vector(v, out));
        let push = push::GainGrad { len: out as u32, add: adds(into) };
        self.run_each(Kernel::GainGrad, &[], &operands, &push, out)
    }

    fn sum_sq(
        &mut self,
        x: &VulkanBuf<Acc>,
        into: Store,
        out: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::sum_sq(out.len)?;
        let (len, parts) = (x.len, Parts::of(x.len));
        let (x, out) = (self.vector(x, len), self.vector(out, 1));
        let push = push::SumSq { len: len as u32, per_group: parts.share as u32 };
        let groups = [parts.count, 1, 1];
        self.in_parts(parts.count, 1.0, into, out, |be, part| {
            be.run(Kernel::SumSq, &[], &[x, part], &push, groups, 2 * len)
        })
    }

    fn adamw(
        &mut self,
        step: AdamWStep<f32>,
        clip: Option<Clip<'_, Self>>,
        grad: &VulkanBuf<Acc>,
        p: &mut VulkanBuf<Acc>,
        m: &mut VulkanBuf<Acc>,
        v: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        let len = p.len;
        check::adamw(len, grad.len, m.len, v.len)?;
        check::clip(clip.as_ref().map(|c| c.sum_sq.len))?;
        let [grad, p, m, v] = [grad, &*p, &*m, &*v].map(|x| self.vector(x, len));
        let (max, clip, sum_sq) = self.clip(clip, grad);
        let AdamWStep { beta1, beta2, eps, decay, rate, root } = step;
        let len32 = len as u32;
        let push = push::Adamw { len: len32, beta1, beta2, eps, decay, rate, root, max, clip };
        let operands = [grad, p, m, v, sum_sq];
        self.run_each(Kernel::Adamw, &[], &operands, &push, len)
    }

    fn sgd(
        &mut self,
        step: SgdStep<f32>,
        clip: Option<Clip<'_, Self>>,
        grad: &VulkanBuf<Acc>,
        p: &mut VulkanBuf<Acc>,
        u: Option<&mut VulkanBuf<Acc>>,
    ) -> Result<(), VulkanError> {
        let (len, has_u) = (p.len, u.is_some().into());
        check::sgd(len, grad.len, u.as_ref().map(|u| u.len))?;
        check::clip(clip.as_ref().map(|c| c.sum_sq.len))?;
        let (grad, p) = (self.vector(grad, len), self.vector(p, len));
        let u = u.map_or(p, |u| self.vector(&*u, len));
        let (max, clip, sum_sq) = self.clip(clip, grad);
        let SgdStep { rate, momentum, decay } = step;
        let push = push::Sgd { len: len as u32, rate, momentum, decay, max, clip, has_u };
        self.run_each(Kernel::Sgd, &[], &[grad, p, u, sum_sq], &push, len)
    }
}
