//! Y = φ(G)⊙U, and its gradient in place.

use decora::mat::Layout;
use decora::network::Activation;
use decora::scalar::Scalar;

use super::{row, row_mut};
use crate::products::Operand;

pub(crate) fn gate<T: Scalar>(
    f: Activation,
    g: Operand<'_, T>,
    u: Operand<'_, T>,
    y: &mut [T],
    at: Layout,
) {
    for t in 0..at.rows {
        let line = row_mut(y, at, t).iter_mut().zip(row(g.data, g.at, t));
        line.zip(row(u.data, u.at, t))
            .for_each(|((y, g), u)| *y = T::narrow(f.apply(g.widen()) * u.widen()));
    }
}

/// G becomes dY⊙U⊙φ'(G), U becomes dY⊙φ(G).
pub(crate) fn gate_grad<T: Scalar>(
    f: Activation,
    dy: Operand<'_, T>,
    (g, g_at): (&mut [T], Layout),
    (u, u_at): (&mut [T], Layout),
) {
    for t in 0..dy.at.rows {
        let line = row_mut(g, g_at, t).iter_mut().zip(row_mut(u, u_at, t));
        for ((g, u), dy) in line.zip(row(dy.data, dy.at, t)) {
            let (x, up, dy) = (g.widen(), u.widen(), dy.widen());
            let phi = f.apply(x);
            let slope = f.slope(if f.keeps_output() { phi } else { x });
            (*g, *u) = (T::narrow(dy * up * slope), T::narrow(dy * phi));
        }
    }
}
