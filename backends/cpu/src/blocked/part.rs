//! The part of a product that one thread computes: some rows and some columns of C.

use core::ops::Range;

use decora::backend::Store;
use decora::scalar::Element;
use pulp::{Simd, WithSimd};

use super::kernel::Rows;
use super::lane::{Lane, room};
use super::pack::{Panels, Share, Source};
use crate::products::Operand;

/// α·A·B, one of the products whose sum a call computes.
pub(super) struct Term<'a, T> {
    pub(super) alpha: T,
    /// With adjacent columns, or with adjacent rows and no fewer than a tile has.
    pub(super) a: Operand<'a, T>,
    pub(super) b: &'a dyn Source<T>,
}

/// Lines of C, from row `row` and column `col` of the whole.
pub(super) struct Part<'a, T, Z> {
    pub(super) terms: &'a [Term<'a, T>],
    pub(super) store: Store,
    pub(super) row: usize,
    pub(super) col: usize,
    pub(super) lines: alloc::vec::Vec<&'a mut [Z]>,
}

/// Vectors in a line of a panel: with twelve rows all sums, a line and a number of a row fit in 32
/// registers.
const WIDE: usize = 2;

/// The most k whose products are summed before the sums go to C.
const DEPTH: usize = 576;

/// Columns of the widest panel: how columns are best shared among threads.
pub(super) fn panel<T: Lane>() -> usize {
    struct Width<T>(core::marker::PhantomData<T>);
    impl<T: Lane> WithSimd for Width<T> {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            WIDE * T::lanes::<S>()
        }
    }
    pulp::Arch::new().dispatch(Width::<T>(core::marker::PhantomData))
}

/// The most numbers in the panels that are packed at once: they share the cache of a core with lines
/// of A, and with what is packed next.
const PACKED: usize = 32 << 10;

impl<T: Lane, Z: Element> WithSimd for Part<'_, T, Z> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        let cols = self.lines.first().map_or(0, |line| line.len());
        let lanes = T::lanes::<S>();
        let mut done = 0;
        while done < cols {
            let left = cols - done;
            let wide = left.div_ceil(lanes).min(WIDE);
            done += match wide {
                1 => self.columns::<1, S>(s, done, left),
                _ => self.columns::<WIDE, S>(s, done, left),
            };
        }
    }
}

/// Columns of C, and lines of panels.
#[derive(Clone, Copy)]
struct Place {
    /// The first column.
    first: usize,
    cols: usize,
    /// The first k of each term, and how many.
    k: usize,
    depth: usize,
    /// Lines of a panel, those of all terms together.
    lines: usize,
}

