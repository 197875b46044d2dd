//! Y = g⊙Z + b, and its backward.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::Scalar;

use super::{row, row_mut};
use crate::products::Operand;

/// Y = g⊙Z + b, or the same added to Y; without g, g = 1; without b, b = 0.
pub(crate) fn affine<T: Scalar>(
    z: Operand<'_, T::Accum>,
    g: Option<&[T::Accum]>,
    b: Option<&[T::Accum]>,
    store: Store,
    y: &mut [T],
    at: Layout,
) {
    for i in 0..at.rows {
        let (z, y) = (row(z.data, z.at, i), row_mut(y, at, i));
        let line = z.iter().zip(y);
        match (g, b) {
            (Some(g), Some(b)) => {
                line.zip(g).zip(b).for_each(|(((&z, y), &g), &b)| put(store, g * z + b, y));
            }
            (Some(g), None) => line.zip(g).for_each(|((&z, y), &g)| put(store, g * z, y)),
            (None, Some(b)) => line.zip(b).for_each(|((&z, y), &b)| put(store, z + b, y)),
            (None, None) => line.for_each(|(&z, y)| put(store, z, y)),
        }
    }
}

#[inline(always)]
fn put<T: Scalar>(store: Store, x: T::Accum, y: &mut T) {
    *y = match store {
        Store::Replace => T::narrow(x),
        Store::Add => T::narrow(y.widen() + x),
    };
}

/// qⱼ = Σₜ dYₜⱼ·Zₜⱼ, then dY = g⊙dY.
pub(crate) fn affine_grad<T: Scalar>(
    z: Operand<'_, T::Accum>,
    g: &[T::Accum],
    dy: &mut [T],
    at: Layout,
    q: &mut [T::Accum],
) {
    q.fill(T::Accum::default());
    let ((gs, last_g), (qs, last_q)) = (g.as_chunks::<4>(), q.as_chunks_mut::<4>());
    for i in 0..at.rows {
        let (zs, last_z) = row(z.data, z.at, i).as_chunks::<4>();
        let (dys, last_dy) = row_mut(dy, at, i).as_chunks_mut::<4>();
        for (((z, dy), g), q) in zs.iter().zip(dys).zip(gs).zip(qs.iter_mut()) {
            grad(z, dy, g, q);
        }
        grad(last_z, last_dy, last_g, last_q);
    }
}

#[inline(always)]
fn grad<T: Scalar>(z: &[T::Accum], dy: &mut [T], g: &[T::Accum], q: &mut [T::Accum]) {
    for (((&z, dy), &g), q) in z.iter().zip(dy).zip(g).zip(q) {
        let d = dy.widen();
        *q += d * z;
        *dy = T::narrow(g * d);
    }
}
