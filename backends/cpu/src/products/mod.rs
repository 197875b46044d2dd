//! C = α·A·B: the portable kernels.
//!
//! Every element of C is one sum over k, from the first to the last, in one accumulator, without
//! fused multiply-add: whatever the tiling, the bits are the same on every machine.

mod single;
mod source;
mod sums;
mod target;
mod tiles;

use core::any::TypeId;
use core::ops::Range;

use decora::backend::{AdamWStep, Store};
use decora::mat::Layout;
use decora::scalar::{Accum, Element, Scalar};

use crate::kernels::adamw::adamw;
use crate::kernels::affine::affine_grad;
use crate::kernels::attention::{Attend, Backward, attention};
use crate::kernels::gate::{gate, gate_grad};
use crate::kernels::low_rank_row_sq::{Update, low_rank_row_sq};
use crate::kernels::normalize::{normalize, normalize_grad};
use crate::kernels::softmax_cross_entropy::softmax_cross_entropy;
use crate::kernels::sum_sq::sum_sq;
use decora::network::Activation;
use decora::sequence::Norm;

use source::Source;
use target::Target;

/// A matrix to read: elements and where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, E> {
    /// The whole buffer.
    pub data: &'a [E],
    /// Where the matrix lies in it.
    pub at: Layout,
}

impl<'a, E: Element> Operand<'a, E> {
    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { at: self.at.t(), ..self }
    }

    /// Some of its rows.
    pub(crate) fn rows(self, rows: Range<usize>) -> Self {
        Self { at: self.at.rows_from(rows.start, rows.len()), ..self }
    }

    /// The same matrix, where its elements are `A`.
    #[cfg(feature = "std")]
    pub(crate) fn native<A: Element>(self) -> Option<Operand<'a, A>> {
        let same = same_type::<A, E>();
        let data = same.then(|| bytemuck::try_cast_slice(self.data).ok()).flatten()?;
        Some(Operand { data, at: self.at })
    }
}

pub(crate) fn same_type<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// A way to compute products, and what else can be computed faster than by the portable kernels,
/// which are the default.
pub trait Products: 'static {
    /// Its name in reports.
    const NAME: &'static str;

    /// C = α·A·B, or C += α·A·B, with sums in `A`. A `(m, k)`, B `(k, n)`, C `(m, n)` at `at` in
    /// `c`: shapes fit, and every element lies in its buffer.
    fn product<A: Accum, X: Element, Y: Element, Z: Element>(
        alpha: A,
        a: Operand<'_, X>,
        b: Operand<'_, Y>,
        store: Store,
        c: &mut [Z],
        at: Layout,
    );

    /// C = A·B + s·P·Q, or the same added to C.
    fn adapted<A: Accum, X: Element, Y: Element, Z: Element>(
        a: Operand<'_, X>,
        b: Operand<'_, Y>,
        (s, p, q): (A, Operand<'_, A>, Operand<'_, A>),
        store: Store,
        c: &mut [Z],
        at: Layout,
    ) {
        Self::product(A::of(1.0), a, b, store, c, at);
        Self::product(s, p, q, Store::Add, c, at);
    }

    /// Calls `f` for all rows of a matrix to write, some at a time, in any order: which rows, and where
    /// they lie.
    fn bands<E: Element>((y, at): Place<'_, E>, f: impl Fn(Range<usize>, Place<'_, E>) + Sync) {
        f(0..at.rows, (y, at));
    }

    /// p, m and v of one AdamW update.
    fn adamw<A: Accum>(step: AdamWStep<A>, clip: A, grad: &[A], [p, m, v]: [&mut [A]; 3]) {
        adamw(step, clip, grad, p, m, v);
    }

    /// Σ x², or the same added to out₀.
    fn sum_sq<A: Accum>(x: &[A], store: Store, out: &mut [A]) {
        sum_sq(x, store, out);
    }

    /// Squared norms of the rows of W + s·B·A.
    fn low_rank_row_sq<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
        low_rank_row_sq(of, sq);
    }

    /// q, and dY in place.
    fn affine_grad<T: Scalar>(
        z: Operand<'_, T::Accum>,
        g: &[T::Accum],
        (dy, at): Place<'_, T>,
        q: &mut [T::Accum],
    ) {
        affine_grad(z, g, dy, at, q);
    }

    /// Y = φ(G)⊙U.
    fn gate<T: Scalar>(f: Activation, g: Operand<'_, T>, u: Operand<'_, T>, (y, at): Place<'_, T>) {
        gate(f, g, u, y, at);
    }

    /// The gradient of [`gate`](Products::gate), in place of G and U.
    fn gate_grad<T: Scalar>(f: Activation, dy: Operand<'_, T>, g: Place<'_, T>, u: Place<'_, T>) {
        gate_grad(f, dy, g, u);
    }

    /// Y = γ⊙X̂ + β.
    fn normalize<T: Scalar>(
        norm: Norm,
        x: Operand<'_, T>,
        gamma: &[T::Accum],
        beta: Option<&[T::Accum]>,
        (y, at): Place<'_, T>,
    ) {
        normalize(norm, x, gamma, beta, y, at);
    }

    /// dX, or the same added to it.
    fn normalize_grad<T: Scalar>(
        norm: Norm,
        x: Operand<'_, T>,
        gamma: &[T::Accum],
        dy: Operand<'_, T>,
        store: Store,
        (dx, at): Place<'_, T>,
    ) {
        normalize_grad(norm, x, gamma, dy, store, dx, at);
    }

    /// The loss; X becomes its gradient.
    fn softmax_cross_entropy<T: Scalar>(
        scale: T::Accum,
        (x, at): Place<'_, T>,
        labels: &[u32],
    ) -> T::Accum {
        softmax_cross_entropy(scale, x, at, labels)
    }

    /// O = softmax(scale·Q·Kᵀ)·V, and ln Σ exp(score).
    fn attention<T: Scalar>(of: Attend<'_, T>, o: &mut [T], at: Layout, lse: &mut [T::Accum]) {
        attention(of, o, at, lse);
    }

    /// The gradients dQ, dK and dV of an attention, each with where it lies.
    fn attention_grad<T: Scalar>(
        of: &Backward<'_, T>,
        dots: &mut [T::Accum],
        grads: [Place<'_, T>; 3],
    ) {
        let [(dq, dq_at), dk, dv] = grads;
        of.dots(dots);
        of.queries(dots, dq, dq_at);
        of.keys(dots, dk, dv);
    }
}

/// A matrix to write: elements, and where they lie.
pub type Place<'a, E> = (&'a mut [E], Layout);

/// The portable kernels: bit-identical on every machine, without heap or threads.
#[derive(Clone, Copy, Debug)]
pub enum Portable {}

impl Products for Portable {
    const NAME: &'static str = "portable";

    fn product<A: Accum, X: Element, Y: Element, Z: Element>(
        alpha: A,
        a: Operand<'_, X>,
        b: Operand<'_, Y>,
        store: Store,
        c: &mut [Z],
        at: Layout,
    ) {
        let (a, b) = (Source::new(a.at, &a.data), Source::new(b.at.t(), &b.data));
        single::product(a, b, Target { alpha, store, c, at });
    }
}
