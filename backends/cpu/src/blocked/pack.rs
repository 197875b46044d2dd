//! Panels: some columns of B side by side, line after line of k, as sums take them.

use core::ops::Range;

use decora::mat::Layout;
use decora::scalar::Element;
use pulp::{Simd, WithSimd};

use super::lane::{LINE, Lane, soon};
use crate::products::Operand;

/// A right operand: what panels are packed from.
pub(super) trait Source<T>: Sync {
    /// How many k.
    fn depth(&self) -> usize;

    /// Puts α·B, lines `k` and columns `cols`, into `panels`, zeros behind.
    fn pack(&self, alpha: T, k: Range<usize>, cols: Range<usize>, panels: Panels<'_, T>);

    /// Line `k` from column `col` on and all that follows, and from one line to the next, where lines
    /// can be taken as they lie.
    fn in_place(&self, k: usize, col: usize) -> Option<(&[T], usize)>;

    /// Asks for one of some shares of lines `k` and columns `cols` of B, which are packed soon: memory
    /// is read while sums are computed.
    fn fetch(&self, k: Range<usize>, cols: Range<usize>, share: Share);
}

/// Share `i` of `of`.
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) i: usize,
    pub(super) of: usize,
}

/// Panels to be filled.
pub(super) struct Panels<'a, T> {
    /// The first, and what follows.
    pub(super) data: &'a mut [T],
    /// Columns of each: a line has so many.
    pub(super) width: usize,
    /// From one panel to the next.
    pub(super) stride: usize,
}

impl<T: Lane, E: Element> Source<T> for Operand<'_, E> {
    fn depth(&self) -> usize {
        self.at.rows
    }

    fn pack(&self, alpha: T, k: Range<usize>, cols: Range<usize>, panels: Panels<'_, T>) {
        pulp::Arch::new().dispatch(Pack { of: *self, alpha, k, cols, panels });
    }

    fn in_place(&self, k: usize, col: usize) -> Option<(&[T], usize)> {
        let of = self.native::<T>().filter(|_| self.at.cs == 1)?;
        Some((of.data.get(self.at.offset + k * self.at.rs + col..)?, self.at.rs))
    }

    fn fetch(&self, k: Range<usize>, cols: Range<usize>, Share { i, of }: Share) {
        let Layout { offset, rs, cs, .. } = self.at;
        let (runs, len, stride) = match (rs, cs) {
            (_, 1) => (k.len(), cols.len(), rs),
            (1, _) => (cols.len(), k.len(), cs),
            _ => return,
        };
        let start = offset + k.start * rs + cols.start * cs;
        for run in runs * i / of.max(1)..runs * (i + 1) / of.max(1) {
            let at = start + run * stride;
            let run = self.data.get(at..at + len).unwrap_or_default();
            run.chunks((LINE / size_of::<E>()).max(1)).for_each(soon);
        }
    }
}

struct Pack<'a, T, E> {
    of: Operand<'a, E>,
    alpha: T,
    k: Range<usize>,
    cols: Range<usize>,
    panels: Panels<'a, T>,
}

impl<T: Lane, E: Element> WithSimd for Pack<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { of, alpha, k, cols, panels: Panels { data: panels, width, stride } } = self;
        let Layout { offset, rs, cs, .. } = of.at;
        let start = offset + k.start * rs + cols.start * cs;
        let data = of.data.get(start..).unwrap_or_default();
        if cs == 1 {
            return lines(alpha, data, rs, (k.len(), cols.len()), (panels, width, stride));
        }
        for (i, panel) in panels.chunks_mut(stride.max(1)).enumerate() {
            let data = data.get(i * width * cs..).unwrap_or_default();
            let cols = cols.len().saturating_sub(i * width).min(width);
            let panel = panel.get_mut(..k.len() * width).unwrap_or_default();
            match rs {
                1 => columns(alpha, data, cs, (k.len(), cols), width, panel),
                _ => scattered(alpha, data, (rs, cs), cols, width, panel),
            }
        }
    }
}

/// Lines whose elements are adjacent: all panels of a line, then the next line.
#[inline(always)]
fn lines<T: Lane, E: Element>(
    alpha: T,
    data: &[E],
    rs: usize,
    (depth, cols): (usize, usize),
    (panels, width, stride): (&mut [T], usize, usize),
) {
    for k in 0..depth {
        let from = data.get(k * rs..).and_then(|data| data.get(..cols)).unwrap_or_default();
        for (i, from) in from.chunks(width).enumerate() {
            let start = i * stride + k * width;
            let to = panels.get_mut(start..start + width).unwrap_or_default();
            let (to, rest) = to.split_at_mut(from.len().min(to.len()));
            to.iter_mut().zip(from).for_each(|(to, &x)| *to = alpha * x.load::<T>());
            rest.fill(T::default());
        }
    }
}

/// How many elements of as many columns are turned at once.
const SIDE: usize = 8;

/// Columns whose elements are adjacent.
#[inline(always)]
fn columns<T: Lane, E: Element>(
    alpha: T,
    data: &[E],
    stride: usize,
    (depth, cols): (usize, usize),
    width: usize,
    panel: &mut [T],
) {
    let column = |j: usize| {
        let start = j * stride;
        data.get(start..start + depth).unwrap_or_default()
    };
    for j in (0..width).step_by(SIDE) {
        if j + SIDE <= cols {
            let mut from = [column(0); SIDE];
            for (i, from) in from.iter_mut().enumerate() {
                *from = column(j + i);
            }
            turned(alpha, &from, width, panel.get_mut(j..).unwrap_or_default());
            continue;
        }
        for j in j..width.min(j + SIDE) {
            let to = panel.get_mut(j..).unwrap_or_default().iter_mut().step_by(width);
            if j < cols {
                to.zip(column(j)).for_each(|(to, &x)| *to = alpha * x.load::<T>());
            } else {
                to.for_each(|to| *to = T::default());
            }
        }
    }
}

/// [`SIDE`] whole columns, from the front of each line of the panel.
#[inline(always)]
fn turned<T: Lane, E: Element>(alpha: T, from: &[&[E]; SIDE], width: usize, panel: &mut [T]) {
    let depth = from[0].len();
    if from.iter().any(|from| from.len() != depth) {
        return;
    }
    let mut to = panel.chunks_mut(width);
    let mut k = 0;
    while k + SIDE <= depth {
        let mut block = [[T::default(); SIDE]; SIDE];
        for i in 0..SIDE {
            let Some(x) = from[i][k..].first_chunk::<SIDE>() else { return };
            for j in 0..SIDE {
                block[j][i] = alpha * x[j].load::<T>();
            }
        }
        for line in block {
            let Some(to) = to.next().and_then(|to| to.first_chunk_mut()) else { return };
            *to = line;
        }
        k += SIDE;
    }
    for (k, to) in (k..depth).zip(to) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = alpha * from[k].load::<T>());
    }
}

fn scattered<T: Lane, E: Element>(
    alpha: T,
    data: &[E],
    (rs, cs): (usize, usize),
    cols: usize,
    width: usize,
    panel: &mut [T],
) {
    for (k, to) in panel.chunks_exact_mut(width).enumerate() {
        for (j, to) in to.iter_mut().enumerate() {
            let x = data.get(k * rs + j * cs).filter(|_| j < cols);
            *to = x.map_or(T::default(), |x| alpha * x.load::<T>());
        }
    }
}
