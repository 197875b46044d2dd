//! V = W + s·B·A: the update of LoRA, and the direction of DoRA.

use num_traits::One;

use super::dense::column;
use super::{Backprop, Direction, wrong_update};
use crate::backend::{AccumOf, Backend, Dropout, Side, Store};
use crate::buffer::{Acc, Act};
use crate::error::Error;
use crate::init::{Rng, kaiming_uniform};
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::param::{Param, Slot, Visitor};
use crate::spec::Plan;
use crate::workspace::{Mask, Scratch};

/// V = W + s·B·A, A `(r, in)`, B `(out, r)` (LoRA, Hu et al. 2021). B·A is never formed.
///
/// `PLAIN`: see [`Direction::PLAIN`].
#[derive(Debug)]
pub struct LowRank<B: Backend, const PLAIN: bool = false> {
    a: Param<B>,
    b: Param<B>,
    s: AccumOf<B>,
    /// H = x·Aᵀ of the last forward pass, `(n, r)`.
    h: B::Buf<Acc>,
    norm: Option<Norm<B>>,
}

/// What the norm of V shares with its gradient.
#[derive(Debug)]
struct Norm<B: Backend> {
    /// U = W·Aᵀ, `(out, r)`.
    u: B::Buf<Acc>,
    /// G = A·Aᵀ, `(r, r)`.
    gram: B::Buf<Acc>,
    /// The revision of the A that U and G are of.
    of: Option<u32>,
}

impl<B: Backend> Norm<B> {
    fn new(be: &mut B, out: usize, r: usize) -> Result<Self, B::Error> {
        Ok(Self { u: be.alloc::<Acc>(out * r)?, gram: be.alloc::<Acc>(r * r)?, of: None })
    }

    /// Makes U and G those of this A: nothing to do while A is the same, always when it is frozen.
    fn refresh(&mut self, be: &mut B, base: &Linear<'_, B>, a: &Param<B>) -> Result<(), B::Error> {
        if self.of == Some(a.revision()) {
            return Ok(());
        }
        let (one, mat) = (AccumOf::<B>::one(), a.mat());
        let (r, out) = (mat.at.rows, base.shape().0);
        let u_t = MatMut { buf: &mut self.u, at: Layout::row_major(0, out, r).t() };
        be.gemm_frozen(one, mat, &base.weight, Side::Transposed, Store::Replace, u_t)?;
        let gram = MatMut { buf: &mut self.gram, at: Layout::row_major(0, r, r) };
        be.gemm(one, mat, mat.t(), Store::Replace, gram)?;
        self.of = Some(a.revision());
        Ok(())
    }
}

impl<B: Backend, const PLAIN: bool> LowRank<B, PLAIN> {
    fn low<'a>(&self, buf: &'a mut B::Buf<Acc>, n: usize) -> MatMut<'a, B, Acc> {
        MatMut { buf, at: Layout::row_major(0, n, self.a.shape().0) }
    }

    fn h(&self, n: usize) -> Mat<'_, B, Acc> {
        Mat { buf: &self.h, at: Layout::row_major(0, n, self.a.shape().0) }
    }
}

impl<B: Backend, const PLAIN: bool> Direction<B> for LowRank<B, PLAIN> {
    const PLAIN: bool = PLAIN;

    /// A from U(−1/√in, 1/√in), B = 0: V = W.
    fn new(
        be: &mut B,
        base: &Linear<'_, B>,
        plan: &Plan,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        let (r, (out, inputs)) = (plan.spec.rank(), base.shape());
        if r == 0 {
            return Err(wrong_update(plan, "1 or more"));
        }
        let mut a = match plan.spec.frozen_a {
            true => Param::constant(be, Slot::LoraA, (r, inputs))?,
            false => Param::new(be, Slot::LoraA, (r, inputs), plan.moments)?,
        };
        kaiming_uniform(be, rng, &mut a)?;
        let norm = match plan.spec.magnitude {
            true => Some(Norm::new(be, out, r)?),
            false => None,
        };
        Ok(Self {
            a,
            b: Param::new(be, Slot::LoraB, (out, r), plan.moments)?,
            s: plan.spec.scale(),
            h: be.alloc::<Acc>(plan.rows * r)?,
            norm,
        })
    }

    fn revision(&self) -> u32 {
        self.a.revision().wrapping_add(self.b.revision())
    }

    fn swap_kept(&mut self, low: &mut B::Buf<Acc>) {
        core::mem::swap(&mut self.h, low);
    }

    /// H = x̃·Aᵀ; z = x·Wᵀ + s·H·Bᵀ.
    fn project(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        mask: Option<Mask<'_, B>>,
        z: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        let one = AccumOf::<B>::one();
        let seen = match mask.filter(|_| !PLAIN) {
            Some(Mask { drop, seen, .. }) => drop_inputs(be, x, drop, seen)?,
            None => x,
        };
        let h = MatMut { buf: &mut self.h, at: Layout::row_major(0, x.at.rows, self.a.shape().0) };
        be.gemm(one, seen, self.a.mat().t(), Store::Replace, h)?;
        let update = (self.s, self.h(x.at.rows), self.b.mat().t());
        be.gemm_adapted(x, (&base.weight, Side::Transposed), update, Store::Replace, z)
    }

