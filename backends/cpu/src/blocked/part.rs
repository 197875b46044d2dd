//! The part of a product that one thread computes: some rows and some columns of C.

use decora::backend::Store;
use decora::scalar::Element;
use pulp::{Simd, WithSimd};

use super::kernel::Rows;
use super::lane::{Lane, room};
use super::pack::Source;
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

/// Vectors in a line of a panel.
const WIDE: usize = 3;

/// The most k whose products are summed before the sums go to C.
const DEPTH: usize = 768;

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
            let place = (done, left.min(wide * lanes));
            match wide {
                1 => self.columns::<1, S>(s, place),
                2 => self.columns::<2, S>(s, place),
                _ => self.columns::<WIDE, S>(s, place),
            }
            done += wide * lanes;
        }
    }
}

impl<T: Lane, Z: Element> Part<'_, T, Z> {
    /// `cols` columns from `first` on, as wide as a panel of `N` vectors.
    #[inline(always)]
    fn columns<const N: usize, S: Simd>(&mut self, s: S, (first, cols): (usize, usize)) {
        let width = N * T::lanes::<S>();
        let whole = crate::products::same_type::<T, Z>();
        let depths = self.terms.iter().map(|term| term.b.depth());
        let most = depths.clone().max().unwrap_or(0);
        // Sums that C cannot hold are never interrupted.
        let blocks = if whole { most.div_ceil(DEPTH).max(1) } else { 1 };
        let depth = most.div_ceil(blocks);
        let lines: usize = depths.map(|k| k.min(depth)).sum();
        let mut scratch = T::take();
        let panel = room(&mut scratch, lines * width);
        for block in 0..blocks {
            let k = block * depth;
            self.pack((k, depth), (first, cols), width, panel);
            let store = if block == 0 { self.store } else { Store::Add };
            let place = Place { first, cols, k, depth, store };
            if S::REGISTER_COUNT >= 32 {
                self.tiles::<8, N, S>(s, panel, place);
            } else {
                self.tiles::<4, N, S>(s, panel, place);
            }
        }
        T::keep(scratch);
    }

    /// `depth` lines from `k` on of each term, one after the other.
    fn pack(
        &self,
        (k, depth): (usize, usize),
        (first, cols): (usize, usize),
        width: usize,
        panel: &mut [T],
    ) {
        let (mut rest, first) = (panel, self.col + first);
        for Term { alpha, b, .. } in self.terms {
            let k = k.min(b.depth())..b.depth().min(k + depth);
            let (to, left) = core::mem::take(&mut rest).split_at_mut(k.len() * width);
            b.pack(*alpha, k, first..first + cols, width, to);
            rest = left;
        }
    }

    #[inline(always)]
    fn tiles<const M: usize, const N: usize, S: Simd>(
        &mut self,
        s: S,
        panel: &[T],
        Place { first, cols, k, depth, store }: Place,
    ) {
        let (panel, _) = T::vectors::<S>(panel).as_chunks::<N>();
        for (i, lines) in self.lines.chunks_mut(M).enumerate() {
            let mut sums = [[T::splat(s, T::default()); N]; M];
            let mut rest = panel;
            for term in self.terms {
                let depth = term.b.depth().saturating_sub(k).min(depth);
                let Some((panel, left)) = rest.split_at_checked(depth) else { return };
                let Some(rows) = Rows::<M, T>::new(term.a, self.row + i * M, k, depth) else {
                    return;
                };
                sums = rows.times(s, panel, sums);
                rest = left;
            }
            for (line, sums) in lines.iter_mut().zip(&sums) {
                let line = line.get_mut(first..first + cols).unwrap_or_default();
                put::<T, Z>(store, bytemuck::cast_slice(sums), line);
            }
        }
    }
}

/// Which columns of C, and which k.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    cols: usize,
    k: usize,
    depth: usize,
    store: Store,
}

#[inline(always)]
fn put<T: Lane, Z: Element>(store: Store, sums: &[T], line: &mut [Z]) {
    let pairs = line.iter_mut().zip(sums);
    match store {
        Store::Replace => pairs.for_each(|(z, &sum)| *z = Z::store(sum)),
        Store::Add => pairs.for_each(|(z, &sum)| *z = Z::store(z.load::<T>() + sum)),
    }
}
