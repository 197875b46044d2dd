//! What becomes of sums.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::sums::Tile;
use super::tiles::Part;

/// C, and what is done to it: C = α·sums, or C += α·sums.
pub(super) struct Target<'a, A, Z> {
    pub(super) alpha: A,
    pub(super) store: Store,
    pub(super) c: &'a mut [Z],
    pub(super) at: Layout,
}

impl<A: Accum, Z: Element> Target<'_, A, Z> {
    /// Stores the sums of rows `i` and columns `j`, but for what an earlier tile has had.
    #[inline(always)]
    pub(super) fn tile(&mut self, i: Part, j: Part, sums: &Tile<A>) -> Option<()> {
        let Layout { offset, rs, cs, .. } = self.at;
        let first = offset + i.at * rs + j.at * cs;
        match (rs, cs) {
            _ if i.old + j.old > 0 => self.some(i, j, sums),
            (stride, 1) => self.lines(first, stride, false, sums),
            (1, stride) => self.lines(first, stride, true, sums),
            _ => self.some(i, j, sums),
        }
    }

    /// Four lines of C, which are rows of sums or columns.
    #[inline(never)]
    fn lines(&mut self, first: usize, stride: usize, cols: bool, sums: &Tile<A>) -> Option<()> {
        let (a, rest) = self.c.get_mut(first..)?.split_at_mut_checked(stride)?;
        let (b, rest) = rest.split_at_mut_checked(stride)?;
        let (c, d) = rest.split_at_mut_checked(stride)?;
        let lines = [
            a.first_chunk_mut::<4>()?,
            b.first_chunk_mut::<4>()?,
            c.first_chunk_mut::<4>()?,
            d.first_chunk_mut::<4>()?,
        ];
        let sums = if cols { turned(sums) } else { *sums };
        for (c, sums) in lines.into_iter().zip(sums) {
            let [s0, s1, s2, s3] = sums.map(|sum| self.alpha * sum);
            *c = match self.store {
                Store::Replace => [s0, s1, s2, s3].map(Z::store),
                Store::Add => {
                    let [c0, c1, c2, c3] = c.map(|c| c.load::<A>());
                    [c0 + s0, c1 + s1, c2 + s2, c3 + s3].map(Z::store)
                }
            };
        }
        Some(())
    }

    /// Stores what an earlier tile has not had.
    #[inline(never)]
    fn some(&mut self, i: Part, j: Part, sums: &Tile<A>) -> Option<()> {
        let at = self.at;
        for (row, line) in sums.iter().enumerate().skip(i.old) {
            for (col, &sum) in line.iter().enumerate().skip(j.old) {
                self.put(at.offset + (i.at + row) * at.rs + (j.at + col) * at.cs, sum)?;
            }
        }
        Some(())
    }

    /// Stores the sums of rows `i` and column `j`, but for what was had before.
    #[inline(never)]
    pub(super) fn column(&mut self, i: Part, j: usize, sums: &[A]) -> Option<()> {
        let Layout { offset, rs, cs, .. } = self.at;
        let mut place = offset + (i.at + i.old) * rs + j * cs;
        for &sum in sums.get(i.old..)? {
            self.put(place, sum)?;
            place += rs;
        }
        Some(())
    }

    #[inline(always)]
    fn put(&mut self, place: usize, sum: A) -> Option<()> {
        let z = self.c.get_mut(place)?;
        let sum = self.alpha * sum;
        *z = Z::store(match self.store {
            Store::Replace => sum,
            Store::Add => z.load::<A>() + sum,
        });
        Some(())
    }
}

/// Rows as columns.
fn turned<A: Accum>(tile: &Tile<A>) -> Tile<A> {
    let [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]] = *tile;
    [[a, e, i, m], [b, f, j, n], [c, g, k, o], [d, h, l, p]]
}
