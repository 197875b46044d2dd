//! Which operands fit each other: one function for each operation of the contract, for backends to
//! call before they touch anything. All backends then refuse the same, in the same words.
//!
//! Matrices are given by their [`Layout`], vectors by their length, which may exceed what is used.

mod backend;
mod network;
mod sequence;

pub use backend::*;
pub use network::*;
pub use sequence::*;

use crate::error::{ShapeError, same};
use crate::mat::Layout;

type Fits = Result<(), ShapeError>;

/// The columns of a matrix are adjacent.
const fn adjacent(what: &'static str, at: Layout) -> Fits {
    if at.cols <= 1 { Ok(()) } else { same(what, (at.cs, 1), (1, 1)) }
}

/// A vector has `len` elements, or more.
const fn holds(what: &'static str, found: usize, len: usize) -> Fits {
    if found >= len { Ok(()) } else { Err(ShapeError::new(what, (found, 1), (len, 1))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfit_is_named_with_both_shapes() {
        let at = |rows, cols| Layout::row_major(0, rows, cols);
        let e = gemm(at(3, 5), at(4, 6), at(3, 6)).map_err(|e| (e.what, e.found, e.expected));
        assert_eq!(e, Err(("gemm: B".into(), (4, 6).into(), (5, 6).into())));
        let e = affine(at(2, 4), Some(3), None, at(2, 4)).map_err(|e| (e.what, e.found));
        assert_eq!(e, Err(("affine: g".into(), (3, 1).into())));
        assert!(activate(at(4, 3).t()).is_err(), "columns apart");
        assert_eq!(write(usize::MAX, 2, 9).map_err(|e| e.found), Err((usize::MAX, 1).into()));
    }
}
