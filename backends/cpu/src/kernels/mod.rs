//! One file per kernel, each with the name of its operation. Slices in, slices out: shapes were
//! checked by the caller.

pub(crate) mod activate;
pub(crate) mod adamw;
pub(crate) mod affine;
pub(crate) mod attention;
pub(crate) mod axpy;
pub(crate) mod col_sum;
pub(crate) mod dropout;
pub(crate) mod frozen;
pub(crate) mod gain;
pub(crate) mod gate;
pub(crate) mod gather;
pub(crate) mod low_rank_row_sq;
pub(crate) mod normalize;
pub(crate) mod rotate;
pub(crate) mod row_dot;
pub(crate) mod scale_rows;
pub(crate) mod sgd;
pub(crate) mod single;
pub(crate) mod softmax_cross_entropy;
pub(crate) mod squared_error;
pub(crate) mod sum_sq;

use decora::mat::Layout;

/// Row `i` of a matrix whose columns are adjacent; empty when it is not there.
pub(crate) fn row<E>(data: &[E], at: Layout, i: usize) -> &[E] {
    let start = at.offset + i * at.rs;
    data.get(start..start + at.cols).unwrap_or_default()
}

/// As [`row`], to write.
pub(crate) fn row_mut<E>(data: &mut [E], at: Layout, i: usize) -> &mut [E] {
    let start = at.offset + i * at.rs;
    data.get_mut(start..start + at.cols).unwrap_or_default()
}
