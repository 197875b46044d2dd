//! outᵢ = α·Σₖ Aᵢₖ·Bᵢₖ, or the same added to outᵢ.

use decora::backend::Store;
use decora::scalar::Accum;

use super::row;
use crate::products::Operand;

pub(crate) fn row_dot<A: Accum>(
    alpha: A,
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    store: Store,
    out: &mut [A],
) {
    for (i, out) in out.iter_mut().enumerate().take(a.at.rows) {
        let pairs = row(a.data, a.at, i).iter().zip(row(b.data, b.at, i));
        let sum = alpha * pairs.fold(A::default(), |sum, (&a, &b)| sum + a * b);
        *out = match store {
            Store::Replace => sum,
            Store::Add => *out + sum,
        };
    }
}
