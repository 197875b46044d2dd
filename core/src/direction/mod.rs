//! The direction of an adapted layer: how V follows from the frozen W, and how it is trained.
//!
//! Every method that reparametrises a linear layer is one type here. A magnitude on top of it
//! ([`Magnitude`](crate::magnitude::Magnitude)) turns it into its weight-decomposed form: LoRA
//! into DoRA, VeRA into DVoRA, no update at all into magnitude-only tuning.

mod any;
mod dense;
mod fixed;
mod low_rank;

pub use any::Any;
pub use dense::Dense;
pub use fixed::Fixed;
pub use low_rank::LowRank;

use crate::backend::{Backend, Store};
use crate::buffer::{Acc, Act};
use crate::error::Error;
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Mat, MatMut};
use crate::param::Visitor;
use crate::spec::Plan;
use crate::workspace::{Mask, Scratch};

/// What a backward pass starts from.
#[derive(Debug)]
pub struct Backprop<'a, B: Backend> {
    /// The input of the forward pass, `(n, in)`.
    pub x: Mat<'a, B, Act>,
    /// The gradient of x·Vᵀ, `(n, out)`.
    pub dz: Mat<'a, B, Act>,
    /// Where the gradient of x goes, `(n, in)`; `None` when nobody asks for it.
    pub dx: Option<MatMut<'a, B, Act>>,
    /// Whether dx starts anew or is added to what is there.
    pub onto: Store,
    /// Whether gradients of parameters start anew or add up.
    pub store: Store,
}

/// How V `(out, in)` follows from the frozen W `(out, in)`, and how it is trained.
pub trait Direction<B: Backend>: Sized + core::fmt::Debug {
    /// Whether dropout and the exact gradient of the norm are left out, and plans that ask for them
    /// refused: then nothing of them is in the binary.
    const PLAIN: bool = false;

    /// The direction that `plan.spec` asks for, with V = W.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when this type is not the update that the spec asks for; device errors.
    fn new(
        be: &mut B,
        base: &Linear<'_, B>,
        plan: &Plan,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>>;

    /// Another number after every change of V: see [`Param::revision`](crate::param::Param::revision).
    fn revision(&self) -> u32;

    /// Exchanges what forward keeps for backward beside x, where there is such a thing: see
    /// [`Kept`](crate::adapter::Kept).
    fn swap_kept(&mut self, _: &mut B::Buf<Acc>) {}

    /// z = x·Vᵀ, `(n, out)`. With a mask, what is added to W sees x̃ instead of x.
    ///
    /// # Errors
    /// Device errors.
    fn project(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        x: Mat<'_, B, Act>,
        mask: Option<Mask<'_, B>>,
        z: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error>;

    /// The backward of [`project`](Direction::project): gradients of the parameters, and dx = dz·V.
    ///
    /// # Errors
    /// Device errors.
    fn backward(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        ws: &mut Scratch<B>,
        mask: Option<Mask<'_, B>>,
        pass: Backprop<'_, B>,
    ) -> Result<(), B::Error>;

    /// sqᵢ = ‖Vᵢ‖², given `base_sq`ᵢ = ‖Wᵢ‖².
    ///
    /// # Errors
    /// Device errors.
    fn row_sq(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        tall: &mut B::Buf<Acc>,
        base_sq: &B::Buf<Acc>,
        sq: &mut B::Buf<Acc>,
    ) -> Result<(), B::Error>;

    /// Adds Σᵢ cᵢ·⟨Vᵢ, ∂Vᵢ/∂θ⟩ to the gradient of each parameter θ, c in `ws.c`; after
    /// [`row_sq`](Direction::row_sq) with the same parameters.
    ///
    /// # Errors
    /// Device errors.
    fn row_sq_grad(
        &mut self,
        be: &mut B,
        base: &Linear<'_, B>,
        ws: &mut Scratch<B>,
    ) -> Result<(), B::Error>;

    /// Rows of V from `first` on, as many as `v` has.
    ///
    /// # Errors
    /// Device errors.
    fn rows(
        &self,
        be: &mut B,
        base: &Linear<'_, B>,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), B::Error>;

    /// Turns rows of V from `first` on back into those of W.
    ///
    /// # Errors
    /// Device errors; [`Error::OutOfRange`] where W cannot be had from V.
    fn unmerge(
        &self,
        be: &mut B,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), Error<B::Error>>;

    /// Calls `f` with `layer` for each parameter.
    ///
    /// # Errors
    /// The first error of `f`.
    fn visit(
        &mut self,
        be: &mut B,
        layer: usize,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>>;
}

pub(crate) fn wrong_update<E>(plan: &Plan, expected: &'static str) -> Error<E> {
    // Written only where errors have details.
    let found = plan.spec.rank() as f64;
    Error::out_of_range("rank of the update (0: none, or dense)", found, expected)
}
