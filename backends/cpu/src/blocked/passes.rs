//! Passes over matrices: vector code for whatever the processor has, rows shared among threads.

use alloc::vec;

use decora::backend::{AdamWStep, Store};
use decora::network::Activation;
use decora::scalar::{Accum, Scalar};
use decora::sequence::{Norm, NormKind};
use pulp::{Arch, Simd, WithSimd};

use super::bands::{bands, grouped, shared, workers};
use super::math;
use super::team::each;
use crate::kernels::{self, adamw, row, row_mut};
use crate::products::{Operand, Place};

/// Code that is compiled for each instruction set: whatever `F` inlines.
struct Vectorized<F>(F);

impl<R, F: FnOnce() -> R> WithSimd for Vectorized<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> R {
        (self.0)()
    }
}

/// Calls `f`, which inlines what it calls, with the instructions of this processor.
#[inline(always)]
pub(super) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(Vectorized(f))
}

/// Numbers that a thread updates at once: reading them from memory takes longer than to share them.
const UPDATED: usize = 4096;

pub(super) fn update<A: Accum>(step: AdamWStep<A>, clip: A, grad: &[A], [p, m, v]: [&mut [A]; 3]) {
    let moments = m.chunks_mut(UPDATED).zip(v.chunks_mut(UPDATED));
    let parts = grad.chunks(UPDATED).zip(p.chunks_mut(UPDATED)).zip(moments);
    each(parts.collect(), |((grad, p), (m, v))| {
        vectorized(|| adamw::update(step, clip, grad, p, m, v));
    });
}

/// Σ x².
pub(super) fn sum_sq<A: Accum>(x: &[A]) -> A {
    vectorized(|| math::sum(x, x, |a, b| a * b))
}

/// Rows whose products are summed on their own: the same for any number of threads.
const ROWS: usize = 32;

/// q is summed over bands of [`ROWS`] rows, then over bands.
pub(super) fn affine_grad<T: Scalar>(
    z: Operand<'_, T::Accum>,
    g: &[T::Accum],
    (dy, at): Place<'_, T>,
    q: &mut [T::Accum],
) {
    let mut sums = vec![T::Accum::default(); at.rows.div_ceil(ROWS) * at.cols];
    let parts = bands((dy, at), ROWS).into_iter().zip(sums.chunks_mut(at.cols.max(1)));
    each(grouped(parts.collect(), workers(at)), |parts| {
        for ((rows, (dy, at)), q) in parts {
            let z = z.rows(rows);
            vectorized(|| {
                for i in 0..at.rows {
                    line_grad(row(z.data, z.at, i), row_mut(dy, at, i), g, q);
                }
            });
        }
    });
    q.fill(T::Accum::default());
    for sums in sums.chunks(at.cols.max(1)) {
        q.iter_mut().zip(sums).for_each(|(q, &sum)| *q += sum);
    }
}

/// q += dy⊙z; dy becomes g⊙dy.
#[inline(always)]
fn line_grad<T: Scalar>(z: &[T::Accum], dy: &mut [T], g: &[T::Accum], q: &mut [T::Accum]) {
    for (((&z, dy), &g), q) in z.iter().zip(dy).zip(g).zip(q) {
        let d = dy.widen();
        *q += d * z;
        *dy = T::narrow(g * d);
    }
}

/// Y = φ(G)⊙U.
pub(super) fn gate<T: Scalar>(
    f: Activation,
    g: Operand<'_, T>,
    u: Operand<'_, T>,
    y: Place<'_, T>,
) {
    shared(y, |rows, (y, at)| {
        let (g, u) = (g.rows(rows.clone()), u.rows(rows));
        if f != Activation::Silu {
            return kernels::gate::gate(f, g, u, y, at);
        }
        vectorized(|| {
            for i in 0..at.rows {
                let line = row_mut(y, at, i).iter_mut().zip(row(g.data, g.at, i));
                for ((y, g), u) in line.zip(row(u.data, u.at, i)) {
                    let g = g.widen();
                    *y = T::narrow(g * math::sigmoid(g) * u.widen());
                }
            }
        });
    });
}

/// G becomes dY⊙U⊙φ'(G), U becomes dY⊙φ(G).
pub(super) fn gate_grad<T: Scalar>(
    f: Activation,
    dy: Operand<'_, T>,
    g: Place<'_, T>,
    u: Place<'_, T>,
) {
    let rows = dy.at.rows.div_ceil(workers(dy.at)).max(1);
    let both = bands(g, rows).into_iter().zip(bands(u, rows));
    each(both.collect(), |((rows, g), (_, u))| {
        let dy = dy.rows(rows);
        match f {
            Activation::Silu => vectorized(|| silu_grad(dy, g, u)),
            _ => kernels::gate::gate_grad(f, dy, g, u),
        }
    });
}

#[inline(always)]
fn silu_grad<T: Scalar>(dy: Operand<'_, T>, (g, g_at): Place<'_, T>, (u, u_at): Place<'_, T>) {
    let one = T::Accum::of(1.0);
    for i in 0..dy.at.rows {
        let line = row_mut(g, g_at, i).iter_mut().zip(row_mut(u, u_at, i));
        for ((g, u), dy) in line.zip(row(dy.data, dy.at, i)) {
            let (x, up, dy) = (g.widen(), u.widen(), dy.widen());
            let s = math::sigmoid(x);
            *g = T::narrow(dy * up * (s * (one + x * (one - s))));
            *u = T::narrow(dy * (x * s));
        }
    }
}

