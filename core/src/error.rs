//! What can go wrong, named by what was found and what was expected.

use core::fmt;

use crate::shadow::Fault;

/// Rows and columns, or a length and 1.
pub type Shape = (usize, usize);

/// What an error tells beyond its kind: a name, a number, a shape.
///
/// Errors are moved at every call that can fail, and their texts lie in flash. Where the feature `details`
/// is off, for devices whose flash is short, a detail is nothing: an error is its kind alone, two bytes,
/// and the same program on a host says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<T> {
    #[cfg(feature = "details")]
    value: T,
    #[cfg(not(feature = "details"))]
    value: core::marker::PhantomData<T>,
}

impl<T: Copy> Detail<T> {
    /// This one.
    #[must_use]
    #[inline(always)]
    #[cfg_attr(not(feature = "details"), expect(unused_variables, reason = "it is not kept"))]
    pub const fn new(value: T) -> Self {
        #[cfg(feature = "details")]
        return Self { value };
        #[cfg(not(feature = "details"))]
        Self { value: core::marker::PhantomData }
    }

    /// What was told; `None` where errors have no details.
    #[must_use]
    #[inline(always)]
    pub const fn get(self) -> Option<T> {
        #[cfg(feature = "details")]
        return Some(self.value);
        #[cfg(not(feature = "details"))]
        None
    }
}

impl<T: Copy> From<T> for Detail<T> {
    #[inline(always)]
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Copy + PartialEq> PartialEq<T> for Detail<T> {
    fn eq(&self, other: &T) -> bool {
        self.get() == Some(*other)
    }
}

impl<T: Copy + fmt::Display> fmt::Display for Detail<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => value.fmt(f),
            None => f.write_str("…"),
        }
    }
}

#[cfg(feature = "defmt")]
impl<T: Copy + defmt::Format> defmt::Format for Detail<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        if let Some(value) = self.get() {
            value.format(f);
        }
    }
}

/// Two shapes that must agree and do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ShapeError {
    /// Which operand of which operation.
    pub what: Detail<&'static str>,
    /// The shape that was given, `(rows, cols)`.
    pub found: Detail<Shape>,
    /// The shape that fits, `(rows, cols)`.
    pub expected: Detail<Shape>,
}

impl ShapeError {
    /// `what` has the shape `found`, and should have `expected`.
    #[must_use]
    #[inline(always)]
    pub const fn new(what: &'static str, found: Shape, expected: Shape) -> Self {
        let what = Detail::new(what);
        Self { what, found: Detail::new(found), expected: Detail::new(expected) }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some((fr, fc)), Some((er, ec))) = (self.found.get(), self.expected.get()) else {
            return f.write_str("operands of an operation do not fit each other");
        };
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
        Err(ShapeError::new(what, found, expected))
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
        what: Detail<&'static str>,
        /// How many were given.
        found: Detail<usize>,
        /// How many there is room for.
        expected: Detail<usize>,
    },
    /// The device failed.
    Device(E),
    /// A value that is infinite or not a number where only finite ones make sense.
    NonFinite {
        /// In what.
        what: Detail<&'static str>,
        /// The first such row.
        row: Detail<usize>,
        /// Its column.
        col: Detail<usize>,
    },
    /// A setting outside its range.
    OutOfRange {
        /// Which setting.
        what: Detail<&'static str>,
        /// The value that was given.
        found: Detail<f64>,
        /// The values that are allowed, in words.
        expected: Detail<&'static str>,
    },
    /// A copy of a training run that cannot be restored.
    Shadow(Fault),
    /// Two shapes that must agree and do not.
    Shape(ShapeError),
    /// The gains of an adapter whose parameters may have changed since they were computed, where
    /// they cannot be computed anew.
    Stale {
        /// What needed them.
        what: Detail<&'static str>,
    },
}

impl<E> Error<E> {
    /// [`Error::Capacity`].
    #[must_use]
    #[inline(always)]
    pub const fn capacity(what: &'static str, found: usize, expected: usize) -> Self {
        let what = Detail::new(what);
        Self::Capacity { what, found: Detail::new(found), expected: Detail::new(expected) }
    }

    /// [`Error::NonFinite`].
    #[must_use]
    #[inline(always)]
    pub const fn non_finite(what: &'static str, row: usize, col: usize) -> Self {
        Self::NonFinite { what: Detail::new(what), row: Detail::new(row), col: Detail::new(col) }
    }

    /// [`Error::OutOfRange`].
    #[must_use]
    #[inline(always)]
    pub const fn out_of_range(what: &'static str, found: f64, expected: &'static str) -> Self {
        let what = Detail::new(what);
        Self::OutOfRange { what, found: Detail::new(found), expected: Detail::new(expected) }
    }
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

#[cfg(test)]
mod tests {
    extern crate alloc;

    #[cfg(feature = "details")]
    use alloc::format;

    use super::*;

    #[test]
    #[cfg(not(feature = "details"))]
    fn without_details_errors_are_two_bytes() {
        assert_eq!(size_of::<ShapeError>(), 0);
        assert_eq!(size_of::<Result<(), Error<ErrorKind>>>(), 2);
    }

    #[test]
    #[cfg(feature = "details")]
    fn with_details_they_say_what_was_found() {
        let text = |r: Result<(), ShapeError>| r.map_err(|e| format!("{e}"));
        assert_eq!(text(same("x", (2, 3), (2, 3))), Ok(()));
        assert_eq!(text(same("x", (4, 3), (2, 3))), Err("x: found 4×3, expected 2×3".into()));
    }
}
