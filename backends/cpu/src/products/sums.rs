//! The inner loop: a tile of sums, from rows of A and rows of Bᵀ.

use decora::mat::Layout;
use decora::scalar::Accum;

use super::Operand;

/// `M` rows with `N` rows: the sums of the products of their k-th elements, over all k.
pub(super) type Tile<const M: usize, const N: usize, A> = [[A; N]; M];

/// Rows for columns.
#[inline(always)]
pub(super) fn transposed<const M: usize, const N: usize, A: Accum>(
    tile: Tile<M, N, A>,
) -> Tile<N, M, A> {
    let mut turned = [[A::default(); M]; N];
    for (i, line) in tile.iter().enumerate() {
        for (turned, &x) in turned.iter_mut().zip(line) {
            turned[i] = x;
        }
    }
    turned
}

/// `start` plus, for each k from the first to the last, the products of the k-th elements of `a`
/// with those of `b`.
#[inline(always)]
pub(super) fn sums<const M: usize, const N: usize, A: Accum>(
    start: Tile<M, N, A>,
    a: impl Rows<M, A>,
    b: impl Rows<N, A>,
) -> Tile<M, N, A> {
    let mut sums = start;
    for (x, y) in a.pairs().zip(b.pairs()) {
        let (Some([x0, x1]), Some([y0, y1])) = (x, y) else { return sums };
        add(&mut sums, x0, y0);
        add(&mut sums, x1, y1);
    }
    if let (Some(x), Some(y)) = (a.odd(), b.odd()) {
        add(&mut sums, x, y);
    }
    add(&mut sums, a.last(), b.last());
    sums
}

#[inline(always)]
fn add<const M: usize, const N: usize, A: Accum>(sums: &mut Tile<M, N, A>, x: [A; M], y: [A; N]) {
    for (line, &x) in sums.iter_mut().zip(&x) {
        for (sum, &y) in line.iter_mut().zip(&y) {
            *sum += x * y;
        }
    }
}

/// The k-th elements of `N` rows, for each k: two k at a time, perhaps one more, and the last. (A
/// loop with a longer body would not have registers enough.)
pub(super) trait Rows<const N: usize, A> {
    /// `None` where elements are missing.
    fn pairs(&self) -> impl Iterator<Item = Option<[[A; N]; 2]>>;
    /// What lies between pairs and last.
    fn odd(&self) -> Option<[A; N]>;
    /// Those of the last k.
    fn last(&self) -> [A; N];
}

/// Rows whose own elements are adjacent, all of one length, none overlapping: what is before the last, and the last.
#[derive(Clone, Copy)]
pub(super) struct Along<'a, const N: usize, A> {
    body: [&'a [A]; N],
    last: [A; N],
}

/// Rows whose k-th elements are adjacent.
#[derive(Clone, Copy)]
pub(super) struct Across<'a, const N: usize, A> {
    /// From the first k to before the last, a stride for each.
    body: &'a [A],
    stride: usize,
    last: &'a [A; N],
}

impl<'a, const N: usize, A: Accum> Along<'a, N, A> {
    /// The rows from `first` on; `None` when some are not there, or have no elements.
    #[inline(always)]
    pub(super) fn new(of: Operand<'a, A>, first: usize) -> Option<Self> {
        let Layout { offset, rs, cols, .. } = of.at;
        let mut rest = of.data.get(offset + first * rs..)?;
        let (mut body, mut last) = ([&rest[..0]; N], [A::default(); N]);
        for (i, (body, last)) in body.iter_mut().zip(&mut last).enumerate() {
            let mut row = rest;
            if i + 1 < N {
                (row, rest) = rest.split_at_checked(rs)?;
            }
            let (&end, before) = row.get(..cols)?.split_last()?;
            (*body, *last) = (before, end);
        }
        Some(Self { body, last })
    }

    /// Puts the k-th elements side by side, for each k there is room for.
    #[inline(always)]
    pub(super) fn pack(&self, panel: &mut [[A; N]])
    where
        Lines<N>: Zip<N>,
    {
        let Some((end, panel)) = panel.split_last_mut() else { return };
        for (line, x) in panel.iter_mut().zip(Lines::<N>::zip(self.body)) {
            *line = x.map(|&x| x);
        }
        *end = self.last;
    }
}

