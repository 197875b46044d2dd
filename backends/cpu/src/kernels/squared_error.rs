//! Σ (X − T)², and its gradient in place of X.

use decora::mat::Layout;
use decora::scalar::Scalar;

use super::{row, row_mut};
use crate::products::Operand;

/// scale·Σ (X − T)²; X becomes 2·scale·(X − T).
pub(crate) fn squared_error<S: Scalar>(
    scale: S::Accum,
    x: &mut [S],
    at: Layout,
    target: Operand<'_, S>,
) -> S::Accum {
    let mut sum = S::Accum::default();
    for i in 0..at.rows {
        for (x, t) in row_mut(x, at, i).iter_mut().zip(row(target.data, target.at, i)) {
            let d = x.widen() - t.widen();
            sum += d * d;
            *x = S::narrow((scale + scale) * d);
        }
    }
    scale * sum
}
