//! How a layer is adapted: the method as a value, and the memory it takes.

use crate::error::Error;
use crate::scalar::{Accum, Scalar, below, finite, is_zero};

/// How the norm n enters the gradient of the direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NormGradient {
    /// n is a constant in backward: the reference behaviour (DoRA §4.3, eq. 11; PEFT).
    #[default]
    Detached,
    /// The full gradient (DoRA eq. 6): orthogonal to each row of V.
    Exact,
}

/// How V, the matrix whose rows give the directions, follows from the frozen W.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Update {
    /// V starts as W and is trained as a whole.
    Dense,
    /// V = W + s·B·A, B and A of this rank.
    LowRank {
        /// r, at least 1. More than min(out, in) is of no use, but computed all the same, as in PEFT.
        rank: usize,
    },
    /// V = W.
    None,
}

/// How one linear layer is adapted. The usual methods have constructors of their own names;
/// whatever else the fields allow is as valid.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Spec {
    /// How the direction is trained.
    pub update: Update,
    /// Whether each row has a trained magnitude m: y = (m/‖V‖)⊙(x·Vᵀ) + b.
    pub magnitude: bool,
    /// Whether the bias is trained.
    pub bias: bool,
    /// α: the update is scaled by s = α/r.
    pub alpha: f64,
    /// s = α/√r instead (rsLoRA, Kalajdzievski 2023).
    pub rslora: bool,
    /// The probability that the adapter does not see an input element in training.
    pub dropout: f64,
    /// How the norm enters the gradient, with a magnitude.
    pub norm_gradient: NormGradient,
    /// Whether A stays as it was drawn (LoRA-FA, Zhang et al. 2023): no gradient, no moments, and
    /// under a magnitude W·Aᵀ and A·Aᵀ are computed once, so that the norm costs out·r² a step.
    pub frozen_a: bool,
}

impl Spec {
    /// Nothing is trained.
    #[must_use]
    pub const fn frozen() -> Self {
        Self {
            update: Update::None,
            magnitude: false,
            bias: false,
            alpha: 1.0,
            rslora: false,
            dropout: 0.0,
            norm_gradient: NormGradient::Detached,
            frozen_a: false,
        }
    }

    /// The same with A as it was drawn.
    #[must_use]
    pub const fn with_frozen_a(self) -> Self {
        Self { frozen_a: true, ..self }
    }

    /// LoRA (Hu et al. 2021): y = x·Wᵀ + s(x·Aᵀ)Bᵀ + b.
    #[must_use]
    pub const fn lora(rank: usize, alpha: f64) -> Self {
        Self { update: Update::LowRank { rank }, alpha, ..Self::frozen() }
    }

    /// DoRA (Liu et al. 2024): y = (m/‖W + sBA‖)⊙(x·Wᵀ + s(x·Aᵀ)Bᵀ) + b.
    #[must_use]
    pub const fn dora(rank: usize, alpha: f64) -> Self {
        Self { magnitude: true, ..Self::lora(rank, alpha) }
    }

    /// Only the magnitudes are trained: y = (m/‖W‖)⊙(x·Wᵀ) + b (DoRA Table 6).
    #[must_use]
    pub const fn magnitude_only() -> Self {
        Self { magnitude: true, ..Self::frozen() }
    }

    /// Full fine-tuning: every weight and the bias.
    #[must_use]
    pub const fn full() -> Self {
        Self { update: Update::Dense, bias: true, ..Self::frozen() }
    }

    /// The bias alone (`BitFit`, Ben Zaken et al. 2022).
    #[must_use]
    pub const fn bitfit() -> Self {
        Self { bias: true, ..Self::frozen() }
    }

    /// The rank of the update: 0 when it is not of low rank.
    #[must_use]
    pub const fn rank(&self) -> usize {
        match self.update {
            Update::LowRank { rank } => rank,
            _ => 0,
        }
    }

    /// Whether it has neither dropout nor the exact gradient of the norm.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        is_zero(self.dropout) && matches!(self.norm_gradient, NormGradient::Detached)
    }

    /// s = α/r, or α/√r.
    #[must_use]
    pub fn scale<A: Accum>(&self) -> A {
        let r = A::whole(self.rank().max(1) as u32);
        A::of(self.alpha) / if self.rslora { r.sqrt() } else { r }
    }

    /// `Ok` when this can adapt a layer.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a rank of 0, an infinite α, or dropout outside 0 ≤ p < 1.
    pub fn check<E>(&self) -> Result<(), Error<E>> {
        if self.update == (Update::LowRank { rank: 0 }) {
            return Err(Error::out_of_range("rank", 0.0, "1 or more"));
        }
        if !finite(self.alpha) {
            let expected = "a finite number";
            return Err(Error::out_of_range("alpha", self.alpha, expected));
        }
        if !below(self.dropout, 1.0) {
            let expected = "0 or more, and less than 1";
            return Err(Error::out_of_range("dropout", self.dropout, expected));
        }
        Ok(())
    }

    /// How many numbers are trained on a layer `(out, inputs)`; `bias` says if it has one.
    #[must_use]
    pub const fn trained(&self, out: usize, inputs: usize, bias: bool) -> usize {
        let direction = match self.update {
            Update::Dense => out * inputs,
            Update::LowRank { rank } => rank * (out + if self.frozen_a { 0 } else { inputs }),
            Update::None => 0,
        };
        direction + if self.magnitude { out } else { 0 } + if self.bias && bias { out } else { 0 }
    }

    /// How many numbers belong to the adapter of a layer with so many inputs, and are saved with it,
    /// but are not trained: a frozen A.
    #[must_use]
    pub const fn constant(&self, inputs: usize) -> usize {
        if self.frozen_a { self.rank() * inputs } else { 0 }
    }
}

