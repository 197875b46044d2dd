//! A direction chosen at run time.

use super::{Backprop, Dense, Direction, Fixed, LowRank};
use crate::backend::Backend;
use crate::buffer::{Acc, Act};
use crate::error::Error;
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Mat, MatMut};
use crate::param::Visitor;
use crate::spec::{Plan, Update};
use crate::workspace::{Mask, Scratch};

/// Whatever direction the [`Spec`](crate::spec::Spec) of the layer asks for. Where the method is
/// known at compile time, naming its type instead keeps the others out of the binary.
#[derive(Debug)]
pub enum Any<B: Backend> {
    /// [`Update::Dense`].
    Dense(Dense<B>),
    /// [`Update::None`].
    Fixed(Fixed),
    /// [`Update::LowRank`].
    LowRank(LowRank<B>),
}

/// The same call on whichever direction it is.
macro_rules! each {
    ($any:expr, $d:ident => $call:expr) => {
        match $any {
            Self::Dense($d) => $call,
            Self::Fixed($d) => $call,
            Self::LowRank($d) => $call,
        }
    };
}

impl<B: Backend> Direction<B> for Any<B> {
    fn new(
        be: &mut B,
        base: &Linear<'_, B>,
        plan: &Plan,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        Ok(match plan.spec.update {
            Update::Dense => Self::Dense(Dense::new(be, base, plan, rng)?),
            Update::LowRank { .. } => Self::LowRank(LowRank::new(be, base, plan, rng)?),
            Update::None => Self::Fixed(Fixed),
        })
    }

    fn revision(&self) -> u32 {
        each!(self, d => Direction::<B>::revision(d))
    }

    fn swap_kept(&mut self, low: &mut B::Buf<Acc>) {
        each!(self, d => Direction::<B>::swap_kept(d, low));
    }

    fn project(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        mask: Option<Mask<'_, B>>,
        z: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        each!(self, d => d.project(be, base, x, mask, z))
    }

    fn backward(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        ws: &mut Scratch<B>,
        mask: Option<Mask<'_, B>>,
        pass: Backprop<'_, B>,
    ) -> Result<(), B::Error> {
        each!(self, d => d.backward(be, base, ws, mask, pass))
    }

    fn row_sq(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        tall: &mut B::Buf<Acc>,
        base_sq: &B::Buf<Acc>,
        sq: &mut B::Buf<Acc>,
    ) -> Result<(), B::Error> {
        each!(self, d => d.row_sq(be, base, tall, base_sq, sq))
    }

    fn row_sq_grad(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error> {
        each!(self, d => d.row_sq_grad(be, base, ws))
    }

    fn rows(
        &self,
        be: &mut B,
        base: &Linear<'_, B>,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error> {
        each!(self, d => d.rows(be, base, first, v))
    }

    fn unmerge(
        &self,
        be: &mut B,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), Error<B::Error>> {
        each!(self, d => d.unmerge(be, first, v))
    }

    fn visit(
        &mut self,
        be: &mut B,
        layer: usize,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        each!(self, d => d.visit(be, layer, f))
    }
}
