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

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};

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

/// A way to compute products.
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
}

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
