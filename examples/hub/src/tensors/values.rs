//! The elements of a tensor, borrowed from its file or copied.

use std::borrow::Cow;

use decora::frozen::Format;
use decora::{bf16, f16};

/// Elements in a file, or a copy of them.
pub(super) type Source<'a, T> = Cow<'a, [T]>;

/// The elements of a tensor.
#[derive(Clone, Debug)]
pub enum Values<'a> {
    /// bfloat16.
    Bf16(Source<'a, bf16>),
    /// IEEE half precision.
    F16(Source<'a, f16>),
    /// IEEE single precision.
    F32(Source<'a, f32>),
}

impl Values<'_> {
    /// The elements as a frozen weight takes them.
    #[must_use]
    pub fn format(&self) -> Format<'_> {
        match self {
            Self::Bf16(x) => Format::Bf16(x),
            Self::F16(x) => Format::F16(x),
            Self::F32(x) => Format::F32(x),
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.format().len()
    }

    /// No elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they lie in the file.
    #[must_use]
    pub const fn is_borrowed(&self) -> bool {
        match self {
            Self::Bf16(x) => matches!(x, Cow::Borrowed(_)),
            Self::F16(x) => matches!(x, Cow::Borrowed(_)),
            Self::F32(x) => matches!(x, Cow::Borrowed(_)),
        }
    }

    /// A copy as `f32`, which holds each of the formats exactly.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Bf16(x) => x.iter().map(|x| x.to_f32()).collect(),
            Self::F16(x) => x.iter().map(|x| x.to_f32()).collect(),
            Self::F32(x) => x.to_vec(),
        }
    }

    /// The transpose of these elements as a matrix with `cols` columns: a copy in the same format.
    #[must_use]
    pub fn transposed(&self, cols: usize) -> Values<'static> {
        match self {
            Self::Bf16(x) => Values::Bf16(Cow::Owned(transposed(x, cols))),
            Self::F16(x) => Values::F16(Cow::Owned(transposed(x, cols))),
            Self::F32(x) => Values::F32(Cow::Owned(transposed(x, cols))),
        }
    }
}

/// In squares that fit in a cache: rows of the one and columns of the other are far apart in memory.
pub(super) fn transposed<T: Copy + Default>(x: &[T], cols: usize) -> Vec<T> {
    const SIDE: usize = 32;
    let rows = x.len().checked_div(cols).unwrap_or_default();
    let mut y = vec![T::default(); rows * cols];
    for top in (0..rows).step_by(SIDE) {
        for left in (0..cols).step_by(SIDE) {
            for i in top..rows.min(top + SIDE) {
                for j in left..cols.min(left + SIDE) {
                    y[j * rows + i] = x[i * cols + j];
                }
            }
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transpose_swaps_rows_and_columns() {
        let (rows, cols) = (37, 70);
        let x: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
        let y = Values::F32(Cow::Borrowed(&x)).transposed(cols).to_f32();
        let expected = |i: usize| ((i % rows) * cols + i / rows) as f32;
        assert!((0..rows * cols).all(|i| y[i] == expected(i)));
    }
}
