//! An adapter on one linear layer: y = g⊙(x·Vᵀ) + b, forward and backward.

mod rows;

use num_traits::One;

pub use crate::pass::{Kept, Pass};

use crate::backend::{AccumOf, Backend, Dropout, Side, Store};
use crate::buffer::{Acc, Act};
use crate::direction::{Backprop, Direction};
use crate::error::{Error, same};
use crate::init::Rng;
use crate::linear::Linear;
use crate::magnitude::Magnitude;
use crate::masked::{Masked, masked_backward};
use crate::mat::{Layout, Mat, MatMut};
use crate::param::{Param, Slot, Visitor};
use crate::scalar::is_zero;
use crate::spec::Plan;
use crate::workspace::{Mask, Workspace};

/// An adapter on a frozen linear layer. The direction `D` says how V follows from W; a magnitude,
/// when there is one, scales its rows:
///
/// y = g⊙(x·Vᵀ) + b, with g = m/‖V‖, or 1 without a magnitude.
///
/// With dropout the adapter sees x̃ = mask⊙x/(1 − p) and the base layer sees x (as in PEFT):
/// y = (x − x̃)·Wᵀ + g⊙(x̃·Vᵀ) + b.
#[derive(Debug)]
pub struct Adapter<B: Backend, D: Direction<B>> {
    direction: D,
    magnitude: Option<Magnitude<B>>,
    bias: Option<Param<B>>,
    plan: Plan,
    /// The revision of the parameters that n and g follow from.
    gains_of: u32,
    /// The mask of the last forward pass.
    drop: Option<Dropout>,
}

impl<B: Backend, D: Direction<B>> Adapter<B, D> {
    /// The adapter that `plan` describes, on `base`: at first y is that of the base, bit for bit.
    ///
    /// # Errors
    /// [`Error::Shape`] when plan and base differ, [`Error::OutOfRange`] for settings that make no sense;
    /// device errors.
    pub fn new(
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        plan: Plan,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        let mut adapter = Self::allocate(be, base, plan, rng)?;
        adapter.begin(be, ws, base)?;
        Ok(adapter)
    }

    /// As [`new`](Adapter::new), without what forward keeps for backward: before forward, and again
    /// before backward, someone lends it by [`swap_kept`](Adapter::swap_kept).
    ///
    /// # Errors
    /// As [`new`](Adapter::new).
    pub fn lean(
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        plan: Plan,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        Ok(Self { plan, ..Self::new(be, ws, base, Plan { rows: 0, ..plan }, rng)? })
    }

    /// Lends what forward keeps for backward, or takes it back.
    pub fn swap_kept(&mut self, kept: &mut Kept<B>) {
        self.direction.swap_kept(&mut kept.low);
        if let Some(magnitude) = &mut self.magnitude {
            magnitude.swap_kept(&mut kept.z);
        }
    }

    /// The same without norms and gains: [`begin`](Adapter::begin) computes them. An adapter is some
    /// hundred bytes that are moved to where it lives; on a short stack there is no room for both the
    /// moves and the products.
    pub(crate) fn allocate(
        be: &mut B,
        base: &Linear<'_, B>,
        plan: Plan,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        same("adapter on weight", (plan.out, plan.inputs), base.shape())?;
        let biases = (base.bias.is_some().into(), 1);
        same("number of biases, in plan and layer", (plan.bias.into(), 1), biases)?;
        plan.spec.check()?;
        if D::PLAIN && !plan.spec.is_plain() {
            let expected = "no dropout and no exact gradient of the norm: the direction is plain";
            return Err(Error::out_of_range("dropout", plan.spec.dropout, expected));
        }
        let direction = D::new(be, base, &plan, rng)?;
        let magnitude = match plan.spec.magnitude {
            true => Some(Magnitude::new(be, &plan)?),
            false => None,
        };
        let bias = match &base.bias {
            Some(b) if plan.spec.bias => Some(trained_bias(be, b, &plan)?),
            _ => None,
        };
        Ok(Self { direction, magnitude, bias, plan, gains_of: 0, drop: None })
    }

    /// Norms, magnitudes and gains of the base.
    pub(crate) fn begin(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
    ) -> Result<(), B::Error> {
        if let Some(magnitude) = &mut self.magnitude {
            magnitude.begin(be, base, &mut self.direction, &mut ws.scratch)?;
        }
        self.gains_of = self.revision();
        Ok(())
    }