    /// dB = s·dzᵀ·H; dH = s·dz·B; dA = dHᵀ·x̃, unless A is frozen; dx = dz·W + mask⊙(dH·A).
    fn backward(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        ws: &mut Scratch<B>,
        mask: Option<Mask<'_, B>>,
        pass: Backprop<'_, B>,
    ) -> Result<(), B::Error> {
        let Backprop { x, dz, dx, onto, store } = pass;
        let (one, n) = (AccumOf::<B>::one(), dz.at.rows);
        let trains_a = self.a.trained();
        let (seen, masked) = match mask.filter(|_| !PLAIN) {
            Some(Mask { drop, seen, rest }) if trains_a => {
                (drop_inputs(be, x, drop, seen)?, Some((drop, rest)))
            }
            Some(Mask { drop, rest, .. }) => (x, Some((drop, rest))),
            None => (x, None),
        };
        let h = Mat { buf: &self.h, at: Layout::row_major(0, n, self.a.shape().0) };
        be.gemm(self.s, dz.t(), h, store, self.b.grad_mut())?;
        if !trains_a && dx.is_none() {
            return Ok(());
        }
        let mut dh = self.low(&mut ws.low, n);
        be.gemm(self.s, dz, self.b.mat(), Store::Replace, dh.reborrow())?;
        if trains_a {
            be.gemm(one, dh.view().t(), seen, store, self.a.grad_mut())?;
        }

        let Some(mut dx) = dx else { return Ok(()) };
        let Some((drop, rest)) = masked else {
            let update = (one, dh.view(), self.a.mat());
            return be.gemm_adapted(dz, (&base.weight, Side::Plain), update, onto, dx);
        };
        be.gemm_frozen(one, dz, &base.weight, Side::Plain, onto, dx.reborrow())?;
        let mut t = MatMut { buf: rest, at: Layout::row_major(0, n, x.at.cols) };
        be.gemm(one, dh.view(), self.a.mat(), Store::Replace, t.reborrow())?;
        be.dropout(drop, t.view(), Store::Add, dx)
    }

    /// ‖Vᵢ‖² = ‖Wᵢ‖² + 2s·Σₖ Bᵢₖ·Tᵢₖ, with T = U + s/2·B·G, U = W·Aᵀ and G = A·Aᵀ.
    fn row_sq(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        tall: &mut B::Buf<Acc>,
        base_sq: &B::Buf<Acc>,
        sq: &mut B::Buf<Acc>,
    ) -> Result<(), B::Error> {
        let Some(norm) = &mut self.norm else { return Ok(()) };
        norm.refresh(be, base, &self.a)?;
        let (b, r) = (self.b.mat(), self.b.shape().1);
        let u = Mat { buf: &norm.u, at: b.at };
        let gram = Mat { buf: &norm.gram, at: Layout::row_major(0, r, r) };
        let t = MatMut { buf: tall, at: b.at };
        be.low_rank_row_sq(self.s, base_sq, b, u, gram, t, sq)
    }

    /// With T = diag(c)·B: dB += s·diag(c)·(U + s·B·G); dA += s·(Tᵀ·W + s·(Tᵀ·B)·A), unless A is frozen.
    fn row_sq_grad(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        let Some(norm) = &self.norm else { return Ok(()) };
        let (one, s) = (AccumOf::<B>::one(), self.s);
        let (b, db) = self.b.mat_and_grad();
        let (out, r) = b.shape();
        let square = Layout::row_major(0, r, r);
        let mut t = MatMut { buf: &mut ws.tall, at: b.at };
        be.gemm(s, b, Mat { buf: &norm.gram, at: square }, Store::Replace, t.reborrow())?;
        be.axpy(one, Mat { buf: &norm.u, at: b.at }, Store::Add, t.reborrow())?;
        be.scale_rows(column(&ws.c, out), t.reborrow())?;
        be.axpy(s, t.view(), Store::Add, db)?;
        if !self.a.trained() {
            return Ok(());
        }

        let (a, mut da) = self.a.mat_and_grad();
        be.axpy(one, b, Store::Replace, t.reborrow())?;
        be.scale_rows(column(&ws.c, out), t.reborrow())?;
        be.gemm_frozen(s, t.view().t(), &base.weight, Side::Plain, Store::Add, da.reborrow())?;
        let mut tb = MatMut { buf: &mut ws.low, at: square };
        be.gemm(one, t.view().t(), b, Store::Replace, tb.reborrow())?;
        be.gemm(s * s, tb.view(), a, Store::Add, da)
    }

    fn rows(
        &self,
        be: &mut B,
        base: &Linear<'_, B>,
        first: usize,
        mut v: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        be.frozen_rows(&base.weight, first, v.reborrow())?;
        let b = Mat::with(self.b.value(), self.b.mat().at.rows_from(first, v.at.rows))?;
        be.gemm(self.s, b, self.a.mat(), Store::Add, v)
    }

    fn unmerge(
        &self,
        be: &mut B,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), Error<B::Error>> {
        let b = Mat::with(self.b.value(), self.b.mat().at.rows_from(first, v.at.rows))?;
        Ok(be.gemm(-self.s, b, self.a.mat(), Store::Add, v)?)
    }

    fn visit(
        &mut self,
        be: &mut B,
        layer: usize,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        f(be, layer, &mut self.a)?;
        f(be, layer, &mut self.b)
    }
}

/// x̃ = mask⊙x/(1 − p).
fn drop_inputs<'a, B: Backend>(
    be: &mut B,
    x: Mat<'_, B, Act>,
    drop: Dropout,
    seen: &'a mut B::Buf<Act>,
) -> Result<Mat<'a, B, Act>, B::Error> {
    let at = Layout::row_major(0, x.at.rows, x.at.cols);
    be.dropout(drop, x, Store::Replace, MatMut { buf: &mut *seen, at })?;
    Ok(Mat { buf: seen, at })
}
