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
    for i in (0..at.rows).step_by(2) {
        let (z0, z1) = (row(z.data, z.at, i), row(z.data, z.at, i + 1));
        let lines = dy.get_mut(at.offset + i * at.rs..).unwrap_or_default();
        let pair = if i + 1 < at.rows { lines.split_at_mut_checked(at.rs) } else { None };
        match pair {
            Some((dy0, dy1)) => two_rows((z0, dy0), (z1, dy1), g, q),
            None => one_row(z0, lines, g, q),
        }
    }
}

fn one_row<T: Scalar>(z: &[T::Accum], dy: &mut [T], g: &[T::Accum], q: &mut [T::Accum]) {
    for (((&z, dy), &g), q) in z.iter().zip(dy).zip(g).zip(q) {
        *q += grad(z, dy, g);
    }
}

/// One after the other for each column, so that g and q are read once for both.
fn two_rows<T: Scalar>(
    (z0, dy0): (&[T::Accum], &mut [T]),
    (z1, dy1): (&[T::Accum], &mut [T]),
    g: &[T::Accum],
    q: &mut [T::Accum],
) {
    let rows = z0.iter().zip(dy0).zip(z1.iter().zip(dy1));
    for ((((&z0, dy0), (&z1, dy1)), &g), q) in rows.zip(g).zip(q) {
        *q += grad(z0, dy0, g);
        *q += grad(z1, dy1, g);
    }
}

/// dy·z; dy becomes g·dy.
#[inline(always)]
fn grad<T: Scalar>(z: T::Accum, dy: &mut T, g: T::Accum) -> T::Accum {
    let d = dy.widen();
    *dy = T::narrow(g * d);
    d * z
}
