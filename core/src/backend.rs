//! The contract between the mathematics and a device.

pub use crate::dropout::Dropout;

use num_traits::One;

use crate::buffer::{Acc, Act, Buffer, Float, Role};
use crate::check;
use crate::error::{DeviceError, Shape};
use crate::frozen::Frozen;
use crate::mat::{Layout, Mat, MatMut};
use crate::scalar::{Accum, Scalar};

/// The type that sums, parameters and their gradients have on backend `B`.
pub type AccumOf<B> = <<B as Backend>::Scalar as Scalar>::Accum;

/// The element type of a buffer with role `R` on backend `B`.
pub type Elem<B, R> = <R as Role>::Of<<B as Backend>::Scalar>;

/// What happens to the old contents of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Store {
    /// They are kept, and the result is added.
    Add,
    /// They are overwritten, and never read: they may be NaN.
    Replace,
}

/// Which product with a frozen W `(out, in)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Side {
    /// a·W: `(n, out)` to `(n, in)`. The backward direction.
    Plain,
    /// a·Wᵀ: `(n, in)` to `(n, out)`. The forward direction.
    Transposed,
}

/// A frozen weight on a device.
pub trait Weight: core::fmt::Debug {
    /// `(rows, cols)` = `(out, in)`.
    fn shape(&self) -> Shape;
}

/// The coefficients of one AdamW update (Loshchilov & Hutter 2019, as in PyTorch).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep<T> {
    /// β₁.
    pub beta1: T,
    /// β₂.
    pub beta2: T,
    /// ε, added to the root.
    pub eps: T,
    /// What p is multiplied by first: 1 − lr·weight decay.
    pub decay: T,
    /// lr / (1 − β₁ᵗ).
    pub rate: T,
    /// 1 / √(1 − β₂ᵗ).
    pub root: T,
}

/// The coefficients of one SGD update (as in PyTorch, without dampening).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep<T> {
    /// lr.
    pub rate: T,
    /// μ, the share of the old momentum that is kept.
    pub momentum: T,
    /// What is added to the gradient for each unit of p: weight decay.
    pub decay: T,
}

/// Clipping by the global norm: gradients are multiplied by min(1, max / (√`sum_sq` + 1e-6)).
#[derive(Debug)]
pub struct Clip<'a, B: Backend> {
    /// The largest norm that is left alone.
    pub max: AccumOf<B>,
    /// One element: the sum of the squares of all gradients, still on the device.
    pub sum_sq: &'a B::Buf<Acc>,
}

/// A device that can train adapters on linear layers: everything below, and nothing else.
///
/// # For those who write a backend
/// - **A queue, described without the word.** An operation may finish late, as long as every later
///   one behaves as if each had finished in turn. Only [`read`](Backend::read) waits. No operation
///   answers "busy" or "unsupported".
/// - **Precision.** Every sum runs in [`Scalar::Accum`] or better; one rounding per stored element.
///   The order of summation is the backend's own, and the same from run to run.
/// - **[`Store::Replace`] never reads the output**, which may hold NaN.
/// - **Shapes** that do not fit are answered with an error made from
///   [`ShapeError`](crate::error::ShapeError), before anything is written.
/// - **Strides.** Only the products ([`gemm`](Backend::gemm), [`gemm_frozen`](Backend::gemm_frozen))
///   take any; elsewhere the columns of a matrix are adjacent (`cs` = 1).
/// - **Vectors** (`out` elements) are the first elements of a buffer, which may be longer.
/// - The suite in the crate `decora-conformance` decides whether all this holds.
///
/// # For those who use one
/// Letters: x `(n, in)` activations, W `(out, in)` frozen, m, n, g, q `(out)`.
pub trait Backend: Sized + core::fmt::Debug {
    /// What activations are made of.
    type Scalar: Scalar;
    /// Device memory.
    type Buf<R: Role>: Buffer;
    /// A frozen matrix, in the device's own format; may borrow the caller's memory for `'w`.
    type Weight<'w>: Weight;
    /// What can go wrong.
    type Error: DeviceError;

    /// `len` elements, all zero.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::error::ErrorKind::OutOfMemory), saying how much was asked for and
    /// how much is left.
    fn alloc<R: Role>(&mut self, len: usize) -> Result<Self::Buf<R>, Self::Error>;

    /// Copies `src` to the elements from `offset` on.
    ///
    /// # Errors
    /// Shape, when `src` reaches beyond the buffer; device errors.
    fn write<R: Role>(
        &mut self,
        dst: &mut Self::Buf<R>,
        offset: usize,
        src: &[Elem<Self, R>],
    ) -> Result<(), Self::Error>;