impl<const N: usize, A: Accum> Rows<N, A> for Along<'_, N, A>
where
    Lines<N>: Zip<N>,
{
    #[inline(always)]
    fn pairs(&self) -> impl Iterator<Item = Option<[[A; N]; 2]>> {
        let pairs = Lines::<N>::zip(self.body.map(|row| row.as_chunks::<2>().0));
        pairs.map(|x| Some([x.map(|x| x[0]), x.map(|x| x[1])]))
    }

    #[inline(always)]
    fn odd(&self) -> Option<[A; N]> {
        Lines::<N>::zip(self.body.map(|row| row.as_chunks::<2>().1)).next().map(|x| x.map(|&x| x))
    }

    #[inline(always)]
    fn last(&self) -> [A; N] {
        self.last
    }
}

impl<'a, const N: usize, A: Accum> Across<'a, N, A> {
    /// The rows from `first` on; `None` when some are not there, or have no elements.
    #[inline(always)]
    pub(super) fn new(of: Operand<'a, A>, first: usize) -> Option<Self> {
        let data = of.data.get(of.at.offset + first * of.at.rs..)?;
        let stride = of.at.cs.max(1);
        let (body, last) = data.split_at_checked(of.at.cols.checked_sub(1)? * stride)?;
        Some(Self { body, stride, last: last.first_chunk()? })
    }

    /// What [`Along::pack`] has put side by side.
    #[inline(always)]
    pub(super) fn packed(panel: &'a [[A; N]]) -> Option<Self> {
        let (last, body) = panel.split_last()?;
        Some(Self { body: body.as_flattened(), stride: N, last })
    }
}

impl<const N: usize, A: Accum> Rows<N, A> for Across<'_, N, A> {
    #[inline(always)]
    fn pairs(&self) -> impl Iterator<Item = Option<[[A; N]; 2]>> {
        let stride = self.stride;
        self.body
            .chunks_exact((2 * stride).max(1))
            .map(move |two| Some([*two.first_chunk()?, *two.get(stride..)?.first_chunk()?]))
    }

    #[inline(always)]
    fn odd(&self) -> Option<[A; N]> {
        self.body.chunks_exact((2 * self.stride).max(1)).remainder().first_chunk().copied()
    }

    #[inline(always)]
    fn last(&self) -> [A; N] {
        *self.last
    }
}

/// One row of each, however they lie.
pub(super) fn strided<A: Accum>(
    [[start]]: Tile<1, 1, A>,
    (a, i): (Operand<'_, A>, usize),
    (b, j): (Operand<'_, A>, usize),
) -> Tile<1, 1, A> {
    let of = |m: Operand<'_, A>, row: usize, k: usize| {
        let place = m.at.offset + row * m.at.rs + k * m.at.cs;
        m.data.get(place).copied().unwrap_or_default()
    };
    [[(0..a.at.cols).fold(start, |sum, k| sum + of(a, i, k) * of(b, j, k))]]
}

/// `N` slices at a time: 1 or 4. Zipped, they have one counter between them, where a loop over an
/// array of slices would have one each.
pub(super) struct Lines<const N: usize>;

pub(super) trait Zip<const N: usize> {
    fn zip<'a, E>(rows: [&'a [E]; N]) -> impl Iterator<Item = [&'a E; N]> + use<'a, Self, N, E>;
}

impl Zip<1> for Lines<1> {
    #[inline(always)]
    fn zip<'a, E>([a]: [&'a [E]; 1]) -> impl Iterator<Item = [&'a E; 1]> + use<'a, E> {
        a.iter().map(|a| [a])
    }
}

impl Zip<4> for Lines<4> {
    #[inline(always)]
    fn zip<'a, E>([a, b, c, d]: [&'a [E]; 4]) -> impl Iterator<Item = [&'a E; 4]> + use<'a, E> {
        a.iter().zip(b).zip(c).zip(d).map(|(((a, b), c), d)| [a, b, c, d])
    }
}
