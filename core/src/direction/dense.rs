//! V trained as a whole: full fine-tuning.

use num_traits::One;

use super::{Backprop, Direction, wrong_update};
use crate::backend::{AccumOf, Backend, Store};
use crate::buffer::{Acc, Act};
use crate::error::Error;
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::param::{Param, Slot, Visitor};
use crate::spec::{Plan, Update};
use crate::workspace::{Mask, Scratch};

/// V starts as W, and every element is trained. Under a magnitude: weight normalisation
/// (Salimans & Kingma 2016).
#[derive(Debug)]
pub struct Dense<B: Backend> {
    v: Param<B>,
}

impl<B: Backend> Direction<B> for Dense<B> {
    fn new(
        be: &mut B,
        base: &Linear<'_, B>,
        plan: &Plan,
        _: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        if plan.spec.update != Update::Dense {
            return Err(wrong_update(plan, "a dense update"));
        }
        let (out, inputs) = base.shape();
        let mut v = Param::new(be, Slot::Weight, (out, inputs), plan.moments)?;
        let at = Layout::row_major(0, out, inputs);
        be.frozen_rows(&base.weight, 0, MatMut { buf: v.value_mut(), at })?;
        Ok(Self { v })
    }

    fn revision(&self) -> u32 {
        self.v.revision()
    }

    fn project(
        &mut self,
        be: &mut B,
        _: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        _: Option<Mask<'_, B>>,
        z: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        be.gemm(AccumOf::<B>::one(), x, self.v.mat().t(), Store::Replace, z)
    }

    /// dV = dzᵀ·x, dx = dz·V.
    fn backward(
        &mut self,
        be: &mut B,
        _: &Linear<'_, B>,
        _: &mut Scratch<B>,
        _: Option<Mask<'_, B>>,
        pass: Backprop<'_, B>,
    ) -> Result<(), B::Error> {
        let one = AccumOf::<B>::one();
        be.gemm(one, pass.dz.t(), pass.x, pass.store, self.v.grad_mut())?;
        match pass.dx {
            Some(dx) => be.gemm(one, pass.dz, self.v.mat(), pass.onto, dx),
            None => Ok(()),
        }
    }

    fn row_sq(
        &mut self,
        be: &mut B,
        _: &Linear<'_, B>,
        _: &mut B::Buf<Acc>,
        _: &B::Buf<Acc>,
        sq: &mut B::Buf<Acc>,
    ) -> Result<(), B::Error> {
        be.row_dot(AccumOf::<B>::one(), self.v.mat(), self.v.mat(), Store::Replace, sq)
    }

    /// dV += diag(c)·V.
    fn row_sq_grad(
        &mut self,
        be: &mut B,
        _: &Linear<'_, B>,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        let one = AccumOf::<B>::one();
        let (v, dv) = self.v.mat_and_grad();
        let mut t = MatMut { buf: &mut ws.tall, at: v.at };
        be.axpy(one, v, Store::Replace, t.reborrow())?;
        be.scale_rows(column(&ws.c, v.at.rows), t.reborrow())?;
        be.axpy(one, t.view(), Store::Add, dv)
    }

    fn rows(
        &self,
        be: &mut B,
        _: &Linear<'_, B>,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        let at = self.v.mat().at.rows_from(first, v.at.rows);
        be.axpy(AccumOf::<B>::one(), Mat::with(self.v.value(), at)?, Store::Replace, v)
    }

    fn unmerge(&self, _: &mut B, _: usize, _: MatMut<'_, B, Acc>) -> Result<(), Error<B::Error>> {
        let expected = "a low-rank update, or none: a dense one replaces W";
        Err(Error::out_of_range("unmerge", 0.0, expected))
    }

    fn visit(
        &mut self,
        be: &mut B,
        layer: usize,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        f(be, layer, &mut self.v)
    }
}

/// The first `rows` elements of a buffer as a column.
pub(super) fn column<B: Backend>(buf: &B::Buf<Acc>, rows: usize) -> Mat<'_, B, Acc> {
    Mat { buf, at: Layout::row_major(0, rows, 1) }
}
