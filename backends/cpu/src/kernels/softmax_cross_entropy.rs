//! Σₜ −ln softmax(Xₜ)[labelₜ], and its gradient in place of X.

use decora::mat::Layout;
use decora::scalar::{Accum, Scalar};

use super::row_mut;
use crate::products::same_type;

/// The loss; X becomes scale·(softmax(Xₜ) − onehot(labelₜ)).
pub(crate) fn softmax_cross_entropy<T: Scalar>(
    scale: T::Accum,
    x: &mut [T],
    at: Layout,
    labels: &[u32],
) -> T::Accum {
    let mut loss = T::Accum::default();
    for (i, &label) in labels.iter().enumerate().take(at.rows) {
        loss += of_row(scale, row_mut(x, at, i), label as usize);
    }
    loss
}

fn of_row<T: Scalar>(scale: T::Accum, x: &mut [T], label: usize) -> T::Accum {
    let Some(target) = x.get(label).map(|x| x.widen()) else {
        x.fill(T::default());
        return T::Accum::default();
    };
    let max = x.iter().fold(target, |max, x| max.at_least(x.widen()));
    // X has room for what is summed, unless it is rounded there.
    let keeps = same_type::<T, T::Accum>();
    let sum = x.iter_mut().fold(T::Accum::default(), |sum, x| {
        let e = (x.widen() - max).exp();
        if keeps {
            *x = T::narrow(e);
        }
        sum + e
    });
    for (j, x) in x.iter_mut().enumerate() {
        let e = if keeps { x.widen() } else { (x.widen() - max).exp() };
        let one = T::Accum::of(if j == label { 1.0 } else { 0.0 });
        *x = T::narrow(scale * (e / sum - one));
    }
    scale * (sum.ln() - (target - max))
}