    /// Its sizes and method.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The magnitude, when it has one.
    #[must_use]
    pub fn magnitude(&self) -> Option<&Magnitude<B>> {
        self.magnitude.as_ref()
    }

    /// g, when it has a magnitude.
    ///
    /// # Errors
    /// [`Error::Stale`], naming `what` needs them, when parameters were changed after the last
    /// forward pass, merge or [`refresh`](Adapter::refresh).
    pub fn gains(&self, what: &'static str) -> Result<Option<&B::Buf<Acc>>, Error<B::Error>> {
        match &self.magnitude {
            Some(_) if self.gains_of != self.revision() => Err(Error::Stale { what: what.into() }),
            magnitude => Ok(magnitude.as_ref().map(|m| &m.g)),
        }
    }

    /// y `(n, out)` from x `(n, in)`, n up to the plan's rows. What backward needs is kept.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Capacity`] when x or y do not fit; device errors.
    pub fn forward(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        y: MatMut<'_, B, Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        self.forward_onto(be, ws, base, x, Store::Replace, y, pass)
    }

    /// As [`forward`](Adapter::forward), or the same added to y.
    ///
    /// # Errors
    /// As [`forward`](Adapter::forward).
    #[expect(clippy::too_many_arguments, reason = "those of forward, and what becomes of y")]
    pub fn forward_onto(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        store: Store,
        mut y: MatMut<'_, B, Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        self.fits(x.shape(), y.shape())?;
        self.refresh(be, ws, base)?;
        self.drop = self.mask_of(pass);
        let bias = self.bias.as_ref().map(Param::value).or(base.bias.as_ref());
        let (n, one) = (x.at.rows, AccumOf::<B>::one());
        let Workspace { scratch, dropped, .. } = ws;
        let drop = if D::PLAIN { None } else { self.drop };
        let Some(magnitude) = &mut self.magnitude else {
            let mask = drop.map(|drop| dropped.mask(drop));
            let mut z = MatMut { buf: &mut scratch.z, at: Layout::row_major(0, n, self.plan.out) };
            self.direction.project(be, base, x, mask, z.reborrow())?;
            return Ok(be.affine(z.view(), None, bias, store, y)?);
        };
        let Some(drop) = drop else {
            self.direction.project(be, base, x, None, magnitude.z_mut(n))?;
            return Ok(magnitude.forward(be, bias, store, y)?);
        };
        let Mask { seen, rest, .. } = dropped.mask(drop);
        let at = Layout::row_major(0, n, self.plan.inputs);
        let (mut seen, mut rest) = (MatMut { buf: seen, at }, MatMut { buf: rest, at });
        be.dropout(drop, x, Store::Replace, seen.reborrow())?;
        be.axpy(one, x, Store::Replace, rest.reborrow())?;
        be.axpy(-one, seen.view(), Store::Add, rest.reborrow())?;
        let (w, side) = (&base.weight, Side::Transposed);
        be.gemm_frozen(one, rest.view(), w, side, store, y.reborrow())?;
        self.direction.project(be, base, seen.view(), None, magnitude.z_mut(n))?;
        Ok(magnitude.forward(be, bias, Store::Add, y)?)
    }

    /// The backward of the last [`forward`](Adapter::forward), with the same x. dy `(n, out)`
    /// becomes dz = g⊙dy; dx `(n, in)` is written where it is asked for. `store` says whether
    /// gradients of parameters start anew or add up over micro-batches.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Capacity`] when an operand does not fit; device errors.
    #[expect(clippy::too_many_arguments, reason = "each is a matrix of the formula or its place")]
    pub fn backward(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        dy: MatMut<'_, B, Act>,
        dx: Option<MatMut<'_, B, Act>>,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let dx = dx.map(|dx| (dx, Store::Replace));
        self.backward_onto(be, ws, base, x, dy, dx, store)
    }

