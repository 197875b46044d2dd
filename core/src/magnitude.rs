//! The magnitude of each row, trained apart from its direction: what makes any update a DoRA.

use crate::backend::{Backend, Store};
use crate::buffer::{Acc, Act};
use crate::direction::Direction;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::param::{Param, Slot};
use crate::spec::{NormGradient, Plan};
use crate::workspace::Scratch;

/// m `(out)`, with the norms n of the rows of V and the gains g = m/n that follow from it
/// (DoRA, Liu et al. 2024, eq. 5): W' = diag(g)·V.
#[derive(Debug)]
pub struct Magnitude<B: Backend> {
    /// m, at first the norms of the rows of V.
    pub m: Param<B>,
    /// n, the norms of the rows of V.
    pub n: B::Buf<Acc>,
    /// g = m/n. Always in [`Acc`]: gains lie near 1, where bf16 would round most of them to 1.
    pub g: B::Buf<Acc>,
    /// ‖Wᵢ‖², once for ever.
    base_sq: B::Buf<Acc>,
    /// x·Vᵀ of the last forward pass, `(n, out)`.
    z: B::Buf<Acc>,
    exact: bool,
}

impl<B: Backend> Magnitude<B> {
    /// Room for it; [`begin`](Magnitude::begin) comes next.
    pub(crate) fn new(be: &mut B, plan: &Plan) -> Result<Self, B::Error> {
        let out = plan.out;
        Ok(Self {
            m: Param::new(be, Slot::Magnitude, (out, 1), plan.moments)?,
            n: be.alloc::<Acc>(out)?,
            g: be.alloc::<Acc>(out)?,
            base_sq: be.alloc::<Acc>(out)?,
            z: be.alloc::<Acc>(plan.rows * out)?,
            exact: plan.spec.norm_gradient == NormGradient::Exact,
        })
    }

    /// m = ‖Vᵢ‖ for the V that `direction` has now, so that g is exactly 1.
    pub(crate) fn begin<D: Direction<B>>(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        direction: &mut D,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        be.frozen_row_sq(&base.weight, &mut self.base_sq)?;
        self.reset(be, base, direction, ws)
    }

    /// Makes m the norms of the rows of V.
    pub(crate) fn reset<D: Direction<B>>(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        direction: &mut D,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        self.refresh(be, base, direction, ws)?;
        let n = Mat { buf: &self.n, at: Layout::row_major(0, self.m.shape().0, 1) };
        self.m.copy_from(be, n)?;
        be.gain(&self.base_sq, &ws.q, self.m.value_mut(), &mut self.n, &mut self.g)
    }

    /// n and g for the V and m of now.
    pub(crate) fn refresh<D: Direction<B>>(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        direction: &mut D,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        direction.row_sq(be, base, &mut ws.tall, &self.base_sq, &mut ws.q)?;
        be.gain(&self.base_sq, &ws.q, self.m.value_mut(), &mut self.n, &mut self.g)
    }

    /// Exchanges the room for x·Vᵀ.
    pub(crate) fn swap_kept(&mut self, z: &mut B::Buf<Acc>) {
        core::mem::swap(&mut self.z, z);
    }

    /// Room for x·Vᵀ, kept for backward.
    pub(crate) fn z_mut(&mut self, rows: usize) -> MatMut<'_, B, Acc> {
        let at = Layout::row_major(0, rows, self.m.shape().0);
        MatMut { buf: &mut self.z, at }
    }

    /// y = g⊙z + b, or the same added to y.
    pub(crate) fn forward(
        &self,
        be: &mut B,
        bias: Option<&B::Buf<Acc>>,
        store: Store,
        y: MatMut<'_, B, Act>,
    ) -> Result<(), B::Error> {
        let z = Mat { buf: &self.z, at: Layout::row_major(0, y.at.rows, y.at.cols) };
        be.affine(z, Some(&self.g), bias, store, y)
    }

    /// q = Σₜ dy⊙z; dm = q/n; c = −g·q/n²; dy becomes dz = g⊙dy.
    pub(crate) fn backward(
        &mut self,
        be: &mut B,
        ws: &mut Scratch<B>,
        dy: MatMut<'_, B, Act>,
        store: Store,
    ) -> Result<(), B::Error> {
        let z = Mat { buf: &self.z, at: Layout::row_major(0, dy.at.rows, dy.at.cols) };
        be.affine_grad(z, &self.g, dy, &mut ws.q)?;
        be.gain_grad(&self.base_sq, &self.n, &self.g, &ws.q, store, &mut self.m.grad, &mut ws.c)
    }

    /// What the exact gradient of the norm adds to that of the direction; after
    /// [`backward`](Magnitude::backward).
    pub(crate) fn norm_backward<D: Direction<B>>(
        &self,
        be: &mut B,
        base: &Linear<'_, B>,
        direction: &mut D,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        if self.exact && !D::PLAIN { direction.row_sq_grad(be, base, ws) } else { Ok(()) }
    }

    /// Rows of diag(g)·V from those of V.
    pub(crate) fn scale(
        &self,
        be: &mut B,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        let at = Layout { offset: first, ..Layout::row_major(0, v.at.rows, 1) };
        be.scale_rows(Mat::with(&self.g, at)?, v)
    }
}
