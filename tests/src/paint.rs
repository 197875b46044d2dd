//! What operands hold, and how they lie in their buffers.

use decora::mat::Layout;

/// ((17·i + 29·j + 13·salt) mod 61 − 30)/23: a value in (−1.4, 1.4) that tells its row from its
/// column, so that swapped or shifted indices show.
#[must_use]
pub fn paint(salt: usize, i: usize, j: usize) -> f64 {
    (((17 * i + 29 * j + 13 * salt) % 61) as f64 - 30.0) / 23.0
}

/// A whole number from −1 to 2 that differs likewise: sums of up to four million of their products
/// are exact in `f32`, in any order, so that a single term that is left out shows however long the
/// sum is.
#[must_use]
pub fn whole(salt: usize, i: usize, j: usize) -> f64 {
    ((17 * i + 29 * j + 13 * salt) % 61 % 4) as f64 - 1.0
}

/// `rows`·`cols` painted values, row after row.
#[must_use]
pub fn painted(salt: usize, rows: usize, cols: usize) -> Vec<f64> {
    (0..rows * cols).map(|at| paint(salt, at / cols, at % cols)).collect()
}

/// What lies between the elements of an output, and after them: must be there afterwards too.
pub(crate) const GAP: f64 = -97.0;

/// How a matrix lies in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Row after row, in a buffer of exactly that length.
    Tight,
    /// Column after column, in a buffer of exactly that length.
    Turned,
    /// Row after row with gaps between the rows, before the first and after the last.
    Gaps,
    /// Column after column with gaps.
    TurnedGaps,
    /// With gaps between all elements.
    Apart,
}

impl View {
    /// Every view: what a product takes.
    pub const ALL: [Self; 5] =
        [Self::Tight, Self::Turned, Self::Gaps, Self::TurnedGaps, Self::Apart];

    /// The views with adjacent columns: what every operation takes.
    pub const ROWS: [Self; 2] = [Self::Tight, Self::Gaps];

    /// Where a matrix `(rows, cols)` lies, and the length of its buffer.
    #[must_use]
    pub fn layout(self, rows: usize, cols: usize) -> (Layout, usize) {
        let tight = rows * cols;
        match self {
            Self::Tight => (Layout::row_major(0, rows, cols), tight),
            Self::Turned => (Layout::row_major(0, cols, rows).t(), tight),
            Self::Gaps => roomy(Layout { offset: 3, rows, cols, rs: cols + 2, cs: 1 }),
            Self::TurnedGaps => roomy(Layout { offset: 5, rows, cols, rs: 1, cs: rows + 3 }),
            Self::Apart => roomy(Layout { offset: 1, rows, cols, rs: 2 * cols + 3, cs: 2 }),
        }
    }
}

fn roomy(at: Layout) -> (Layout, usize) {
    (at, at.end().max(at.offset) + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_differ() {
        let square = painted(1, 60, 60);
        let swapped = (0..3600).filter(|&at| square[at] == square[at % 60 * 60 + at / 60]).count();
        assert_eq!(swapped, 60, "only the diagonal survives a transpose");
    }

    #[test]
    fn no_view_puts_two_elements_in_one_place() {
        for view in View::ALL {
            let (at, len) = view.layout(5, 7);
            let mut places: Vec<usize> =
                (0..35).map(|e| at.offset + e / 7 * at.rs + e % 7 * at.cs).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!((places.len(), places[34] < len), (35, true), "{view:?}");
        }
    }
}
