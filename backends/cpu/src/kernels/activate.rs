//! Y = φ(Y), and dY = dY⊙φ'.

use decora::mat::Layout;
use decora::network::Activation;
use decora::scalar::Scalar;

use super::{row, row_mut};
use crate::products::Operand;

pub(crate) fn activate<T: Scalar>(f: Activation, y: &mut [T], at: Layout) {
    for i in 0..at.rows {
        for y in row_mut(y, at, i) {
            *y = T::narrow(f.apply(y.widen()));
        }
    }
}

pub(crate) fn activate_grad<T: Scalar>(
    f: Activation,
    kept: Operand<'_, T>,
    dy: &mut [T],
    at: Layout,
) {
    for i in 0..at.rows {
        for (kept, dy) in row(kept.data, kept.at, i).iter().zip(row_mut(dy, at, i)) {
            *dy = T::narrow(dy.widen() * f.slope(kept.widen()));
        }
    }
}
