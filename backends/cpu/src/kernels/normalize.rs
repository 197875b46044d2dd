//! Y = γ⊙X̂ + β, and its gradients.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Scalar};
use decora::sequence::{Norm, NormKind};

use super::{row, row_mut};
use crate::products::Operand;

/// What makes x̂ = (x − `mean`)·`inverse` of a row.
#[derive(Clone, Copy)]
struct Of<A> {
    mean: A,
    /// 1/√(mean square + ε).
    inverse: A,
}

impl<A: Accum> Of<A> {
    fn row<T: Scalar<Accum = A>>(norm: Norm, x: &[T]) -> Self {
        let count = A::of(x.len().max(1) as f64);
        let mean = match norm.kind {
            NormKind::Rms => A::default(),
            NormKind::Layer => x.iter().fold(A::default(), |sum, x| sum + x.widen()) / count,
        };
        let square = |x: &T| (x.widen() - mean) * (x.widen() - mean);
        let sum = x.iter().fold(A::default(), |sum, x| sum + square(x));
        Self { mean, inverse: A::of(1.0) / (sum / count + A::of(norm.eps)).sqrt() }
    }

    #[inline(always)]
    fn hat<T: Scalar<Accum = A>>(&self, x: T) -> A {
        (x.widen() - self.mean) * self.inverse
    }
}

pub(crate) fn normalize<T: Scalar>(
    norm: Norm,
    x: Operand<'_, T>,
    gamma: &[T::Accum],
    beta: Option<&[T::Accum]>,
    y: &mut [T],
    at: Layout,
) {
    for t in 0..at.rows {
        let x = row(x.data, x.at, t);
        let of = Of::row(norm, x);
        let line = row_mut(y, at, t).iter_mut().zip(x).zip(gamma);
        match beta {
            None => line.for_each(|((y, &x), &g)| *y = T::narrow(g * of.hat(x))),
            Some(beta) => {
                line.zip(beta).for_each(|(((y, &x), &g), &b)| *y = T::narrow(g * of.hat(x) + b));
            }
        }
    }
}

/// dx = r·(u − mean u − x̂·mean(u⊙x̂)), u = γ⊙dy; without mean u for [`NormKind::Rms`].
pub(crate) fn normalize_grad<T: Scalar>(
    norm: Norm,
    x: Operand<'_, T>,
    gamma: &[T::Accum],
    dy: Operand<'_, T>,
    store: Store,
    dx: &mut [T],
    at: Layout,
) {
    let count = T::Accum::of(at.cols.max(1) as f64);
    for t in 0..at.rows {
        let (x, dy) = (row(x.data, x.at, t), row(dy.data, dy.at, t));
        let of = Of::row(norm, x);
        let (mut sum, mut along) = (T::Accum::default(), T::Accum::default());
        for ((&x, dy), &g) in x.iter().zip(dy).zip(gamma) {
            let u = g * dy.widen();
            (sum, along) = (sum + u, along + u * of.hat(x));
        }
        let along = along / count;
        let mean = match norm.kind {
            NormKind::Layer => sum / count,
            NormKind::Rms => T::Accum::default(),
        };
        for (((&x, dy), &g), dx) in x.iter().zip(dy).zip(gamma).zip(row_mut(dx, at, t)) {
            let d = of.inverse * (g * dy.widen() - mean - of.hat(x) * along);
            *dx = T::narrow(if store == Store::Add { dx.widen() + d } else { d });
        }
    }
}

/// dγⱼ = Σₜ dYₜⱼ·X̂ₜⱼ, or the same added to dγ.
pub(crate) fn normalize_gain_grad<T: Scalar>(
    norm: Norm,
    x: Operand<'_, T>,
    dy: Operand<'_, T>,
    store: Store,
    dgamma: &mut [T::Accum],
) {
    if store == Store::Replace {
        dgamma.fill(T::Accum::default());
    }
    for t in 0..x.at.rows {
        let (x, dy) = (row(x.data, x.at, t), row(dy.data, dy.at, t));
        let of = Of::row(norm, x);
        for ((&x, dy), d) in x.iter().zip(dy).zip(&mut *dgamma) {
            *d += dy.widen() * of.hat(x);
        }
    }
}
