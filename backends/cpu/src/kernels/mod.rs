//! One file per kernel, each with the name of its operation. Slices in, slices out: shapes were
//! checked by the caller.

pub(crate) mod activate;
pub(crate) mod adamw;
pub(crate) mod affine;
pub(crate) mod axpy;
pub(crate) mod col_sum;
pub(crate) mod dropout;
pub(crate) mod frozen;
pub(crate) mod gain;
pub(crate) mod row_dot;
pub(crate) mod scale_rows;
pub(crate) mod sgd;
pub(crate) mod softmax_cross_entropy;
pub(crate) mod squared_error;
pub(crate) mod sum_sq;

use core::slice::{ChunksExact, ChunksExactMut};

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

/// Columns `j..j + N` of a matrix whose columns are adjacent: the lines before the last row, each
/// with what lies up to the next one, and what the last row has of them. `None` without rows.
#[inline(always)]
pub(crate) fn columns<const N: usize, E>(
    data: &[E],
    at: Layout,
    j: usize,
) -> Option<(ChunksExact<'_, E>, &[E; N])> {
    let (stride, data) = (at.rs.max(1), data.get(at.offset + j..)?);
    let (body, last) = data.split_at_checked(at.rows.checked_sub(1)? * stride)?;
    Some((body.chunks_exact(stride), last.first_chunk()?))
}

/// As [`columns`], to write.
#[inline(always)]
pub(crate) fn columns_mut<const N: usize, E>(
    data: &mut [E],
    at: Layout,
    j: usize,
) -> Option<(ChunksExactMut<'_, E>, &mut [E; N])> {
    let (stride, data) = (at.rs.max(1), data.get_mut(at.offset + j..)?);
    let (body, last) = data.split_at_mut_checked(at.rows.checked_sub(1)? * stride)?;
    Some((body.chunks_exact_mut(stride), last.first_chunk_mut()?))
}
