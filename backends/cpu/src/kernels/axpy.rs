//! Y = α·X, or Y += α·X.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::{row, row_mut};
use crate::products::Operand;

pub(crate) fn axpy<A: Accum, X: Element, Y: Element>(
    alpha: A,
    x: Operand<'_, X>,
    store: Store,
    y: &mut [Y],
    at: Layout,
) {
    for i in 0..at.rows {
        let (x, y) = (row(x.data, x.at, i), row_mut(y, at, i));
        for (y, &x) in y.iter_mut().zip(x) {
            let ax = alpha * x.load::<A>();
            *y = match store {
                Store::Replace => Y::store(ax),
                Store::Add => Y::store(y.load::<A>() + ax),
            };
        }
    }
}
