//! out₀ = Σ x², or the same added to out₀.

use decora::backend::Store;
use decora::scalar::Accum;

pub(crate) fn sum_sq<A: Accum>(x: &[A], store: Store, out: &mut [A]) {
    let sum = x.iter().fold(A::default(), |sum, &x| sum + x * x);
    for out in out.iter_mut().take(1) {
        *out = match store {
            Store::Replace => sum,
            Store::Add => *out + sum,
        };
    }
}
