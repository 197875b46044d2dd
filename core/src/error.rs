//! What can go wrong, named by what was found and what was expected.

use core::fmt;

use crate::shadow::Fault;

/// Rows and columns, or a length and 1.
pub type Shape = (usize, usize);

/// Two shapes that must agree and do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ShapeError {
    /// Which operand of which operation.
    pub what: &'static str,
    /// The shape that was given, `(rows, cols)`.
    pub found: Shape,
    /// The shape that fits, `(rows, cols)`.
    pub expected: Shape,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((fr, fc), (er, ec)) = (self.found, self.expected);
        write!(f, "{}: found {fr}×{fc}, expected {er}×{ec}", self.what)
    }
}

impl core::error::Error for ShapeError {}

/// `Ok` when the two shapes agree.
///
/// # Errors
/// [`ShapeError`] naming `what` and both shapes.
#[inline]
pub const fn same(what: &'static str, found: Shape, expected: Shape) -> Result<(), ShapeError> {
    if found.0 == expected.0 && found.1 == expected.1 {
        Ok(())
    } else {
        Err(ShapeError { what, found, expected })
    }
}

/// What kind of trouble a device is in: what a caller can act on without knowing the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The device's memory (on a microcontroller: the arena) is used up. Free some, or ask for less.
    OutOfMemory,
    /// Operands of an operation do not fit each other.
    Shape,
    /// The device is gone; everything on it is lost. Make a new one and load the last checkpoint.
    Lost,
    /// Anything else; the error's own text says what.
    Other,
}

/// The error type of a backend.
pub trait DeviceError: core::error::Error + From<ShapeError> + 'static {
    /// What a caller can act on.
    fn kind(&self) -> ErrorKind;
}

/// What an adapter, a network or an optimiser can answer on device errors `E`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<E> {
    /// More rows, layers or classes than room was made for.
    Capacity {
        /// Of what.
        what: &'static str,
        /// How many were given.
        found: usize,
        /// How many there is room for.
        expected: usize,
    },
    /// The device failed.
    Device(E),
    /// A value that is infinite or not a number where only finite ones make sense.
    NonFinite {
        /// In what.
        what: &'static str,
        /// The first such row.
        row: usize,
        /// Its column.
        col: usize,
    },
    /// A setting outside its range.
    OutOfRange {
        /// Which setting.
        what: &'static str,
        /// The value that was given.
        found: f64,
        /// The values that are allowed, in words.
        expected: &'static str,
    },
    /// A rank of 0, or above what a matrix of this shape can have.
    Rank {
        /// The rank that was asked for.
        found: usize,
        /// min(out, in): the largest rank the weight admits.
        max: usize,
    },
    /// A copy of a training run that cannot be restored.
    Shadow(Fault),
    /// Two shapes that must agree and do not.
    Shape(ShapeError),
    /// The gains of an adapter whose parameters may have changed since they were computed, where
    /// they cannot be computed anew.
    Stale {
        /// What needed them.
        what: &'static str,
    },
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { what, found, expected } => {
                write!(f, "{what}: found {found}, but there is room for {expected}")
            }
            Self::Device(e) => e.fmt(f),
            Self::NonFinite { what, row, col } => {
                write!(f, "{what}: row {row}, column {col} is infinite or not a number")
            }
            Self::OutOfRange { what, found, expected } => {
                write!(f, "{what}: found {found}, expected {expected}")
            }
            Self::Rank { found, max } => {
                write!(
                    f,
                    "rank: found {found}, expected 1 to {max}, the smaller side of the weight"
                )
            }
            Self::Shadow(fault) => fault.fmt(f),
            Self::Shape(e) => e.fmt(f),
            Self::Stale { what } => {
                write!(
                    f,
                    "{what}: gains found out of date, expected those of the last forward pass or merge"
                )
            }
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Device(e) => Some(e),
            Self::Shape(e) => Some(e),
            _ => None,
        }
    }
}

impl<E: DeviceError> From<E> for Error<E> {
    fn from(e: E) -> Self {
        Self::Device(e)
    }
}

impl<E> From<ShapeError> for Error<E> {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}
