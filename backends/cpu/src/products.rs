//! C = α·A·B: the portable kernel, four rows by four columns at a time.
//!
//! Every element of C is one sum over k, from the first to the last, in one accumulator, without
//! fused multiply-add: whatever the tiling, the bits are the same on every machine.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use crate::kernels::row;

/// A matrix to read: elements and where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, E> {
    /// The whole buffer.
    pub data: &'a [E],
    /// Where the matrix lies in it.
    pub at: Layout,
}

impl<E> Operand<'_, E> {
    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { at: self.at.t(), ..self }
    }
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
        let b = b.t();
        let out = |acc: A, old: Z| match store {
            Store::Replace => Z::store(alpha * acc),
            Store::Add => Z::store(old.load::<A>() + alpha * acc),
        };
        match (at.rows >= 4, at.cols >= 4) {
            (true, true) => tiles::<4, 4, A, X, Y, Z>(a, b, c, at, &out),
            (true, false) => tiles::<4, 1, A, X, Y, Z>(a, b, c, at, &out),
            (false, true) => tiles::<1, 4, A, X, Y, Z>(a, b, c, at, &out),
            (false, false) => tiles::<1, 1, A, X, Y, Z>(a, b, c, at, &out),
        }
    }
}

/// All of C in tiles of `M` rows and `N` columns. The last tile of a row or column starts early
/// enough to be whole, and stores only what is new. `b` is Bᵀ: rows of C come from rows of A,
/// columns of C from rows of Bᵀ.
fn tiles<const M: usize, const N: usize, A: Accum, X: Element, Y: Element, Z: Element>(
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    c: &mut [Z],
    at: Layout,
    out: &impl Fn(A, Z) -> Z,
) where
    Lines<M>: Pick<M>,
    Lines<N>: Pick<N>,
{
    let mut i = 0;
    while i < at.rows {
        let top = i.min(at.rows - M);
        let mut j = 0;
        while j < at.cols {
            let left = j.min(at.cols - N);
            let tile = tile::<M, N, A, X, Y>(a, b, top, left);
            for (row, line) in tile.iter().enumerate().skip(i - top) {
                for (col, &acc) in line.iter().enumerate().skip(j - left) {
                    let place = at.offset + (top + row) * at.rs + (left + col) * at.cs;
                    if let Some(z) = c.get_mut(place) {
                        *z = out(acc, *z);
                    }
                }
            }
            j = left + N;
        }
        i = top + M;
    }
}

/// M·N sums at once: rows `top..` of A with rows `left..` of Bᵀ.
fn tile<const M: usize, const N: usize, A: Accum, X: Element, Y: Element>(
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    top: usize,
    left: usize,
) -> [[A; N]; M]
where
    Lines<M>: Pick<M>,
    Lines<N>: Pick<N>,
{
    match (Lie::of(a.at), Lie::of(b.at)) {
        (Lie::Along, Lie::Along) => sums(along::<M, A, X>(a, top), along::<N, A, Y>(b, left)),
        (Lie::Along, Lie::Across) => sums(along::<M, A, X>(a, top), across::<N, A, Y>(b, left)),
        (Lie::Across, Lie::Along) => sums(across::<M, A, X>(a, top), along::<N, A, Y>(b, left)),
        (Lie::Across, Lie::Across) => sums(across::<M, A, X>(a, top), across::<N, A, Y>(b, left)),
        _ => sums(strided::<M, A, X>(a, top), strided::<N, A, Y>(b, left)),
    }
}

fn sums<const M: usize, const N: usize, A: Accum>(
    a: impl Iterator<Item = [A; M]>,
    b: impl Iterator<Item = [A; N]>,
) -> [[A; N]; M] {
    let mut sums = [[A::default(); N]; M];
    for (x, y) in a.zip(b) {
        for (line, &x) in sums.iter_mut().zip(&x) {
            for (sum, &y) in line.iter_mut().zip(&y) {
                *sum += x * y;
            }
        }
    }
    sums
}

/// How the k elements of a row lie.
enum Lie {
    /// One after the other.
    Along,
    /// A stride apart, with those of the other rows beside them.
    Across,
    /// Neither, or overlapping.
    Strided,
}

impl Lie {
    fn of(at: Layout) -> Self {
        match (at.rs, at.cs) {
            (_, 1) => Self::Along,
            (1, stride) if stride >= at.rows => Self::Across,
            _ => Self::Strided,
        }
    }
}

/// The k-th elements of `N` rows from `first` on, for each k.
fn along<'a, const N: usize, A: Accum, E: Element>(
    of: Operand<'a, E>,
    first: usize,
) -> impl Iterator<Item = [A; N]> + use<'a, N, A, E>
where
    Lines<N>: Pick<N>,
{
    <Lines<N> as Pick<N>>::zip(core::array::from_fn(|j| row(of.data, of.at, first + j)))
}

fn across<const N: usize, A: Accum, E: Element>(
    of: Operand<'_, E>,
    first: usize,
) -> impl Iterator<Item = [A; N]> {
    let start = of.at.offset + first;
    let lines = of.data.get(start..).unwrap_or_default().chunks(of.at.cs.max(1));
    lines.take(of.at.cols).map(|line| match line.first_chunk::<N>() {
        Some(some) => some.map(E::load),
        None => [A::default(); N],
    })
}

fn strided<const N: usize, A: Accum, E: Element>(
    of: Operand<'_, E>,
    first: usize,
) -> impl Iterator<Item = [A; N]> {
    let Layout { offset, rs, cs, cols, .. } = of.at;
    (0..cols).map(move |k| {
        core::array::from_fn(|j| {
            let place = offset + (first + j) * rs + k * cs;
            of.data.get(place).map_or(A::default(), |&e| e.load())
        })
    })
}

/// `N` rows at a time: 1 or 4. Zipped slices have one counter between them, where a loop over an
/// array of slices would have one each.
pub(crate) struct Lines<const N: usize>;

pub(crate) trait Pick<const N: usize> {
    fn zip<'a, A: Accum, E: Element>(
        rows: [&'a [E]; N],
    ) -> impl Iterator<Item = [A; N]> + use<'a, Self, N, A, E>;
}

impl Pick<1> for Lines<1> {
    fn zip<'a, A: Accum, E: Element>(
        [a]: [&'a [E]; 1],
    ) -> impl Iterator<Item = [A; 1]> + use<'a, A, E> {
        a.iter().map(|a| [a.load()])
    }
}

impl Pick<4> for Lines<4> {
    fn zip<'a, A: Accum, E: Element>(
        [a, b, c, d]: [&'a [E]; 4],
    ) -> impl Iterator<Item = [A; 4]> + use<'a, A, E> {
        let rows = a.iter().zip(b).zip(c).zip(d);
        rows.map(|(((a, b), c), d)| [a.load(), b.load(), c.load(), d.load()])
    }
}
