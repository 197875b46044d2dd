//! One SGD update.

use decora::backend::SgdStep;
use decora::scalar::Accum;

/// u ← μu + ĝ; p ← p − rate·u, with ĝ = clip·grad + decay·p. Without u: u = ĝ.
pub(crate) fn sgd<A: Accum>(
    step: SgdStep<A>,
    clip: A,
    grad: &[A],
    p: &mut [A],
    u: Option<&mut [A]>,
) {
    let SgdStep { rate, momentum, decay } = step;
    let pairs = grad.iter().zip(p);
    match u {
        Some(u) => pairs.zip(u).for_each(|((&g, p), u)| {
            *u = momentum * *u + (clip * g + decay * *p);
            *p -= rate * *u;
        }),
        None => pairs.for_each(|(&g, p)| *p -= rate * (clip * g + decay * *p)),
    }
}
