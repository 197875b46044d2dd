//! Frozen weights: a matrix in the caller's memory, in the format it was shipped in.

use core::fmt;

use half::{bf16, f16};

use crate::error::{Detail, Error, Shape, ShapeError, same};
use crate::scalar::{Scalar, finite};

/// The elements of a frozen matrix, row after row, in a storage format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Format<'w> {
    /// bfloat16.
    Bf16(&'w [bf16]),
    /// IEEE half precision.
    F16(&'w [f16]),
    /// IEEE single precision.
    F32(&'w [f32]),
    /// IEEE double precision.
    F64(&'w [f64]),
}

impl Format<'_> {
    /// How many elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Bf16(w) => w.len(),
            Self::F16(w) => w.len(),
            Self::F32(w) => w.len(),
            Self::F64(w) => w.len(),
        }
    }

    /// No elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i` as the nearest `f32`; `None` beyond the end.
    #[must_use]
    pub fn single(&self, i: usize) -> Option<f32> {
        match self {
            Self::Bf16(w) => w.get(i).map(|x| x.widen()),
            Self::F16(w) => w.get(i).map(|x| x.widen()),
            Self::F32(w) => w.get(i).copied(),
            Self::F64(w) => w.get(i).map(|&x| x as f32),
        }
    }

    /// Whether element `i` is there, and finite.
    fn finite(&self, i: usize) -> bool {
        match self {
            Self::F64(w) => w.get(i).is_some_and(|&x| finite(x)),
            _ => self.single(i).is_some_and(f32::is_finite),
        }
    }

    /// Element `i` as `f64`, which holds every format exactly; `None` beyond the end.
    #[must_use]
    pub fn value(&self, i: usize) -> Option<f64> {
        match self {
            Self::Bf16(w) => w.get(i).map(|x| x.to_f64()),
            Self::F16(w) => w.get(i).map(|x| x.to_f64()),
            Self::F32(w) => w.get(i).map(|&x| f64::from(x)),
            Self::F64(w) => w.get(i).copied(),
        }
    }
}

/// A frozen weight matrix W `(rows, cols)` = `(out, in)`, not yet on any device.
///
/// A microcontroller reads it in place, out of flash; a GPU uploads it once.
#[derive(Clone, Copy, Debug)]
pub struct Frozen<'w> {
    rows: usize,
    cols: usize,
    data: Format<'w>,
}

/// Why a matrix cannot be a frozen weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrozenError {
    /// An element is infinite or not a number.
    NonFinite {
        /// The first such row.
        row: Detail<usize>,
        /// Its column.
        col: Detail<usize>,
    },
    /// There are not rows·cols elements.
    Shape(ShapeError),
}

impl fmt::Display for FrozenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonFinite { row, col } => {
                write!(f, "frozen weight: row {row}, column {col} is infinite or not a number")
            }
            Self::Shape(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for FrozenError {}

impl From<ShapeError> for FrozenError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl<E> From<FrozenError> for Error<E> {
    fn from(e: FrozenError) -> Self {
        match e {
            FrozenError::NonFinite { row, col } => {
                Self::NonFinite { what: "frozen weight".into(), row, col }
            }
            FrozenError::Shape(e) => Self::Shape(e),
        }
    }
}

impl<'w> Frozen<'w> {
    /// W `(rows, cols)` from `rows`·`cols` elements, all of them finite.
    ///
    /// # Errors
    /// [`FrozenError::Shape`] when the number of elements differs, [`FrozenError::NonFinite`] at the first
    /// element that is infinite or not a number.
    pub fn new(rows: usize, cols: usize, data: Format<'w>) -> Result<Self, FrozenError> {
        let frozen = Self::trusted(rows, cols, data)?;
        let bad = (0..data.len()).find(|&i| !data.finite(i));
        match bad {
            None => Ok(frozen),
            Some(i) => Err(FrozenError::NonFinite {
                row: i.checked_div(cols).unwrap_or_default().into(),
                col: i.checked_rem(cols).unwrap_or_default().into(),
            }),
        }
    }

    /// As [`Frozen::new`], for weights that were checked when they were made (constants in flash).
    ///
    /// # Errors
    /// [`FrozenError::Shape`] when the number of elements differs.
    pub fn trusted(rows: usize, cols: usize, data: Format<'w>) -> Result<Self, FrozenError> {
        same("frozen weight (elements)", (data.len(), 1), (rows.saturating_mul(cols), 1))?;
        Ok(Self { rows, cols, data })
    }

    /// `(rows, cols)` = `(out, in)`.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        (self.rows, self.cols)
    }

    /// The elements.
    #[must_use]
    pub const fn data(&self) -> Format<'w> {
        self.data
    }
}

#[cfg(all(test, feature = "details"))]
mod tests {
    use super::*;

    #[test]
    fn a_weight_names_what_is_wrong_with_it() {
        let short = Frozen::new(2, 3, Format::F32(&[0.0; 5]));
        assert!(
            matches!(short, Err(FrozenError::Shape(e)) if e.found == (5, 1) && e.expected == (6, 1))
        );
        let nan = Frozen::new(2, 2, Format::F16(&[f16::ONE, f16::ONE, f16::NAN, f16::ONE]));
        assert!(matches!(nan, Err(FrozenError::NonFinite { row, col }) if row == 1 && col == 0));
        let huge = Frozen::new(usize::MAX, 3, Format::F32(&[]));
        assert!(matches!(huge, Err(FrozenError::Shape(_))));
    }
}
