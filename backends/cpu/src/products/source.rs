//! Operands of a product: where their elements can be read in place, and how they are put side by
//! side.

use core::ops::Range;

use decora::f16;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::same_type;

/// How the k elements of a row lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// One after the other.
    Along,
    /// A stride apart, with those of the other rows beside them.
    Across,
    /// Neither, or not as sums are: they are put side by side first.
    Apart,
}

/// An operand as rows over k.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, A> {
    pub(super) at: Layout,
    pub(super) lie: Lie,
    /// The elements, where they are `A`; else empty.
    native: &'a [A],
    stored: &'a dyn Stored<A>,
}

/// Elements of any type.
pub(super) trait Stored<A> {
    /// Fills the panel with the elements of the matrix `at`: the first of all rows side by side,
    /// then the second, and so on.
    fn pack(&self, at: Layout, panel: &mut [A]);
}

impl<'a, A: Accum> Source<'a, A> {
    pub(super) fn new<E: Element>(at: Layout, stored: &'a &[E]) -> Self {
        let native = same_type::<A, E>().then(|| bytemuck::try_cast_slice(stored).ok()).flatten();
        let lie = match (at.rs, at.cs) {
            _ if native.is_none() => Lie::Apart,
            (stride, 1) if stride >= at.cols || at.rows == 1 => Lie::Along,
            (1, stride) if stride >= at.rows => Lie::Across,
            _ => Lie::Apart,
        };
        Self { at, lie, native: native.unwrap_or_default(), stored }
    }

    /// The same in `f32`, which `A` is.
    pub(super) fn f32<'f>(&self, stored: &'f Single<'a, A>) -> Source<'f, f32>
    where
        'a: 'f,
    {
        let native = bytemuck::try_cast_slice(self.native).unwrap_or_default();
        Source { at: self.at, lie: self.lie, native, stored }
    }

    pub(super) fn single(&self) -> Single<'a, A> {
        Single(self.stored)
    }

    /// Rows `first` to `first + rows` over `k`.
    fn part(&self, first: usize, rows: usize, k: &Range<usize>) -> Layout {
        let offset = self.at.offset + first * self.at.rs + k.start * self.at.cs;
        Layout { offset, rows, cols: k.len(), ..self.at }
    }

    /// The elements from `first` on; those of the next k lie a stride further.
    #[inline(always)]
    pub(super) fn from(&self, first: usize, k: &Range<usize>) -> &'a [A] {
        self.native.get(self.part(first, 1, k).offset..).unwrap_or_default()
    }

    /// `N` rows that lie along k.
    #[inline(always)]
    pub(super) fn along<const N: usize>(&self, first: usize, k: &Range<usize>) -> [&'a [A]; N] {
        let mut rest = self.from(first, k);
        let mut rows = [&rest[..0]; N];
        for row in &mut rows {
            *row = rest.get(..k.len()).unwrap_or_default();
            rest = rest.get(self.at.rs..).unwrap_or_default();
        }
        rows
    }

    /// Puts `N` rows from `first` on side by side.
    #[inline(always)]
    pub(super) fn pack<const N: usize>(
        &self,
        first: usize,
        k: &Range<usize>,
        panel: &mut [[A; N]],
    ) {
        self.stored.pack(self.part(first, N, k), panel.as_flattened_mut());
    }
}

/// What is stored, as `f32`.
pub(super) struct Single<'a, A>(&'a dyn Stored<A>);

impl<A: Accum> Stored<f32> for Single<'_, A> {
    fn pack(&self, at: Layout, panel: &mut [f32]) {
        // `A` is `f32`.
        if let Ok(panel) = bytemuck::try_cast_slice_mut(panel) {
            self.0.pack(at, panel);
        }
    }
}

impl<A: Accum, E: Element> Stored<A> for &[E] {
    fn pack(&self, at: Layout, panel: &mut [A]) {
        if same_type::<A, f32>() && same_type::<E, f16>() {
            let half = bytemuck::try_cast_slice(self).unwrap_or_default();
            return pack_half(half, at, bytemuck::try_cast_slice_mut(panel).unwrap_or_default());
        }
        let Layout { offset, rows, cols, rs, cs } = at;
        for (k, to) in panel.chunks_exact_mut(rows.max(1)).enumerate().take(cols) {
            let first = offset + k * cs;
            for (i, to) in to.iter_mut().enumerate() {
                *to = self.get(first + i * rs).map_or(A::default(), |e| e.load());
            }
        }
    }
}

/// The same for weights that are stored in half precision; compiled with this crate and once for all
/// programs, as [`super::single`] says.
#[inline(never)]
fn pack_half(from: &[f16], at: Layout, panel: &mut [f32]) {
    let Layout { offset, rows, cols, rs, cs } = at;
    let from = from.get(offset..).unwrap_or_default();
    for i in 0..rows {
        let to = panel.get_mut(i..).unwrap_or_default().iter_mut().step_by(rows);
        let row = from.get(i * rs..).unwrap_or_default().iter().step_by(cs.max(1));
        to.zip(row.take(cols)).for_each(|(to, e)| *to = e.load());
    }
}
