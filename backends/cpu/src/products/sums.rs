//! The inner loops: tiles of sums, from rows of A and rows of Bᵀ.

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

#[inline(always)]
fn add<const M: usize, const N: usize, A: Accum>(sums: &mut Tile<M, N, A>, x: [A; M], y: [A; N]) {
    for (line, &x) in sums.iter_mut().zip(&x) {
        for (sum, &y) in line.iter_mut().zip(&y) {
            *sum += x * y;
        }
    }
}

/// `N` rows whose own elements are adjacent, all of one length.
#[derive(Clone, Copy)]
pub(super) struct Along<'a, const N: usize, A>([&'a [A]; N]);

/// `N` rows whose k-th elements are adjacent.
#[derive(Clone, Copy)]
pub(super) struct Across<'a, const N: usize, A> {
    /// From the first k to before the last, a stride for each.
    body: &'a [A],
    stride: usize,
    last: &'a [A; N],
}

impl<'a, const N: usize, A: Accum> Along<'a, N, A> {
    /// The rows from `first` on; `None` when some are not there.
    #[inline(always)]
    pub(super) fn new(of: Operand<'a, A>, first: usize) -> Option<Self> {
        let mut rest = of.data.get(of.at.offset + first * of.at.rs..)?;
        let mut rows = [rest.get(..of.at.cols)?; N];
        for row in rows.iter_mut().skip(1) {
            rest = rest.get(of.at.rs..)?;
            *row = rest.get(..of.at.cols)?;
        }
        Some(Self(rows))
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

    /// What [`pack`] has put side by side.
    #[inline(always)]
    pub(super) fn packed(panel: &'a [[A; N]]) -> Option<Self> {
        let (last, body) = panel.split_last()?;
        Some(Self { body: body.as_flattened(), stride: N, last })
    }

    #[inline(always)]
    fn lines(&self) -> impl Iterator<Item = &'a [A]> + use<'a, N, A> {
        self.body.chunks_exact(self.stride)
    }
}

/// Puts the k-th elements of `N` rows side by side, for each k there is room for.
#[inline(always)]
pub(super) fn pack<const N: usize, A: Accum>(panel: &mut [[A; N]], Along(rows): Along<'_, N, A>)
where
    Lines<N>: Zip<N>,
{
    for (line, x) in panel.iter_mut().zip(Lines::<N>::zip(rows)) {
        *line = x.map(|&x| x);
    }
}

/// Both along k.
#[inline(always)]
pub(super) fn along<const M: usize, const N: usize, A: Accum>(
    start: Tile<M, N, A>,
    Along(a): Along<'_, M, A>,
    Along(b): Along<'_, N, A>,
) -> Tile<M, N, A>
where
    Lines<M>: Zip<M>,
    Lines<N>: Zip<N>,
{
    let mut sums = start;
    for (x, y) in Lines::<M>::zip(a).zip(Lines::<N>::zip(b)) {
        add(&mut sums, x.map(|&x| x), y.map(|&y| y));
    }
    sums
}

/// Rows of A along k, rows of Bᵀ across.
#[inline(always)]
pub(super) fn mixed<const M: usize, const N: usize, A: Accum>(
    start: Tile<M, N, A>,
    Along(a): Along<'_, M, A>,
    b: Across<'_, N, A>,
) -> Tile<M, N, A>
where
    Lines<M>: Zip<M>,
{
    let mut sums = start;
    let ends = a.map(|a| a.split_last());
    for (x, y) in Lines::<M>::zip(ends.map(|a| a.map_or(&[][..], |a| a.1))).zip(b.lines()) {
        let Some(y) = y.first_chunk() else { return sums };
        add(&mut sums, x.map(|&x| x), *y);
    }
    add(&mut sums, ends.map(|a| a.map_or(A::default(), |a| *a.0)), *b.last);
    sums
}

/// Both across k.
#[inline(always)]
pub(super) fn across<const M: usize, const N: usize, A: Accum>(
    start: Tile<M, N, A>,
    a: Across<'_, M, A>,
    b: Across<'_, N, A>,
) -> Tile<M, N, A> {
    let mut sums = start;
    for (x, y) in a.lines().zip(b.lines()) {
        let (Some(x), Some(y)) = (x.first_chunk(), y.first_chunk()) else { return sums };
        add(&mut sums, *x, *y);
    }
    add(&mut sums, *a.last, *b.last);
    sums
}

/// One row of each, however they lie.
pub(super) fn strided<A: Accum>(
    [[start]]: Tile<1, 1, A>,
    a: Operand<'_, A>,
    i: usize,
    b: Operand<'_, A>,
    j: usize,
) -> Tile<1, 1, A> {
    let of = |m: Operand<'_, A>, row: usize, k: usize| {
        let place = m.at.offset + row * m.at.rs + k * m.at.cs;
        m.data.get(place).copied().unwrap_or_default()
    };
    [[(0..a.at.cols).fold(start, |sum, k| sum + of(a, i, k) * of(b, j, k))]]
}

/// `N` rows at a time: 1 or 4. Zipped slices have one counter between them, where a loop over an
/// array of slices would have one each.
pub(super) struct Lines<const N: usize>;

pub(super) trait Zip<const N: usize> {
    fn zip<'a, E>(rows: [&'a [E]; N]) -> impl Iterator<Item = [&'a E; N]> + use<'a, Self, N, E>;
}

impl Zip<1> for Lines<1> {
    fn zip<'a, E>([a]: [&'a [E]; 1]) -> impl Iterator<Item = [&'a E; 1]> + use<'a, E> {
        a.iter().map(|a| [a])
    }
}

impl Zip<4> for Lines<4> {
    fn zip<'a, E>([a, b, c, d]: [&'a [E]; 4]) -> impl Iterator<Item = [&'a E; 4]> + use<'a, E> {
        a.iter().zip(b).zip(c).zip(d).map(|(((a, b), c), d)| [a, b, c, d])
    }
}
