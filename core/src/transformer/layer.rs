//! A linear layer of a transformer, adapted or as it was.

use num_traits::One;

use super::module::Module;
use super::shape::Shape;
use crate::adapter::{Adapter, Kept, Pass};
use crate::backend::{AccumOf, Backend, Side, Store};
use crate::buffer::Act;
use crate::direction::Direction;
use crate::error::Error;
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::param::Visitor;
use crate::spec::{Plan, Spec};
use crate::workspace::Workspace;

/// A frozen linear layer, and what adapts it, if anything does. The adapter is lean: what forward keeps
/// is lent to it.
#[derive(Debug)]
pub struct Layer<'w, B: Backend, D: Direction<B>> {
    /// The frozen layer.
    pub base: Linear<'w, B>,
    /// What adapts it. Another adapter may take its place, as long as it fits the base.
    pub adapter: Option<Adapter<B, D>>,
    /// Which part of the network it is.
    pub module: Module,
}

impl<'w, B: Backend, D: Direction<B>> Layer<'w, B, D> {
    /// A layer for up to `rows` rows of x, adapted as `spec` says.
    ///
    /// # Errors
    /// What [`Adapter::new`] answers.
    pub fn new(
        be: &mut B,
        ws: &mut Workspace<B>,
        base: Linear<'w, B>,
        module: Module,
        plan: Option<Plan>,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        let adapter = match plan {
            Some(plan) => Some(Adapter::lean(be, ws, &base, plan, rng)?),
            None => None,
        };
        Ok(Self { base, adapter, module })
    }

    /// The plan of an adapter on `base`.
    #[must_use]
    pub fn plan(shape: &Shape, base: &Linear<'w, B>, spec: Spec) -> Plan {
        shape.plan(base.shape(), base.bias.is_some(), spec)
    }

    /// What the layer needs without an adapter, as a plan.
    pub(super) fn bare(&self, shape: &Shape) -> Plan {
        let rows = match self.module.block {
            Some(_) => shape.rows,
            None => shape.chunk.max(shape.sequences),
        };
        Plan { rows, ..Self::plan(shape, &self.base, Spec::frozen()) }
    }

    /// Whether something of it is trained.
    #[must_use]
    pub fn trains(&self) -> bool {
        self.adapter.as_ref().is_some_and(|adapter| !adapter.plan().is_frozen())
    }

    /// Whether backward can add to dx: not with dropout under a magnitude.
    pub(super) fn adds(&self) -> bool {
        let spec = self.adapter.as_ref().map(|adapter| adapter.plan().spec);
        spec.is_none_or(|spec| spec.dropout == 0.0 || !spec.magnitude)
    }

    /// Room for what forward keeps.
    pub(super) fn kept(&self, be: &mut B) -> Result<Kept<B>, B::Error> {
        let none =
            Plan { out: 0, inputs: 0, bias: false, rows: 0, spec: Spec::frozen(), moments: 0 };
        Kept::new(be, self.adapter.as_ref().map_or(&none, Adapter::plan))
    }

    pub(super) fn swap_kept(&mut self, kept: &mut Kept<B>) {
        if let Some(adapter) = &mut self.adapter {
            adapter.swap_kept(kept);
        }
    }

    /// y = g⊙(x·Vᵀ) + b, or the same added to y.
    pub(super) fn forward(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        x: Mat<'_, B, Act>,
        store: Store,
        y: MatMut<'_, B, Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let (base, one, side) = (&self.base, AccumOf::<B>::one(), Side::Transposed);
        if let Some(adapter) = &mut self.adapter {
            let pass = pass.of_layer(self.module.number() as u64);
            return adapter.forward_onto(be, ws, base, x, store, y, pass);
        }
        let Some(bias) = &base.bias else {
            return Ok(be.gemm_frozen(one, x, &base.weight, side, store, y)?);
        };
        let at = Layout::row_major(0, x.at.rows, base.shape().0);
        let mut z = MatMut::with(&mut ws.scratch.z, at)?;
        be.gemm_frozen(one, x, &base.weight, side, Store::Replace, z.reborrow())?;
        Ok(be.affine(z.view(), None, Some(bias), store, y)?)
    }

    /// Gradients of the parameters, and dx, or the same added to dx. dy is used up.
    pub(super) fn backward(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        x: Mat<'_, B, Act>,
        dy: MatMut<'_, B, Act>,
        dx: Option<(MatMut<'_, B, Act>, Store)>,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let base = &self.base;
        match (&mut self.adapter, dx) {
            (Some(adapter), dx) => adapter.backward_onto(be, ws, base, x, dy, dx, store),
            (None, None) => Ok(()),
            (None, Some((dx, onto))) => {
                let (one, side) = (AccumOf::<B>::one(), Side::Plain);
                Ok(be.gemm_frozen(one, dy.view(), &base.weight, side, onto, dx)?)
            }
        }
    }

    pub(super) fn visit(
        &mut self,
        be: &mut B,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        match &mut self.adapter {
            Some(adapter) => adapter.visit(be, self.module.number(), f),
            None => Ok(()),
        }
    }
}
