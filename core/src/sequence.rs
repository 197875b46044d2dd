//! What networks over sequences of tokens need of a device beyond [`Network`].

use crate::backend::{Backend, Store};
use crate::buffer::{Acc, Act, Index};
use crate::mat::{Mat, MatMut};
use crate::network::{Activation, Network};

/// How the rows of a matrix are normalised before γ and β act on them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Norm {
    /// What is taken out of a row.
    pub kind: NormKind,
    /// ε, added to the mean square.
    pub eps: f64,
}

/// What a normalisation takes out of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NormKind {
    /// Mean and variance: x̂ = (x − mean x)/√(var x + ε) (layer normalisation, Ba et al. 2016).
    Layer,
    /// The root mean square: x̂ = x/√(mean x² + ε) (Zhang & Sennrich 2019).
    Rms,
}

/// Which way [`Sequence::rotate`] turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Turn {
    /// By the angle: forward.
    Ahead,
    /// By the angle backwards: the gradient of the other, and its inverse.
    Back,
}

/// The shape of an attention: `heads` queries share `kv_heads` keys and values, each of `dim` numbers
/// (grouped queries, Ainslie et al. 2023). Head h of a query sees head ⌊h·kv_heads/heads⌋ of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Heads {
    /// Heads of a query; a multiple of `kv_heads`.
    pub heads: usize,
    /// Heads of a key, and of a value.
    pub kv_heads: usize,
    /// Numbers in a head.
    pub dim: usize,
    /// What scores are multiplied by, usually 1/√dim.
    pub scale: f64,
}

impl Heads {
    /// Columns of Q and of the output: `heads`·`dim`.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.heads * self.dim
    }

    /// Columns of K and of V: `kv_heads`·`dim`.
    #[must_use]
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.dim
    }
}

/// The operands of an attention. Row t of Q `(n, heads·dim)` sees rows startₜ to endₜ (without endₜ) of
/// K and V `(keys, kv_heads·dim)`; `spans` holds start₀, end₀, start₁, end₁, ….
///
/// Neither starts nor ends may decrease from row to row. Causal masks, sliding windows, packed
/// sequences, padding and caches of earlier keys are all spans.
#[derive(Debug)]
pub struct Attention<'a, B: Backend> {
    /// Heads.
    pub heads: Heads,
    /// Q.
    pub q: Mat<'a, B, Act>,
    /// K.
    pub k: Mat<'a, B, Act>,
    /// V.
    pub v: Mat<'a, B, Act>,
    /// Two numbers for each row of Q. An end beyond the last key is the last key's.
    pub spans: &'a B::Buf<Index>,
}

impl<B: Backend> Clone for Attention<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for Attention<'_, B> {}

/// Where the gradients of an attention go, each of the shape of what it is the gradient of.
#[derive(Debug)]
pub struct AttentionGrad<'a, B: Backend> {
    /// dQ.
    pub dq: MatMut<'a, B, Act>,
    /// dK.
    pub dk: MatMut<'a, B, Act>,
    /// dV.
    pub dv: MatMut<'a, B, Act>,
}

