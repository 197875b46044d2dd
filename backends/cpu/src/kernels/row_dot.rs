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
        let (a, b) = (row(a.data, a.at, i), row(b.data, b.at, i));
        let sum = alpha * dot(a, b);
        *out = match store {
            Store::Replace => sum,
            Store::Add => *out + sum,
        };
    }
}

/// Four at a time, and at most three more.
#[inline(always)]
fn dot<A: Accum>(a: &[A], b: &[A]) -> A {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sum = A::default();
    for (a, b) in a.iter().zip(b) {
        for (&a, &b) in a.iter().zip(b) {
            sum += a * b;
        }
    }
    for k in 0..3 {
        let (Some(&a), Some(&b)) = (last_a.get(k), last_b.get(k)) else { break };
        sum += a * b;
    }
    sum
}
