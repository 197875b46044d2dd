//! Matrix views: where the elements of an operand lie in a buffer. Transposing is free.

use core::fmt;

use crate::backend::Backend;
use crate::buffer::{Buffer, Role};
use crate::error::{Shape, ShapeError};

/// Where element (i, j) lies: `offset + i·rs + j·cs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of element (0, 0).
    pub offset: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// From one row to the next.
    pub rs: usize,
    /// From one column to the next.
    pub cs: usize,
}

impl Layout {
    /// Row after row without gaps.
    #[must_use]
    pub const fn row_major(offset: usize, rows: usize, cols: usize) -> Self {
        Self { offset, rows, cols, rs: cols, cs: 1 }
    }

    /// Rows and columns swapped.
    #[must_use]
    pub const fn t(self) -> Self {
        let Self { offset, rows, cols, rs, cs } = self;
        Self { offset, rows: cols, cols: rows, rs: cs, cs: rs }
    }

    /// `(rows, cols)`.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        (self.rows, self.cols)
    }

    /// One past the last element; 0 when there are none.
    #[must_use]
    pub const fn end(&self) -> usize {
        if self.rows == 0 || self.cols == 0 {
            return 0;
        }
        let row = (self.rows - 1).saturating_mul(self.rs);
        let col = (self.cols - 1).saturating_mul(self.cs);
        self.offset.saturating_add(row).saturating_add(col).saturating_add(1)
    }

    /// `count` rows from `first` on.
    #[must_use]
    pub const fn rows_from(self, first: usize, count: usize) -> Self {
        Self { offset: self.offset + first * self.rs, rows: count, ..self }
    }

    const fn within(self, len: usize) -> Result<Self, ShapeError> {
        if self.end() <= len {
            return Ok(self);
        }
        let what = "matrix view over a buffer (as lengths)";
        Err(ShapeError::new(what, (self.end(), 1), (len, 1)))
    }
}

/// A matrix to read.
pub struct Mat<'a, B: Backend, R: Role> {
    /// Where the elements are.
    pub buf: &'a B::Buf<R>,
    /// How they lie.
    pub at: Layout,
}

/// A matrix to write.
pub struct MatMut<'a, B: Backend, R: Role> {
    /// Where the elements are.
    pub buf: &'a mut B::Buf<R>,
    /// How they lie.
    pub at: Layout,
}

impl<B: Backend, R: Role> Clone for Mat<'_, B, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend, R: Role> Copy for Mat<'_, B, R> {}

impl<B: Backend, R: Role> fmt::Debug for Mat<'_, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl<B: Backend, R: Role> fmt::Debug for MatMut<'_, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

impl<'a, B: Backend, R: Role> Mat<'a, B, R> {
    /// The first `rows`·`cols` elements, row after row.
    ///
    /// # Errors
    /// [`ShapeError`] when the buffer is shorter.
    pub fn new(buf: &'a B::Buf<R>, rows: usize, cols: usize) -> Result<Self, ShapeError> {
        Self::with(buf, Layout::row_major(0, rows, cols))
    }

    /// The elements at `at`.
    ///
    /// # Errors
    /// [`ShapeError`] when some lie beyond the buffer.
    pub fn with(buf: &'a B::Buf<R>, at: Layout) -> Result<Self, ShapeError> {
        Ok(Self { buf, at: at.within(buf.len())? })
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { at: self.at.t(), ..self }
    }

    /// `(rows, cols)`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.at.shape()
    }
}

impl<'a, B: Backend, R: Role> MatMut<'a, B, R> {
    /// The first `rows`·`cols` elements, row after row.
    ///
    /// # Errors
    /// [`ShapeError`] when the buffer is shorter.
    pub fn new(buf: &'a mut B::Buf<R>, rows: usize, cols: usize) -> Result<Self, ShapeError> {
        Self::with(buf, Layout::row_major(0, rows, cols))
    }

    /// The elements at `at`.
    ///
    /// # Errors
    /// [`ShapeError`] when some lie beyond the buffer.
    pub fn with(buf: &'a mut B::Buf<R>, at: Layout) -> Result<Self, ShapeError> {
        let at = at.within(buf.len())?;
        Ok(Self { buf, at })
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { at: self.at.t(), ..self }
    }

    /// The same elements, to read.
    #[must_use]
    pub fn view(&self) -> Mat<'_, B, R> {
        Mat { buf: self.buf, at: self.at }
    }

    /// The same elements, to write, for a shorter time.
    #[must_use]
    pub fn reborrow(&mut self) -> MatMut<'_, B, R> {
        MatMut { buf: self.buf, at: self.at }
    }

    /// `(rows, cols)`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.at.shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_ends_at_its_last_element() {
        let at = Layout::row_major(3, 2, 5);
        assert_eq!((at.end(), at.t().end()), (13, 13));
        assert_eq!(at.rows_from(1, 1).end(), 13);
        assert_eq!(Layout::row_major(3, 0, 5).end(), 0);
        let far = at.within(12).map_err(|e| (e.found, e.expected));
        assert_eq!(far, Err(((13, 1).into(), (12, 1).into())), "one element too few");
    }
}