    /// As [`backward`](Adapter::backward), with the gradient of x written or added to dx.
    ///
    /// # Errors
    /// As [`backward`](Adapter::backward); [`Error::OutOfRange`] where it should be added and the last
    /// pass dropped inputs under a magnitude, which leaves no room for it.
    #[expect(clippy::too_many_arguments, reason = "each is a matrix of the formula or its place")]
    pub fn backward_onto(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        mut dy: MatMut<'_, B, Act>,
        dx: Option<(MatMut<'_, B, Act>, Store)>,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let (dx, onto) = match dx {
            Some((dx, onto)) => (Some(dx), onto),
            None => (None, Store::Replace),
        };
        self.fits(x.shape(), dy.shape())?;
        if let Some(dx) = &dx {
            same("gradient of the input", dx.shape(), x.shape())?;
        }
        if let Some(bias) = &mut self.bias {
            be.col_sum(dy.view(), store, &mut bias.grad)?;
        }
        let Workspace { scratch, dropped, .. } = ws;
        let drop = if D::PLAIN { None } else { self.drop };
        let Some(magnitude) = &mut self.magnitude else {
            let mask = drop.map(|drop| dropped.mask(drop));
            let pass = Backprop { x, dz: dy.view(), dx, onto, store };
            return Ok(self.direction.backward(be, base, scratch, mask, pass)?);
        };
        match drop {
            None => {
                magnitude.backward(be, scratch, dy.reborrow(), store)?;
                let pass = Backprop { x, dz: dy.view(), dx, onto, store };
                self.direction.backward(be, base, scratch, None, pass)?;
            }
            Some(_) if onto == Store::Add => {
                let expected = "no dropout where the gradient of the input is added";
                return Err(Error::out_of_range("dropout", 1.0, expected));
            }
            Some(drop) => {
                let mask = dropped.mask(drop);
                let pass = Masked { x, dy, dx, store };
                masked_backward(be, base, scratch, (&mut self.direction, magnitude), mask, pass)?;
            }
        }
        Ok(magnitude.norm_backward(be, base, &mut self.direction, scratch)?)
    }

    /// Calls `f` with `layer` for each parameter: direction, magnitude, bias.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn visit(
        &mut self,
        be: &mut B,
        layer: usize,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        self.direction.visit(be, layer, f)?;
        if let Some(magnitude) = &mut self.magnitude {
            f(be, layer, &mut magnitude.m)?;
        }
        if let Some(bias) = &mut self.bias {
            f(be, layer, bias)?;
        }
        Ok(())
    }

    /// Makes m the norms of the rows of V, after A and B were set by hand: g is exactly 1.
    ///
    /// # Errors
    /// Device errors.
    pub fn reset_magnitude(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        if let Some(magnitude) = &mut self.magnitude {
            magnitude.reset(be, base, &mut self.direction, &mut ws.scratch)?;
            self.gains_of = self.revision();
        }
        Ok(())
    }

    /// Brings n and g up to date, if parameters have changed since they were computed.
    ///
    /// # Errors
    /// Device errors.
    pub fn refresh(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        let current = self.gains_of == self.revision();
        if let (false, Some(magnitude)) = (current, &mut self.magnitude) {
            magnitude.refresh(be, base, &mut self.direction, &mut ws.scratch)?;
            self.gains_of = self.revision();
        }
        Ok(())
    }

    /// Another number after every change of what n and g follow from.
    fn revision(&self) -> u32 {
        let magnitude = self.magnitude.as_ref().map_or(0, |m| m.m.revision());
        self.direction.revision().wrapping_add(magnitude)
    }

    fn mask_of(&self, pass: Pass) -> Option<Dropout> {
        match pass {
            Pass::Train(seed) if !is_zero(self.plan.spec.dropout) => {
                Some(Dropout { p: self.plan.spec.dropout, seed })
            }
            _ => None,
        }
    }

    fn fits(&self, x: crate::error::Shape, y: crate::error::Shape) -> Result<(), Error<B::Error>> {
        if x.0 > self.plan.rows {
            let what = "rows in one pass";
            return Err(Error::capacity(what, x.0, self.plan.rows));
        }
        same("input of a layer", x, (x.0, self.plan.inputs))?;
        Ok(same("output of a layer", y, (x.0, self.plan.out))?)
    }
}

fn trained_bias<B: Backend>(
    be: &mut B,
    b: &B::Buf<Acc>,
    plan: &Plan,
) -> Result<Param<B>, B::Error> {
    let mut bias = Param::new(be, Slot::Bias, (plan.out, 1), plan.moments)?;
    bias.copy_from(be, Mat::new(b, plan.out, 1)?)?;
    Ok(bias)
}
