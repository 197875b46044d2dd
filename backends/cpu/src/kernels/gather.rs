//! Rows of a table, and the gradient of the table.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Element, Scalar};

use super::{row, row_mut};
use crate::products::Operand;

/// Yₜ = Wᵢ with i = idₜ, or the same added to Yₜ. A number that is no row is a row of zeros.
pub(crate) fn gather<T: Scalar, E: Element>(
    w: Operand<'_, E>,
    ids: &[u32],
    store: Store,
    y: &mut [T],
    at: Layout,
) {
    for (t, &id) in ids.iter().enumerate().take(at.rows) {
        let y = row_mut(y, at, t);
        match (id as usize) < w.at.rows {
            true => put(row(w.data, w.at, id as usize), store, y),
            false if store == Store::Replace => y.fill(T::default()),
            false => {}
        }
    }
}

fn put<T: Scalar, E: Element>(w: &[E], store: Store, y: &mut [T]) {
    for (y, &w) in y.iter_mut().zip(w) {
        let w = w.load::<T::Accum>();
        *y = T::narrow(if store == Store::Add { y.widen() + w } else { w });
    }
}

/// dTableᵢ = Σ dYₜ over all t with idₜ = i, or the same added to dTable.
pub(crate) fn gather_grad<T: Scalar>(
    dy: Operand<'_, T>,
    ids: &[u32],
    store: Store,
    dtable: &mut [T::Accum],
    at: Layout,
) {
    if store == Store::Replace {
        (0..at.rows).for_each(|i| row_mut(dtable, at, i).fill(T::Accum::default()));
    }
    for (t, &id) in ids.iter().enumerate().take(dy.at.rows) {
        if (id as usize) < at.rows {
            let line = row_mut(dtable, at, id as usize).iter_mut();
            line.zip(row(dy.data, dy.at, t)).for_each(|(d, dy)| *d += dy.widen());
        }
    }
}