/// A device that can train transformers: embeddings, normalisations, rotary positions, gates and
/// attention. Rules and letters are those of [`Backend`].
///
/// Token numbers come from the host, which checks them. To a device a number that is no row is no
/// error: it counts as a row of zeros.
pub trait Sequence: Network {
    /// Yₜ = W₍idₜ₎, or the same added to Yₜ: an embedding. Y `(n, in)`.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gather(
        &mut self,
        w: &Self::Weight<'_>,
        ids: &Self::Buf<Index>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// As [`gather`](Sequence::gather), from a table that is trained, `(rows, in)`.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gather_rows(
        &mut self,
        table: Mat<'_, Self, Acc>,
        ids: &Self::Buf<Index>,
        store: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// The gradient of [`gather_rows`](Sequence::gather_rows): dTableᵢ = Σ dYₜ over all t with
    /// idₜ = i, or the same added to dTable. In the order of t.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gather_grad(
        &mut self,
        dy: Mat<'_, Self, Act>,
        ids: &Self::Buf<Index>,
        store: Store,
        dtable: MatMut<'_, Self, Acc>,
    ) -> Result<(), Self::Error>;

    /// Y = γ⊙X̂ + β, row by row; see [`NormKind`] for x̂. Without β, β = 0. X and Y `(n, k)`.
    ///
    /// # Errors
    /// Shape; device errors.
    fn normalize(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &Self::Buf<Acc>,
        beta: Option<&Self::Buf<Acc>>,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// The gradient of [`normalize`](Sequence::normalize) with respect to X, or the same added to dX:
    /// with u = γ⊙dy and r = 1/√(mean square + ε), dx = r·(u − x̂·mean(u⊙x̂)), for
    /// [`NormKind::Layer`] less its mean: dx = r·(u − mean u − x̂·mean(u⊙x̂)).
    ///
    /// # Errors
    /// Shape; device errors.
    fn normalize_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        gamma: &Self::Buf<Acc>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dx: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// The gradient of [`normalize`](Sequence::normalize) with respect to γ, dγⱼ = Σₜ dYₜⱼ·X̂ₜⱼ, or the
    /// same added to dγ. That of β is [`col_sum`](Backend::col_sum).
    ///
    /// # Errors
    /// Shape; device errors.
    fn normalize_gain_grad(
        &mut self,
        norm: Norm,
        x: Mat<'_, Self, Act>,
        dy: Mat<'_, Self, Act>,
        store: Store,
        dgamma: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// Turns each head of each row of X `(n, heads·dim)` by its position: rotary embeddings (Su et al.
    /// 2021) with halves as pairs, as in Hugging Face transformers. Row p of the table `(positions, dim)`
    /// holds cos θ of the dim/2 pairs, then sin θ; row t of X is turned by row positionₜ:
    ///
    /// xⱼ ← xⱼ·cos θⱼ − xⱼ₊ₕ·sin θⱼ, xⱼ₊ₕ ← xⱼ₊ₕ·cos θⱼ + xⱼ·sin θⱼ, h = dim/2.
    ///
    /// A position that is no row of the table turns nothing.
    ///
    /// # Errors
    /// Shape; device errors.
    fn rotate(
        &mut self,
        turn: Turn,
        table: Mat<'_, Self, Acc>,
        positions: &Self::Buf<Index>,
        x: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// Y = φ(G)⊙U (gated linear units, Shazeer 2020). Same shapes.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gate(
        &mut self,
        f: Activation,
        g: Mat<'_, Self, Act>,
        u: Mat<'_, Self, Act>,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// The gradient of [`gate`](Sequence::gate), in place: G becomes dG = dY⊙U⊙φ'(G), U becomes
    /// dU = dY⊙φ(G). φ is given its input, also where [`Activation::keeps_output`].
    ///
    /// # Errors
    /// Shape; device errors.
    fn gate_grad(
        &mut self,
        f: Activation,
        dy: Mat<'_, Self, Act>,
        g: MatMut<'_, Self, Act>,
        u: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// O = softmax(scale·Q·Kᵀ)·V, head by head, over the keys that each query sees (Vaswani et al.
    /// 2017). Scores are never whole in memory: O(n·heads), not O(n·keys) (Dao et al. 2022).
    ///
    /// `lse` `(n·heads)` gets ln Σ exp(score) of each row and head, for backward. A query that sees
    /// nothing gets O = 0 and lse = 0.
    ///
    /// # Errors
    /// Shape; device errors.
    fn attention(
        &mut self,
        of: Attention<'_, Self>,
        o: MatMut<'_, Self, Act>,
        lse: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// The gradient of [`attention`](Sequence::attention). With P = exp(scale·Q·Kᵀ − lse) and
    /// Dₜ = Σ dOₜ⊙Oₜ: dV = Pᵀ·dO, dS = P⊙(dO·Vᵀ − D), dQ = scale·dS·K, dK = scale·dSᵀ·Q; dK and dV
    /// summed over the heads that share them. Overwrites all three; `dots` `(n·heads)` is scratch for D.
    /// dS of a query that sees one key is exactly 0, not what rounding leaves: an optimiser that divides
    /// by the size of gradients would make steps of it.
    ///
    /// # Errors
    /// Shape; device errors.
    fn attention_grad(
        &mut self,
        of: Attention<'_, Self>,
        o: Mat<'_, Self, Act>,
        lse: &Self::Buf<Acc>,
        d_o: Mat<'_, Self, Act>,
        dots: &mut Self::Buf<Acc>,
        grad: AttentionGrad<'_, Self>,
    ) -> Result<(), Self::Error>;
}