    /// Copies the elements from `offset` on to `dst`. The only operation that waits.
    ///
    /// # Errors
    /// Shape, when `dst` reaches beyond the buffer; device errors, also those of earlier operations.
    fn read<R: Role>(
        &mut self,
        src: &Self::Buf<R>,
        offset: usize,
        dst: &mut [Elem<Self, R>],
    ) -> Result<(), Self::Error>;

    /// Makes a frozen matrix readable by the device.
    ///
    /// # Errors
    /// Out of memory, where it has to be copied.
    fn weight<'w>(&mut self, w: Frozen<'w>) -> Result<Self::Weight<'w>, Self::Error>;

    /// C = α·A·B, or C += α·A·B. A `(m, k)`, B `(k, n)`, C `(m, n)`, any strides; k may be 0.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gemm<X: Float, Y: Float, Z: Float>(
        &mut self,
        alpha: AccumOf<Self>,
        a: Mat<'_, Self, X>,
        b: Mat<'_, Self, Y>,
        into: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), Self::Error>;

    /// C = α·A·Wᵀ or α·A·W, by `side`, or the same added to C.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gemm_frozen<X: Float, Z: Float>(
        &mut self,
        alpha: AccumOf<Self>,
        a: Mat<'_, Self, X>,
        w: &Self::Weight<'_>,
        side: Side,
        into: Store,
        c: MatMut<'_, Self, Z>,
    ) -> Result<(), Self::Error>;

    /// C = A·Wᵀ + s·P·Q or A·W + s·P·Q, by `side`, or the same added to C: a frozen layer and its
    /// low-rank update at once. By default one after the other, with C rounded between.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gemm_adapted<X: Float, Z: Float>(
        &mut self,
        a: Mat<'_, Self, X>,
        (w, side): (&Self::Weight<'_>, Side),
        (s, p, q): (AccumOf<Self>, Mat<'_, Self, Acc>, Mat<'_, Self, Acc>),
        into: Store,
        mut c: MatMut<'_, Self, Z>,
    ) -> Result<(), Self::Error> {
        check::gemm_frozen(a.at, w.shape(), side, c.at)?;
        check::gemm(p.at, q.at, c.at)?;
        self.gemm_frozen(AccumOf::<Self>::one(), a, w, side, into, c.reborrow())?;
        self.gemm(s, p, q, Store::Add, c)
    }

    /// Cᵢ = W₍first+i₎: the rows of C from those of W.
    ///
    /// # Errors
    /// Shape; device errors.
    fn frozen_rows(
        &mut self,
        w: &Self::Weight<'_>,
        first: usize,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), Self::Error>;

    /// sqᵢ = Σⱼ Wᵢⱼ², the squared norms of the rows of W.
    ///
    /// # Errors
    /// Shape; device errors.
    fn frozen_row_sq(
        &mut self,
        w: &Self::Weight<'_>,
        sq: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// Y = α·X, or Y += α·X; same shapes.
    ///
    /// # Errors
    /// Shape; device errors.
    fn axpy<X: Float, Y: Float>(
        &mut self,
        alpha: AccumOf<Self>,
        x: Mat<'_, Self, X>,
        into: Store,
        y: MatMut<'_, Self, Y>,
    ) -> Result<(), Self::Error>;

    /// Y = mask⊙X/(1 − p), or the same added to Y. See [`Dropout`].
    ///
    /// # Errors
    /// Shape; device errors.
    fn dropout(
        &mut self,
        drop: Dropout,
        x: Mat<'_, Self, Act>,
        into: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// C = diag(d)·C: row i times dᵢ. C `(m, n)`, d `(m, 1)`.
    ///
    /// # Errors
    /// Shape; device errors.
    fn scale_rows(
        &mut self,
        d: Mat<'_, Self, Acc>,
        c: MatMut<'_, Self, Acc>,
    ) -> Result<(), Self::Error>;

    /// outᵢ = α·Σₖ Aᵢₖ·Bᵢₖ, or the same added to outᵢ.
    ///
    /// # Errors
    /// Shape; device errors.
    fn row_dot(
        &mut self,
        alpha: AccumOf<Self>,
        a: Mat<'_, Self, Acc>,
        b: Mat<'_, Self, Acc>,
        into: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// sqᵢ = base_sqᵢ + 2s·Σₖ Bᵢₖ·Tᵢₖ, with T = U + s/2·B·G: the squared norms of the rows of
    /// W + s·B·A, from those of W, U = W·Aᵀ and G = A·Aᵀ. B, U and T `(out, r)`, G `(r, r)` and
    /// symmetric; what T holds afterwards is the device's own business.
    ///
    /// The body is the definition, in four operations; a device may do it in one.
    ///
    /// # Errors
    /// Shape; device errors.
    #[expect(clippy::too_many_arguments, reason = "one argument for each letter of the formula")]
    fn low_rank_row_sq(
        &mut self,
        s: AccumOf<Self>,
        base_sq: &Self::Buf<Acc>,
        b: Mat<'_, Self, Acc>,
        u: Mat<'_, Self, Acc>,
        gram: Mat<'_, Self, Acc>,
        mut t: MatMut<'_, Self, Acc>,
        sq: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error> {
        check::low_rank_row_sq(base_sq.len(), b.at, u.at, gram.at, t.at, sq.len())?;
        let (one, row) = (AccumOf::<Self>::whole(1), Layout::row_major(0, 1, b.at.rows));
        self.axpy(one, u, Store::Replace, t.reborrow())?;
        self.gemm(s / (one + one), b, gram, Store::Add, t.reborrow())?;
        let (from, to) = (Mat { buf: base_sq, at: row }, MatMut { buf: &mut *sq, at: row });
        self.axpy(one, from, Store::Replace, to)?;
        self.row_dot(s + s, b, t.view(), Store::Add, sq)
    }

    /// Y = g⊙Z + b by columns, or the same added to Y. Without g, g = 1; without b, b = 0.
    /// Z and Y `(n, out)`.
    ///
    /// # Errors
    /// Shape; device errors.
    fn affine(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: Option<&Self::Buf<Acc>>,
        b: Option<&Self::Buf<Acc>>,
        into: Store,
        y: MatMut<'_, Self, Act>,
    ) -> Result<(), Self::Error>;

    /// The backward of [`affine`](Backend::affine) with respect to Z and g, in one pass:
    /// qⱼ = Σₜ dYₜⱼ·Zₜⱼ, then dY becomes dZ = g⊙dY.
    ///
    /// # Errors
    /// Shape; device errors.
    fn affine_grad(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: &Self::Buf<Acc>,
        dy: MatMut<'_, Self, Act>,
        q: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// sⱼ = Σₜ Xₜⱼ, or the same added to sⱼ: the gradient of a bias.
    ///
    /// # Errors
    /// Shape; device errors.
    fn col_sum(
        &mut self,
        x: Mat<'_, Self, Act>,
        into: Store,
        s: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// n = √max(sq, 0) and g = m/n, row by row (DoRA eq. 5, Liu et al. 2024). There are as many rows
    /// as `base_sq` has elements.
    ///
    /// A row that is zero in W (`base_sq` = 0) has no direction to decompose: it gets g = 1, and m
    /// follows n, so that it acts as in LoRA. A row with n = 0 gets g = 1, and keeps its m.
    ///
    /// # Errors
    /// Shape; device errors.
    fn gain(
        &mut self,
        base_sq: &Self::Buf<Acc>,
        sq: &Self::Buf<Acc>,
        m: &mut Self::Buf<Acc>,
        n: &mut Self::Buf<Acc>,
        g: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// dm = q/n, or the same added to dm, and c = −g·q/n²: the gradient of m, and what the exact
    /// gradient of the norm multiplies the rows of V by. Both are 0 where `base_sq` or n is 0. There
    /// are as many rows as `base_sq` has elements.
    ///
    /// # Errors
    /// Shape; device errors.
    #[expect(clippy::too_many_arguments, reason = "one argument for each letter of the formula")]
    fn gain_grad(
        &mut self,
        base_sq: &Self::Buf<Acc>,
        n: &Self::Buf<Acc>,
        g: &Self::Buf<Acc>,
        q: &Self::Buf<Acc>,
        into: Store,
        dm: &mut Self::Buf<Acc>,
        c: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// out₀ = Σ x², or the same added to out₀.
    ///
    /// # Errors
    /// Shape; device errors.
    fn sum_sq(
        &mut self,
        x: &Self::Buf<Acc>,
        into: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// With ĝ the clipped gradient: p ← decay·p; m ← β₁m + (1−β₁)ĝ; v ← β₂v + (1−β₂)ĝ²;
    /// p ← p − rate·m/(root·√v + ε).
    ///
    /// # Errors
    /// Shape, when the four differ in length; device errors.
    fn adamw(
        &mut self,
        step: AdamWStep<AccumOf<Self>>,
        clip: Option<Clip<'_, Self>>,
        grad: &Self::Buf<Acc>,
        p: &mut Self::Buf<Acc>,
        m: &mut Self::Buf<Acc>,
        v: &mut Self::Buf<Acc>,
    ) -> Result<(), Self::Error>;

    /// With ĝ the clipped gradient plus decay·p: u ← μu + ĝ; p ← p − rate·u. Without u: u = ĝ.
    ///
    /// # Errors
    /// Shape, when the lengths differ; device errors.
    fn sgd(
        &mut self,
        step: SgdStep<AccumOf<Self>>,
        clip: Option<Clip<'_, Self>>,
        grad: &Self::Buf<Acc>,
        p: &mut Self::Buf<Acc>,
        u: Option<&mut Self::Buf<Acc>>,
    ) -> Result<(), Self::Error>;
}
