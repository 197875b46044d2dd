//! What becomes of sums.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::sums::Tile;
use super::tiles::Part;

/// Where sums begin, and where they go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Into<A> {
    /// C = α·sum.
    Replace(A),
    /// C += α·sum.
    Add(A),
    /// The sum begins with C and is C in the end.
    Continue,
}

impl<A: Accum> Into<A> {
    /// The same in `f32`, which `A` is.
    pub(super) fn f32(&self) -> Into<f32> {
        match self {
            Self::Replace(alpha) => Into::Replace(alpha.f32()),
            Self::Add(alpha) => Into::Add(alpha.f32()),
            Self::Continue => Into::Continue,
        }
    }
}

/// C, and what is done to it.
pub(super) struct Target<'a, A, Z> {
    pub(super) into: &'a Into<A>,
    pub(super) c: &'a mut [Z],
    /// With adjacent columns, where sums continue.
    pub(super) at: Layout,
}

impl<A: Accum, Z: Element> Target<'_, A, Z> {
    /// Computes the tile of rows `i` and columns `j` by `sums`, which continues the sums it is given.
    /// Where it answers `None`, elements are missing, and nothing is done.
    #[inline(always)]
    pub(super) fn tile<const M: usize, const N: usize>(
        &mut self,
        i: Part,
        j: Part,
        sums: impl Fn(Tile<M, N, A>) -> Option<Tile<M, N, A>>,
    ) -> Option<()> {
        let offset = self.at.offset + i.at * self.at.rs + j.at * self.at.cs;
        let zeros = [Z::default(); N];
        let start = match self.into {
            Into::Continue => load(self.c.get(offset..)?, self.at.rs)?,
            _ => load(&zeros, 0)?,
        };
        let place = Layout { offset, rows: i.old, cols: j.old, ..self.at };
        store(self.into, sums(start)?, self.c, place);
        Some(())
    }
}

/// The first elements of lines that lie `stride` apart.
#[inline(always)]
fn load<const M: usize, const N: usize, A: Accum, Z: Element>(
    mut from: &[Z],
    stride: usize,
) -> Option<Tile<M, N, A>> {
    let mut tile = [[A::default(); N]; M];
    for line in &mut tile {
        *line = from.first_chunk::<N>()?.map(|z| z.load());
        from = from.get(stride..).unwrap_or_default();
    }
    Some(tile)
}

/// Stores a tile, but for its first `at.rows` rows and `at.cols` columns.
#[inline(always)]
fn store<const M: usize, const N: usize, A: Accum, Z: Element>(
    into: &Into<A>,
    tile: Tile<M, N, A>,
    c: &mut [Z],
    at: Layout,
) {
    if (at.rows, at.cols, at.cs) != (0, 0, 1) {
        // A copy, so that only here the sums are in memory and not in registers.
        let sums = tile;
        return store_some(into, sums.as_flattened(), N, c, at);
    }
    let c = c.get_mut(at.offset..).unwrap_or_default();
    match *into {
        Into::Replace(alpha) => each(c, at.rs, tile, |z, sum| *z = Z::store(alpha * sum)),
        Into::Add(alpha) => {
            each(c, at.rs, tile, |z, sum| *z = Z::store(z.load::<A>() + alpha * sum))
        }
        Into::Continue => each(c, at.rs, tile, |z, sum| *z = Z::store(sum)),
    };
}

/// Calls `f` with each element of lines that lie `stride` apart, and its sum.
#[inline(always)]
fn each<const M: usize, const N: usize, A: Accum, Z: Element>(
    mut rest: &mut [Z],
    stride: usize,
    tile: Tile<M, N, A>,
    f: impl Fn(&mut Z, A),
) -> Option<()> {
    for (i, sums) in tile.iter().enumerate() {
        let mut line = core::mem::take(&mut rest);
        if i + 1 < M {
            (line, rest) = line.split_at_mut_checked(stride)?;
        }
        line.first_chunk_mut::<N>()?.iter_mut().zip(sums).for_each(|(z, &sum)| f(z, sum));
    }
    Some(())
}

/// Stores what lies in lines of `n`, but for the first `at.rows` lines and `at.cols` of each.
#[inline(never)]
pub(super) fn store_some<A: Accum, Z: Element>(
    into: &Into<A>,
    sums: &[A],
    n: usize,
    c: &mut [Z],
    at: Layout,
) {
    for (i, line) in sums.chunks_exact(n.max(1)).enumerate().skip(at.rows) {
        for (j, &sum) in line.iter().enumerate().skip(at.cols) {
            let Some(z) = c.get_mut(at.offset + i * at.rs + j * at.cs) else { return };
            *z = Z::store(match *into {
                Into::Replace(alpha) => alpha * sum,
                Into::Add(alpha) => z.load::<A>() + alpha * sum,
                Into::Continue => sum,
            });
        }
    }
}
