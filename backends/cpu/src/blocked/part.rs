//! The part of a product that one thread computes: some rows and some columns of C.

use core::ops::Range;

use decora::backend::Store;
use decora::scalar::Element;
use pulp::{Simd, WithSimd};

use super::lane::{Lane, room};
use super::pack::{Panels, Share, Source};
use super::tile::{Filling, Of};
use crate::products::{Operand, same_type};

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

/// Rows from which on a panel is worth a first tile of its own: two of the tallest tiles.
const TALL: usize = 24;

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
pub(super) struct Place {
    /// The first column.
    first: usize,
    cols: usize,
    /// The first k of each term, and how many.
    k: usize,
    depth: usize,
    /// Lines of a panel, those of all terms together.
    lines: usize,
}

impl Place {
    /// The k of a term with this B.
    #[inline(always)]
    pub(super) fn of<T>(&self, b: &dyn Source<T>) -> Range<usize> {
        self.k.min(b.depth())..b.depth().min(self.k + self.depth)
    }
}

impl<T: Lane, Z: Element> Part<'_, T, Z> {
    /// Columns from `first` on, as many whole panels of `N` vectors as are packed at once, at most
    /// `left` columns. Answers how many.
    #[inline(always)]
    fn columns<const N: usize, S: Simd>(&mut self, s: S, first: usize, left: usize) -> usize {
        let width = N * T::lanes::<S>();
        let whole = same_type::<T, Z>();
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
            let fills = self.fills(place, width);
            self.pack(place, width, fills, packed);
            let store = if block == 0 { self.store } else { Store::Add };
            let next = match block + 1 < blocks {
                true => Place { k: (block + 1) * depth, ..place },
                false => Place { first: first + cols, cols: cols.min(left - cols), k: 0, ..place },
            };
            if S::REGISTER_COUNT >= 32 {
                self.tiles::<12, N, S>(s, packed, [place, next], store, fills);
            } else {
                self.tiles::<4, N, S>(s, packed, [place, next], store, fills);
            }
        }
        T::keep(scratch);
        cols
    }

    /// Whether the first tile of a panel puts the lines of the first term there: it reads them where they
    /// lie, and waits for memory with sums to compute meanwhile.
    fn fills(&self, place: Place, width: usize) -> bool {
        let whole = self.lines.len() >= TALL && place.cols.is_multiple_of(width);
        let term = self.terms.first().filter(|_| whole);
        term.is_some_and(|Term { alpha, a, b }| {
            let k = place.of(*b);
            let lies = !k.is_empty() && b.in_place(k.start, self.col).is_some();
            *alpha == T::of(1.0) && a.at.cs == 1 && lies
        })
    }

    /// The lines of each term, one term after the other; without those of the first where its tile
    /// fills them in.
    fn pack(&self, place: Place, width: usize, fills: bool, packed: &mut [T]) {
        let (first, mut line) = (self.col + place.first, 0);
        for (i, Term { alpha, b, .. }) in self.terms.iter().enumerate() {
            let k = place.of(*b);
            let data = packed.get_mut(line * width..).unwrap_or_default();
            line += k.len();
            if i > 0 || !fills {
                let panels = Panels { data, width, stride: place.lines * width };
                b.pack(*alpha, k, first..first + place.cols, panels);
            }
        }
    }

    #[inline(always)]
    fn tiles<const M: usize, const N: usize, S: Simd>(
        &mut self,
        s: S,
        packed: &mut [T],
        [place, next]: [Place; 2],
        store: Store,
        fills: bool,
    ) {
        let (end, width) = (place.first + place.cols, N * T::lanes::<S>());
        let panels = packed.chunks_mut((place.lines * width).max(1));
        // Not row after row: what is fetched ahead would be lines of the neighbour on the right, which
        // another thread writes.
        let rows = self.lines.len().div_ceil(M);
        let of = rows * place.cols.div_ceil(width);
        for (j, (panel, start)) in panels.zip((place.first..end).step_by(width)).enumerate() {
            for (i, lines) in self.lines.chunks_mut(M).enumerate() {
                let (terms, row) = (self.terms, self.row + i * M);
                fetch(terms, self.col, next, Share { i: j * rows + i, of });
                let cols = start..end.min(start + width);
                let col = self.col;
                let tile = Of::<M, N, T, Z> { terms, row, col, place, panel, lines, cols, store };
                match tile.lines.len() {
                    _ if fills && i == 0 => s.vectorize(Filling(tile)),
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
        b.fetch(next.of(*b), first..first + next.cols, share);
    }
}
