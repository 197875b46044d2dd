//! Y = g⊙Z + b, and its backward.

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::Scalar;

use super::{columns, columns_mut, row, row_mut};
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
    let (wide, rest) = q.as_chunks_mut::<WIDE>();
    let (wide_g, rest_g) = g.as_chunks::<WIDE>();
    let first = wide.len() * WIDE;
    for (i, (q, g)) in wide.iter_mut().zip(wide_g).enumerate() {
        grad_of_columns(z, g, dy, at, i * WIDE, q);
    }
    for (i, (q, &g)) in rest.iter_mut().zip(rest_g).enumerate() {
        let mut sum = [T::Accum::default()];
        grad_of_columns(z, &[g], dy, at, first + i, &mut sum);
        [*q] = sum;
    }
}

/// Columns that are walked down together.
const WIDE: usize = 4;

/// [`affine_grad`] for columns `j..j + N`.
#[inline(always)]
fn grad_of_columns<const N: usize, T: Scalar>(
    z: Operand<'_, T::Accum>,
    g: &[T::Accum; N],
    dy: &mut [T],
    at: Layout,
    j: usize,
    q: &mut [T::Accum; N],
) {
    let lines = (columns::<N, _>(z.data, z.at, j), columns_mut::<N, _>(dy, at, j));
    let (Some((z, last_z)), Some((dy, last_dy))) = lines else { return };
    let (g, mut sums) = (*g, [T::Accum::default(); N]);
    let mut row = |z: &[T::Accum; N], dy: &mut [T; N]| {
        for (((&z, dy), &g), sum) in z.iter().zip(dy).zip(&g).zip(&mut sums) {
            let d = dy.widen();
            *sum += d * z;
            *dy = T::narrow(g * d);
        }
    };
    for (z, dy) in z.zip(dy) {
        let (Some(z), Some(dy)) = (z.first_chunk(), dy.first_chunk_mut()) else { return };
        row(z, dy);
    }
    row(last_z, last_dy);
    *q = sums;
}
