//! One AdamW update.

use decora::backend::AdamWStep;
use decora::scalar::Accum;

use super::single::{cast, cast_mut};
use crate::products::same_type;

/// p ← decay·p; m ← β₁m + (1−β₁)ĝ; v ← β₂v + (1−β₂)ĝ²; p ← p − rate·m/(root·√v + ε), with
/// ĝ = clip·grad, and √v to within one unit in the last place.
pub(crate) fn adamw<A: Accum>(
    step: AdamWStep<A>,
    clip: A,
    grad: &[A],
    p: &mut [A],
    m: &mut [A],
    v: &mut [A],
) {
    if same_type::<A, f32>() {
        let AdamWStep { beta1, beta2, eps, decay, rate, root } = step;
        let [beta1, beta2, eps, decay, rate, root] =
            [beta1, beta2, eps, decay, rate, root].map(A::f32);
        let step = AdamWStep { beta1, beta2, eps, decay, rate, root };
        return single(step, clip.f32(), cast(grad), cast_mut(p), cast_mut(m), cast_mut(v));
    }
    update(step, clip, grad, p, m, v);
}

/// Compiled with this crate and once for all programs, as [`super::single`] says.
#[inline(never)]
fn single(
    step: AdamWStep<f32>,
    clip: f32,
    grad: &[f32],
    p: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    update(step, clip, grad, p, m, v);
}

/// One update, compiled where it is called.
#[inline(always)]
pub(crate) fn update<A: Accum>(
    step: AdamWStep<A>,
    clip: A,
    grad: &[A],
    p: &mut [A],
    m: &mut [A],
    v: &mut [A],
) {
    let AdamWStep { beta1, beta2, eps, decay, rate, root } = step;
    let one = A::of(1.0);
    for (((&g, p), m), v) in grad.iter().zip(p).zip(m).zip(v) {
        let g = clip * g;
        *m = beta1 * *m + (one - beta1) * g;
        *v = beta2 * *v + (one - beta2) * g * g;
        *p = decay * *p - rate * *m / (root * v.near_sqrt() + eps);
    }
}

/// What clipping multiplies gradients by: min(1, max/(√`sum_sq` + 1e-6)).
pub(crate) fn clip<A: Accum>(max: A, sum_sq: A) -> A {
    let factor = max / (sum_sq.sqrt() + A::of(1e-6));
    if factor < A::of(1.0) { factor } else { A::of(1.0) }
}