impl<T: Lane, Z: Element> Part<'_, T, Z> {
    /// Columns from `first` on, as many whole panels of `N` vectors as are packed at once, at most
    /// `left` columns. Answers how many.
    #[inline(always)]
    fn columns<const N: usize, S: Simd>(&mut self, s: S, first: usize, left: usize) -> usize {
        let width = N * T::lanes::<S>();
        let whole = crate::products::same_type::<T, Z>();
        let depths = self.terms.iter().map(|term| term.b.depth());
        let most = depths.clone().max().unwrap_or(0);
        // Sums that C cannot hold are never interrupted.
        let blocks = if whole { most.div_ceil(DEPTH).max(1) } else { 1 };
        let depth = most.div_ceil(blocks);
        // With no k at all, a line that is not read: sums are zero.
        let lines = depths.map(|k| k.min(depth)).sum::<usize>().max(1);
        let panels = (PACKED / (lines * width).max(1)).clamp(1, (left / width).max(1));
        let cols = left.min(panels * width);
        let mut scratch = T::take();
        let packed = room(&mut scratch, panels * lines * width);
        for block in 0..blocks {
            let place = Place { first, cols, k: block * depth, depth, lines };
            self.pack(place, width, packed);
            let store = if block == 0 { self.store } else { Store::Add };
            let next = match block + 1 < blocks {
                true => Place { k: (block + 1) * depth, ..place },
                false => Place { first: first + cols, cols: cols.min(left - cols), k: 0, ..place },
            };
            if S::REGISTER_COUNT >= 32 {
                self.tiles::<12, N, S>(s, packed, [place, next], store);
            } else {
                self.tiles::<4, N, S>(s, packed, [place, next], store);
            }
        }
        T::keep(scratch);
        cols
    }

    /// The lines of each term, one term after the other.
    fn pack(&self, place: Place, width: usize, packed: &mut [T]) {
        let (first, mut line) = (self.col + place.first, 0);
        for Term { alpha, b, .. } in self.terms {
            let k = place.k.min(b.depth())..b.depth().min(place.k + place.depth);
            let data = packed.get_mut(line * width..).unwrap_or_default();
            line += k.len();
            let panels = Panels { data, width, stride: place.lines * width };
            b.pack(*alpha, k, first..first + place.cols, panels);
        }
    }

    #[inline(always)]
    fn tiles<const M: usize, const N: usize, S: Simd>(
        &mut self,
        s: S,
        packed: &[T],
        [place, next]: [Place; 2],
        store: Store,
    ) {
        let (end, width) = (place.first + place.cols, N * T::lanes::<S>());
        let panels = packed.chunks((place.lines * width).max(1));
        // Not row after row: what is fetched ahead would be lines of the neighbour on the right, which
        // another thread writes.
        let rows = self.lines.len().div_ceil(M);
        let of = rows * place.cols.div_ceil(width);
        for (j, (panel, start)) in panels.zip((place.first..end).step_by(width)).enumerate() {
            for (i, lines) in self.lines.chunks_mut(M).enumerate() {
                let (terms, row) = (self.terms, self.row + i * M);
                fetch(terms, self.col, next, Share { i: j * rows + i, of });
                let cols = start..end.min(start + width);
                let tile = TileOf::<M, N, T, Z> { terms, row, place, panel, lines, cols, store };
                match tile.lines.len() {
                    1..=4 if M > 4 => s.vectorize(tile.of_rows::<4>()),
                    5..=8 if M > 8 => s.vectorize(tile.of_rows::<8>()),
                    _ => s.vectorize(tile),
                }
            }
        }
    }
}

/// Asks for a share of what is packed next.
fn fetch<T>(terms: &[Term<'_, T>], col: usize, next: Place, share: Share) {
    let first = col + next.first;
    for Term { b, .. } in terms {
        let k = next.k.min(b.depth())..b.depth().min(next.k + next.depth);
        b.fetch(k, first..first + next.cols, share);
    }
}

/// One tile. A function of its own, whose sums are in registers whatever is around it.
struct TileOf<'a, 'c, const M: usize, const N: usize, T, Z> {
    terms: &'a [Term<'a, T>],
    row: usize,
    place: Place,
    panel: &'a [T],
    lines: &'a mut [&'c mut [Z]],
    cols: Range<usize>,
    store: Store,
}

impl<'a, 'c, const M: usize, const N: usize, T, Z> TileOf<'a, 'c, M, N, T, Z> {
    /// The same tile, computed as one of `R` rows.
    #[inline(always)]
    fn of_rows<const R: usize>(self) -> TileOf<'a, 'c, R, N, T, Z> {
        let Self { terms, row, place, panel, lines, cols, store } = self;
        TileOf { terms, row, place, panel, lines, cols, store }
    }
}

impl<const M: usize, const N: usize, T: Lane, Z: Element> WithSimd for TileOf<'_, '_, M, N, T, Z> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (mut panel, _) = T::vectors::<S>(self.panel).as_chunks::<N>();
        let mut sums = [[T::splat(s, T::default()); N]; M];
        for term in self.terms {
            let (whole, Place { k, depth, .. }) = (term.b.depth(), self.place);
            let depth = whole.saturating_sub(k).min(depth);
            let Some((of_term, rest)) = panel.split_at_checked(depth) else { return };
            let Some(rows) = Rows::<M, T>::new(term.a, self.row, k.min(whole), depth) else {
                return;
            };
            sums = rows.times(s, of_term, sums);
            panel = rest;
        }
        for (line, sums) in self.lines.iter_mut().zip(&sums) {
            let line = line.get_mut(self.cols.clone()).unwrap_or_default();
            put::<N, S, T, Z>(s, self.store, sums, line);
        }
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
        && crate::products::same_type::<T, Z>()
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
