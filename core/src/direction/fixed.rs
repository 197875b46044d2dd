//! V = W: nothing about the direction is trained.

use num_traits::One;

use super::{Backprop, Direction, wrong_update};
use crate::backend::{AccumOf, Backend, Side, Store};
use crate::buffer::{Acc, Act};
use crate::error::Error;
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::param::Visitor;
use crate::spec::{Plan, Update};
use crate::workspace::{Mask, Scratch};

/// V = W. Alone: a frozen layer, or `BitFit`; under a magnitude: magnitude-only tuning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed;

impl<B: Backend> Direction<B> for Fixed {
    fn new(
        _: &mut B,
        _: &Linear<'_, B>,
        plan: &Plan,
        _: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        match plan.spec.update {
            Update::None => Ok(Self),
            _ => Err(wrong_update(plan, "no update")),
        }
    }

    fn revision(&self) -> u32 {
        0
    }

    fn project(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        _: Option<Mask<'_, B>>,
        z: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        be.gemm_frozen(AccumOf::<B>::one(), x, &base.weight, Side::Transposed, Store::Replace, z)
    }

    fn backward(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        _: &mut Scratch<B>,
        _: Option<Mask<'_, B>>,
        pass: Backprop<'_, B>,
    ) -> Result<(), B::Error> {
        let Some(dx) = pass.dx else { return Ok(()) };
        be.gemm_frozen(AccumOf::<B>::one(), pass.dz, &base.weight, Side::Plain, pass.onto, dx)
    }

    fn row_sq(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        _: &mut B::Buf<Acc>,
        base_sq: &B::Buf<Acc>,
        sq: &mut B::Buf<Acc>,
    ) -> Result<(), B::Error> {
        let at = Layout::row_major(0, 1, base.shape().0);
        let (from, to) = (Mat { buf: base_sq, at }, MatMut { buf: sq, at });
        be.axpy(AccumOf::<B>::one(), from, Store::Replace, to)
    }

    fn row_sq_grad(
        &mut self,
        _: &mut B,
        _: &Linear<'_, B>,
        _: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        Ok(())
    }

    fn rows(
        &self,
        be: &mut B,
        base: &Linear<'_, B>,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        be.frozen_rows(&base.weight, first, v)
    }

    fn unmerge(&self, _: &mut B, _: usize, _: MatMut<'_, B, Acc>) -> Result<(), Error<B::Error>> {
        Ok(())
    }

    fn visit(
        &mut self,
        _: &mut B,
        _: usize,
        _: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        Ok(())
    }
}
