//! Y = mask⊙X/(1 − p), or the same added to Y.

use decora::backend::{Dropout, Store};
use decora::mat::Layout;
use decora::scalar::{Accum, Scalar};

use super::{row, row_mut};
use crate::products::Operand;

pub(crate) fn dropout<T: Scalar>(
    drop: Dropout,
    x: Operand<'_, T>,
    store: Store,
    y: &mut [T],
    at: Layout,
) {
    let scale = T::Accum::of(drop.scale());
    for i in 0..at.rows {
        let line = row(x.data, x.at, i).iter().zip(row_mut(y, at, i)).enumerate();
        for (j, (&x, y)) in line {
            let kept = if drop.keeps((i * at.cols + j) as u32) {
                scale * x.widen()
            } else {
                T::Accum::default()
            };
            *y = match store {
                Store::Replace => T::narrow(kept),
                Store::Add => T::narrow(y.widen() + kept),
            };
        }
    }
}