/// The mean of a row, and 1/√(mean square + ε) of what is left of it.
#[inline(always)]
fn of_row<T: Scalar>(norm: Norm, x: &[T]) -> (T::Accum, T::Accum) {
    let count = T::Accum::of(x.len().max(1) as f64);
    let mean = match norm.kind {
        NormKind::Rms => T::Accum::default(),
        NormKind::Layer => math::sum(x, x, |x, _| x.widen()) / count,
    };
    let sum = math::sum(x, x, |x, _| (x.widen() - mean) * (x.widen() - mean));
    (mean, T::Accum::of(1.0) / (sum / count + T::Accum::of(norm.eps)).sqrt())
}

/// Y = γ⊙X̂ + β.
pub(super) fn normalize<T: Scalar>(
    norm: Norm,
    x: Operand<'_, T>,
    gamma: &[T::Accum],
    beta: Option<&[T::Accum]>,
    y: Place<'_, T>,
) {
    shared(y, |rows, (y, at)| {
        let x = x.rows(rows);
        vectorized(|| {
            for i in 0..at.rows {
                let x = row(x.data, x.at, i);
                let (mean, inverse) = of_row(norm, x);
                let hat = |x: T| (x.widen() - mean) * inverse;
                let line = row_mut(y, at, i).iter_mut().zip(x).zip(gamma);
                match beta {
                    None => line.for_each(|((y, &x), &g)| *y = T::narrow(g * hat(x))),
                    Some(beta) => line
                        .zip(beta)
                        .for_each(|(((y, &x), &g), &b)| *y = T::narrow(g * hat(x) + b)),
                }
            }
        });
    });
}

/// dx = r·(u − mean u − x̂·mean(u⊙x̂)), u = γ⊙dy; without mean u for [`NormKind::Rms`].
pub(super) fn normalize_grad<T: Scalar>(
    norm: Norm,
    x: Operand<'_, T>,
    gamma: &[T::Accum],
    dy: Operand<'_, T>,
    store: Store,
    dx: Place<'_, T>,
) {
    shared(dx, |rows, (dx, at)| {
        let (x, dy) = (x.rows(rows.clone()), dy.rows(rows));
        vectorized(|| {
            for i in 0..at.rows {
                let (x, dy) = (row(x.data, x.at, i), row(dy.data, dy.at, i));
                line_of_norm(norm, x, gamma, dy, store, row_mut(dx, at, i));
            }
        });
    });
}

#[inline(always)]
fn line_of_norm<T: Scalar>(
    norm: Norm,
    x: &[T],
    gamma: &[T::Accum],
    dy: &[T],
    store: Store,
    dx: &mut [T],
) {
    let count = T::Accum::of(x.len().max(1) as f64);
    let (mean, inverse) = of_row(norm, x);
    let hat = |x: T| (x.widen() - mean) * inverse;
    // x̂·u = inverse·(Σ x·u − mean·Σ u), but sums of x̂·u itself are more exact.
    let mut along = [T::Accum::default(); LANES];
    let mut sums = along;
    for ((x, dy), g) in x.chunks(LANES).zip(dy.chunks(LANES)).zip(gamma.chunks(LANES)) {
        let line = along.iter_mut().zip(&mut sums).zip(x).zip(dy).zip(g);
        line.for_each(|((((along, sum), &x), dy), &g)| {
            let u = g * dy.widen();
            *along += u * hat(x);
            *sum += u;
        });
    }
    let total = |of: [T::Accum; LANES]| of.into_iter().fold(T::Accum::default(), |sum, x| sum + x);
    let along = total(along) / count;
    let middle = match norm.kind {
        NormKind::Layer => total(sums) / count,
        NormKind::Rms => T::Accum::default(),
    };
    let line = dx.iter_mut().zip(x).zip(dy).zip(gamma);
    line.for_each(|(((dx, &x), dy), &g)| {
        let d = inverse * (g * dy.widen() - middle - hat(x) * along);
        *dx = T::narrow(if store == Store::Add { dx.widen() + d } else { d });
    });
}

/// Numbers that are summed side by side.
const LANES: usize = 16;

/// The loss; X becomes scale·(softmax(Xₜ) − onehot(labelₜ)).
pub(super) fn softmax_cross_entropy<T: Scalar>(
    scale: T::Accum,
    (x, at): Place<'_, T>,
    labels: &[u32],
) -> T::Accum {
    let mut losses = vec![T::Accum::default(); at.rows];
    let rows = at.rows.div_ceil(workers(at)).max(1);
    let parts = bands((x, at), rows).into_iter().zip(losses.chunks_mut(rows));
    each(parts.collect(), |((rows, (x, at)), losses)| {
        let labels = labels.get(rows).unwrap_or_default();
        for (i, (loss, &label)) in losses.iter_mut().zip(labels).enumerate() {
            let x = row_mut(x, at, i);
            *loss = vectorized(|| of_logits(scale, x, label as usize));
        }
    });
    losses.into_iter().fold(T::Accum::default(), |sum, loss| sum + loss)
}

#[inline(always)]
fn of_logits<T: Scalar>(scale: T::Accum, x: &mut [T], label: usize) -> T::Accum {
    let Some(target) = x.get(label).map(|x| x.widen()) else {
        x.fill(T::default());
        return T::Accum::default();
    };
    let max = math::max(x, target);
    let sum = math::sum(x, x, |x, _| math::exp(x.widen() - max));
    let factor = scale / sum;
    x.iter_mut().for_each(|x| *x = T::narrow(factor * math::exp(x.widen() - max)));
    if let Some(x) = x.get_mut(label) {
        *x = T::narrow(factor * math::exp(target - max) - scale);
    }
    scale * (sum.ln() - (target - max))
}
