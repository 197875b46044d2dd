//! One tile of C: sums in registers, then in their place.

use core::ops::Range;

use decora::backend::Store;
use decora::scalar::Element;
use pulp::{Simd, WithSimd};

use super::kernel::{Rows, Tile, filling};
use super::lane::Lane;
use super::part::{Place, Term};
use crate::products::same_type;

/// A tile of `M` rows and `N` vectors. A function of its own, whose sums are in registers whatever is
/// around it.
pub(super) struct Of<'a, 'c, const M: usize, const N: usize, T, Z> {
    pub(super) terms: &'a [Term<'a, T>],
    /// Its first row, and the first column of its part.
    pub(super) row: usize,
    pub(super) col: usize,
    pub(super) place: Place,
    /// The lines of each term, one term after the other.
    pub(super) panel: &'a mut [T],
    pub(super) lines: &'a mut [&'c mut [Z]],
    /// Its columns, counted from the first of the part.
    pub(super) cols: Range<usize>,
    pub(super) store: Store,
}

impl<'a, 'c, const M: usize, const N: usize, T: Lane, Z: Element> Of<'a, 'c, M, N, T, Z> {
    /// The same tile, computed as one of `R` rows.
    #[inline(always)]
    pub(super) fn of_rows<const R: usize>(self) -> Of<'a, 'c, R, N, T, Z> {
        let Self { terms, row, col, place, panel, lines, cols, store } = self;
        Of { terms, row, col, place, panel, lines, cols, store }
    }

    #[inline(always)]
    fn put<S: Simd>(self, s: S, sums: &Tile<M, N, T::V<S>>) {
        for (line, sums) in self.lines.iter_mut().zip(sums) {
            let line = line.get_mut(self.cols.clone()).unwrap_or_default();
            put::<N, S, T, Z>(s, self.store, sums, line);
        }
    }
}

/// `sums` plus those of `terms`, whose lines `panel` holds; `None` when elements are missing.
#[inline(always)]
fn summed<const M: usize, const N: usize, S: Simd, T: Lane>(
    s: S,
    terms: &[Term<'_, T>],
    (place, row): (Place, usize),
    mut panel: &[[T::V<S>; N]],
    mut sums: Tile<M, N, T::V<S>>,
) -> Option<Tile<M, N, T::V<S>>> {
    for term in terms {
        let k = place.of(term.b);
        let lines = panel.split_off(..k.len())?;
        sums = Rows::<M, T>::new(term.a, row, k.start, k.len())?.times(s, lines, sums);
    }
    Some(sums)
}

impl<const M: usize, const N: usize, T: Lane, Z: Element> WithSimd for Of<'_, '_, M, N, T, Z> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (panel, _) = T::vectors::<S>(self.panel).as_chunks::<N>();
        let (at, sums) = ((self.place, self.row), [[T::splat(s, T::default()); N]; M]);
        let Some(sums) = summed(s, self.terms, at, panel, sums) else { return };
        self.put(s, &sums);
    }
}

/// The first tile of a panel, in which the lines of the first term are not yet: it puts them there.
pub(super) struct Filling<'a, 'c, const M: usize, const N: usize, T, Z>(
    pub(super) Of<'a, 'c, M, N, T, Z>,
);

impl<const M: usize, const N: usize, T: Lane, Z: Element> WithSimd for Filling<'_, '_, M, N, T, Z> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let tile = self.0;
        let Some((Term { a, b, .. }, others)) = tile.terms.split_first() else { return };
        let (panel, _) = T::vectors_mut::<S>(tile.panel).as_chunks_mut::<N>();
        let k = tile.place.of(*b);
        let Some((lines, panel)) = panel.split_at_mut_checked(k.len()) else { return };
        let Some(from) = b.in_place(k.start, tile.col + tile.cols.start) else { return };
        let Some(rows) = Rows::<M, T>::new(*a, tile.row, k.start, k.len()) else { return };
        let sums = filling(s, rows, from, lines);
        let Some(sums) = summed(s, others, (tile.place, tile.row), panel, sums) else { return };
        tile.put(s, &sums);
    }
}

/// Stores a line of sums, or adds it.
#[inline(always)]
fn put<const N: usize, S: Simd, T: Lane, Z: Element>(
    s: S,
    store: Store,
    sums: &[T::V<S>; N],
    line: &mut [Z],
) {
    if let Ok(line) = bytemuck::try_cast_slice_mut::<Z, T>(line)
        && same_type::<T, Z>()
        && line.len() == N * T::lanes::<S>()
    {
        let one = T::splat(s, T::of(1.0));
        let pairs = T::vectors_mut::<S>(line).iter_mut().zip(sums);
        return match store {
            Store::Replace => pairs.for_each(|(z, &sum)| *z = sum),
            Store::Add => pairs.for_each(|(z, &sum)| *z = T::fma(s, sum, one, *z)),
        };
    }
    let pairs = line.iter_mut().zip(bytemuck::cast_slice::<_, T>(sums));
    match store {
        Store::Replace => pairs.for_each(|(z, &sum)| *z = Z::store(sum)),
        Store::Add => pairs.for_each(|(z, &sum)| *z = Z::store(z.load::<T>() + sum)),
    }
}
