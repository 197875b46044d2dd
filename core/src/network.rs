//! What whole networks need of a device beyond adapters on linear layers.

use core::fmt;

use crate::backend::{AccumOf, Backend, Store};
use crate::buffer::{Acc, Act, Index};
use crate::mat::{Mat, MatMut};
use crate::scalar::Accum;

/// A label that is left out of the loss, as −100 is in PyTorch.
pub const IGNORED: u32 = u32::MAX;

/// An elementwise function φ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Activation {
    /// x·Φ(x), Φ the normal distribution function, by the error function.
    Gelu,
    /// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GELU without the error function, as in GPT-2.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x/(1 + e⁻ˣ).
    Silu,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// Whether the derivative is a function of φ(x) alone, so that x need not be kept.
    #[must_use]
    pub const fn keeps_output(self) -> bool {
        matches!(self, Self::Relu | Self::Tanh)
    }

    /// φ(x).
    #[must_use]
    #[inline]
    pub fn apply<T: Accum>(self, x: T) -> T {
        match self {
            Self::Gelu => x * normal_cdf(x),
            Self::GeluTanh => T::of(0.5) * x * (T::of(1.0) + inner(x).tanh()),
            Self::Relu => x.at_least(T::of(0.0)),
            Self::Silu => x * sigmoid(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// φ'(x), given φ(x) where [`keeps_output`](Activation::keeps_output), else x.
    #[must_use]
    #[inline]
    pub fn slope<T: Accum>(self, kept: T) -> T {
        let one = T::of(1.0);
        match self {
            Self::Gelu => {
                let density = T::of(0.398_942_280_401_432_7) * (T::of(-0.5) * kept * kept).exp();
                normal_cdf(kept) + kept * density
            }
            Self::GeluTanh => {
                let (half, t) = (T::of(0.5), inner(kept).tanh());
                let inner_slope = T::of(ROOT_2_PI) * (one + T::of(3.0 * CUBIC) * kept * kept);
                half * (one + t) + half * kept * (one - t * t) * inner_slope
            }
            Self::Relu => T::of(if kept > T::of(0.0) { 1.0 } else { 0.0 }),
            Self::Silu => {
                let s = sigmoid(kept);
                s * (one + kept * (one - s))
            }
            Self::Tanh => one - kept * kept,
        }
    }
}

/// √(2/π).
const ROOT_2_PI: f64 = 0.797_884_560_802_865_4;
/// The share of x³ in [`Activation::GeluTanh`].
const CUBIC: f64 = 0.044_715;

/// What [`Activation::GeluTanh`] takes the hyperbolic tangent of.
fn inner<T: Accum>(x: T) -> T {
    T::of(ROOT_2_PI) * (x + T::of(CUBIC) * x * x * x)
}

fn sigmoid<T: Accum>(x: T) -> T {
    let one = T::of(1.0);
    one / (one + (-x).exp())
}

fn normal_cdf<T: Accum>(x: T) -> T {
    T::of(0.5) * (T::of(1.0) + (x * T::of(core::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// The activation of a network as a type: where it is known at compile time, the others are left out
/// of the binary.
pub trait Phi: fmt::Debug {
    /// The only one; `None` where it is chosen at run time.
    const ONLY: Option<Activation>;
}

/// Any activation, chosen at run time.
#[derive(Clone, Copy, Debug)]
pub enum Chosen {}

impl Phi for Chosen {
    const ONLY: Option<Activation> = None;
}

/// max(x, 0).
#[derive(Clone, Copy, Debug)]
pub enum Relu {}

impl Phi for Relu {
    const ONLY: Option<Activation> = Some(Activation::Relu);
}

/// tanh x.
#[derive(Clone, Copy, Debug)]
pub enum Tanh {}

impl Phi for Tanh {
    const ONLY: Option<Activation> = Some(Activation::Tanh);
}

/// A device that can train a network of adapted layers: activations and losses.
pub trait Network: Backend {
    /// Y = φ(Y).
    ///
    /// # Errors
    /// Shape; device errors.
    fn activate(&mut self, f: Activation, y: MatMut<'_, Self, Act>) -> Result<(), Self::Error>;

    /// dY = dY⊙φ', from what forward kept: see [`Activation::slope`].
    ///
    /// # Errors
    /// Shape; device errors.
    fn activate_grad(
        &mut self,
        f: Activation,
        kept: Mat<'_, Self, Act>,
        dy: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// loss₀ = scale·Σₜ −ln softmax(Xₜ) at labelₜ, or the same added to loss₀; then X becomes its
    /// gradient, scale·(softmax(Xₜ) − onehot(labelₜ)).
    ///
    /// Row t of X `(n, classes)` has label t. Rows whose label is not a class (such as
    /// [`IGNORED`]) count as zero, in loss and gradient. The mean over n rows: scale = 1/n.
    ///
    /// # Errors
    /// Shape; device errors.
    fn softmax_cross_entropy(
        &mut self,
        scale: AccumOf<Self>,
        x: MatMut<'_, Self, Act>,
        labels: &Self::Buf<Index>,
        store: Store,
        loss: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// loss₀ = scale·Σ (X − T)², or the same added to loss₀; then X becomes its gradient,
    /// 2·scale·(X − T). The mean over n·k elements: scale = 1/(n·k).
    ///
    /// # Errors
    /// Shape; device errors.
    fn squared_error(
        &mut self,
        scale: AccumOf<Self>,
        x: MatMut<'_, Self, Act>,
        target: Mat<'_, Self, Act>,
        store: Store,
        loss: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;
}
