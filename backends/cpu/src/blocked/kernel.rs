//! The inner loop: a tile of sums in registers, from rows of A where they lie and a packed panel of B.

use decora::mat::Layout;
use pulp::Simd;

use super::lane::Lane;
use crate::products::Operand;

/// `M` rows of `N` vectors of sums.
pub(super) type Tile<const M: usize, const N: usize, V> = [[V; N]; M];

/// Rows of A that are multiplied at once.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a, const M: usize, T> {
    /// Each row's elements are adjacent.
    Along([&'a [T]; M]),
    /// The k-th elements of all rows are adjacent; from one k to the next is `stride`.
    Across { data: &'a [T], stride: usize },
}

impl<'a, const M: usize, T: Lane> Rows<'a, M, T> {
    /// Rows from `first` on, and their elements from `k` on, `depth` of them. Where there are fewer
    /// rows than `M`, the last is repeated. `None` when elements are missing.
    #[inline(always)]
    pub(super) fn new(of: Operand<'a, T>, first: usize, k: usize, depth: usize) -> Option<Self> {
        let Layout { offset, rows, rs, cs, .. } = of.at;
        if cs != 1 {
            let data = of.data.get(offset + k * cs + first..)?;
            return Some(Self::Across { data, stride: cs });
        }
        let mut lines = [of.data.get(..0)?; M];
        for (i, line) in lines.iter_mut().enumerate() {
            let start = offset + (first + i).min(rows - 1) * rs + k;
            *line = of.data.get(start..start + depth)?;
        }
        Some(Self::Along(lines))
    }

    /// `sums` plus, for each k, the products of the k-th elements of the rows with line k of `panel`.
    #[inline(always)]
    pub(super) fn times<const N: usize, S: Simd>(
        self,
        s: S,
        panel: &[[T::V<S>; N]],
        sums: Tile<M, N, T::V<S>>,
    ) -> Tile<M, N, T::V<S>> {
        match self {
            Self::Along(rows) => along(s, &rows, panel, sums),
            Self::Across { data, stride } => across(s, data, stride, panel, sums),
        }
    }
}

#[inline(always)]
fn along<const M: usize, const N: usize, S: Simd, T: Lane>(
    s: S,
    rows: &[&[T]; M],
    panel: &[[T::V<S>; N]],
    mut sums: Tile<M, N, T::V<S>>,
) -> Tile<M, N, T::V<S>> {
    // Addresses are computed before the loop, not in it.
    let rows = core::hint::black_box(*rows);
    if rows.iter().any(|row| row.len() != panel.len()) {
        return sums;
    }
    for (k, line) in panel.iter().enumerate() {
        for i in 0..M {
            add(s, &mut sums[i], rows[i][k], line);
        }
    }
    sums
}

/// The sums of rows, whose elements are adjacent, from lines that lie `stride` apart and are copied to
/// `panel`; zeros when elements are missing.
#[expect(clippy::manual_memcpy, reason = "with a copy of the whole line, sums stay in memory")]
#[inline(always)]
pub(super) fn filling<const M: usize, const N: usize, S: Simd, T: Lane>(
    s: S,
    rows: Rows<'_, M, T>,
    (data, stride): (&[T], usize),
    panel: &mut [[T::V<S>; N]],
) -> Tile<M, N, T::V<S>> {
    let mut sums = [[T::splat(s, T::default()); N]; M];
    let width = N * T::lanes::<S>();
    let Rows::Along(rows) = rows else { return sums };
    let rows = core::hint::black_box(rows);
    let most = panel.len().saturating_sub(1) * stride + width;
    if rows.iter().any(|row| row.len() != panel.len()) || data.len() < most {
        return sums;
    }
    for (k, to) in panel.iter_mut().enumerate() {
        let from = T::vectors::<S>(&data[k * stride..k * stride + width]);
        for j in 0..N {
            to[j] = from[j];
        }
        for i in 0..M {
            add(s, &mut sums[i], rows[i][k], to);
        }
    }
    sums
}

#[inline(always)]
fn across<const M: usize, const N: usize, S: Simd, T: Lane>(
    s: S,
    data: &[T],
    stride: usize,
    panel: &[[T::V<S>; N]],
    mut sums: Tile<M, N, T::V<S>>,
) -> Tile<M, N, T::V<S>> {
    for (x, line) in data.chunks(stride.max(1)).zip(panel) {
        let Some(x) = x.first_chunk::<M>() else { return sums };
        for i in 0..M {
            add(s, &mut sums[i], x[i], line);
        }
    }
    sums
}

#[inline(always)]
fn add<const N: usize, S: Simd, T: Lane>(s: S, sums: &mut [T::V<S>; N], x: T, line: &[T::V<S>; N]) {
    let x = T::splat(s, x);
    for j in 0..N {
        sums[j] = T::fma(s, x, line[j], sums[j]);
    }
}