/// Words that `len` activations of type `S` take in an arena of [`Scalar::Accum`].
#[must_use]
pub const fn act_words<S: Scalar>(len: usize) -> usize {
    (len * size_of::<S>()).div_ceil(size_of::<S::Accum>())
}

/// Words that `len` labels take in an arena of [`Scalar::Accum`].
#[must_use]
pub const fn index_words<S: Scalar>(len: usize) -> usize {
    (len * size_of::<u32>()).div_ceil(size_of::<S::Accum>())
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// One linear layer and its adapter, as sizes: how much memory they take, known at compile time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Rows of W.
    pub out: usize,
    /// Columns of W.
    pub inputs: usize,
    /// Whether the layer has a bias.
    pub bias: bool,
    /// The most rows of x in one pass.
    pub rows: usize,
    /// How it is adapted.
    pub spec: Spec,
    /// Moments the optimiser keeps for each trained number: AdamW 2, SGD with momentum 1, else 0.
    pub moments: usize,
}

impl Plan {
    /// Words of a [`Linear`](crate::linear::Linear): its bias. The weight itself stays where it is.
    #[must_use]
    pub const fn linear_words(&self) -> usize {
        if self.bias { self.out } else { 0 }
    }

    /// Words of an [`Adapter`](crate::adapter::Adapter): values, gradients and moments of what is
    /// trained, the norms, and the activations saved for backward.
    #[must_use]
    pub const fn adapter_words(&self) -> usize {
        let (out, rank) = (self.out, self.spec.rank());
        let trained = self.spec.trained(out, self.inputs, self.bias) * (2 + self.moments);
        let saved = self.spec.constant(self.inputs) + self.rows * rank;
        if !self.spec.magnitude {
            return trained + saved;
        }
        trained + saved + self.rows * out + 3 * out + rank * (out + rank)
    }

    /// Whether nothing of the layer is trained.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.spec.trained(self.out, self.inputs, self.bias) == 0
    }

    /// What this layer needs in the [`Workspace`](crate::workspace::Workspace).
    #[must_use]
    pub const fn needs(&self) -> Needs {
        let (out, rank, spec) = (self.out, self.spec.rank(), self.spec);
        let exact = spec.magnitude && matches!(spec.norm_gradient, NormGradient::Exact);
        let dense = matches!(spec.update, Update::Dense);
        Needs {
            z: if spec.magnitude { 0 } else { self.rows * out },
            tall: if exact && dense {
                out * self.inputs
            } else if spec.magnitude {
                out * rank
            } else {
                0
            },
            low: max(self.rows * rank, if exact { rank * rank } else { 0 }),
            rows: if spec.magnitude { out } else { 0 },
            dropped: if !is_zero(spec.dropout) { self.rows * self.inputs } else { 0 },
        }
    }
}

/// Lengths of the scratch that layers share: the largest that any of them needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// x·Vᵀ before g and b, where it need not be kept: rows·out.
    pub z: usize,
    /// A matrix of the shape of B: out·r.
    pub tall: usize,
    /// A matrix of the shape of x·Aᵀ: rows·r.
    pub low: usize,
    /// Two vectors with an element for each row of W.
    pub rows: usize,
    /// Two matrices of the shape of x, with dropout.
    pub dropped: usize,
}

impl Needs {
    /// Enough for either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            z: max(self.z, other.z),
            tall: max(self.tall, other.tall),
            low: max(self.low, other.low),
            rows: max(self.rows, other.rows),
            dropped: max(self.dropped, other.dropped),
        }
    }

    /// Words of a workspace of these lengths.
    #[must_use]
    pub const fn words<S: Scalar>(&self) -> usize {
        self.z + self.tall + self.low + 2 * self.rows + 2 * act_words::<S>(self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type R = Result<(), Error<crate::error::ShapeError>>;

    #[test]
    fn a_rank_of_0_is_refused() {
        let check = |r| -> R { Spec::dora(r, 1.0).check() };
        assert_eq!(check(0), Err(Error::out_of_range("rank", 0.0, "1 or more")));
        assert_eq!((check(1), check(5)), (Ok(()), Ok(())));
    }

    #[test]
    #[cfg(feature = "details")]
    fn settings_out_of_range_are_named() {
        let drop = Spec { dropout: 1.0, ..Spec::dora(1, 1.0) };
        let r: R = drop.check();
        assert!(matches!(r, Err(Error::OutOfRange { what, .. }) if what == "dropout"));
        let r: R = Spec::lora(1, f64::NAN).check();
        assert!(matches!(r, Err(Error::OutOfRange { what, .. }) if what == "alpha"));
    }

    #[test]
    fn the_scale_is_alpha_over_r_or_its_root() {
        assert_eq!(Spec::dora(4, 8.0).scale::<f64>(), 2.0);
        assert_eq!(Spec { rslora: true, ..Spec::lora(4, 8.0) }.scale::<f64>(), 4.0);
    }

    #[test]
    fn a_frozen_a_is_kept_but_not_trained() {
        let spec = Spec::dora(4, 8.0).with_frozen_a();
        assert_eq!((spec.trained(64, 32, false), spec.constant(32)), (4 * 64 + 64, 4 * 32));
        assert_eq!((Spec::dora(4, 8.0).constant(32), Spec::full().constant(32)), (0, 0));
    }

    #[test]
    fn parameter_counts_of_the_dora_paper() {
        let count = |out, inputs| Spec::dora(32, 64.0).trained(out, inputs, false);
        let attention = 3 * count(4096, 4096);
        let mlp = count(11008, 4096) + count(4096, 11008);
        assert_eq!(32 * (attention + mlp), 56_098_816 + 876_544, "LLaMA-7B, q k v up down, r = 32");
    }
}
