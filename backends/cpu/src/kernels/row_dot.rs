//! outᵢ = α·Σₖ Aᵢₖ·Bᵢₖ, or the same added to outᵢ.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::Accum;

use super::row;
use crate::products::Operand;

pub(crate) fn row_dot<'a, A: Accum>(
    alpha: A,
    a: Operand<'a, A>,
    b: Operand<'a, A>,
    store: Store,
    out: &mut [A],
) {
    let gapless = |at: Layout| at.rs == at.cols && at.cols > 0;
    if gapless(a.at) && gapless(b.at) {
        let lines = |of: Operand<'a, A>| {
            let data = of.data.get(of.at.offset..).unwrap_or_default();
            data.chunks_exact(of.at.cols.max(1))
        };
        for ((a, b), out) in lines(a).zip(lines(b)).zip(out) {
            put(alpha * dot(a, b), store, out);
        }
        return;
    }
    for (i, out) in out.iter_mut().enumerate() {
        put(alpha * dot(row(a.data, a.at, i), row(b.data, b.at, i)), store, out);
    }
}

#[inline(always)]
fn dot<A: Accum>(a: &[A], b: &[A]) -> A {
    a.iter().zip(b).fold(A::default(), |sum, (&a, &b)| sum + a * b)
}

fn put<A: Accum>(sum: A, store: Store, out: &mut A) {
    *out = match store {
        Store::Replace => sum,
        Store::Add => *out + sum,
    };
}
