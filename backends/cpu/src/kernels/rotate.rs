//! Rotary positions.

use decora::mat::Layout;
use decora::scalar::Scalar;
use decora::sequence::Turn;

use super::{row, row_mut};
use crate::products::Operand;

/// Turns each head of each row by the row of the table that its position names.
pub(crate) fn rotate<T: Scalar>(
    turn: Turn,
    table: Operand<'_, T::Accum>,
    positions: &[u32],
    x: &mut [T],
    at: Layout,
) {
    for (t, &position) in positions.iter().enumerate().take(at.rows) {
        if position as usize >= table.at.rows || table.at.cols == 0 {
            continue;
        }
        let angles = row(table.data, table.at, position as usize);
        let (cos, sin) = angles.split_at(angles.len() / 2);
        for head in row_mut(x, at, t).chunks_exact_mut(table.at.cols) {
            let (low, high) = head.split_at_mut(cos.len());
            for (((a, b), &cos), &sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                let sin = if turn == Turn::Back { -sin } else { sin };
                let (x, y) = (a.widen(), b.widen());
                (*a, *b) = (T::narrow(x * cos - y * sin), T::narrow(y * cos + x * sin));
            }
        }
    }
}
