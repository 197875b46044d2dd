//! Operands of the operations of [`Sequence`](crate::sequence::Sequence).

use super::{Fits, adjacent, holds};
use crate::error::same;
use crate::mat::Layout;
use crate::sequence::Heads;

/// [`gather`](crate::sequence::Sequence::gather) and its relatives: a table `(rows, in)`, Y `(n, in)`.
///
/// # Errors
/// When the widths differ, columns are not adjacent, or there are too few ids.
pub fn gather(table: Layout, ids: usize, y: Layout) -> Fits {
    same("gather: Y", y.shape(), (y.rows, table.cols))?;
    adjacent("gather: column stride of the table", table)?;
    adjacent("gather: column stride of Y", y)?;
    holds("gather: ids", ids, y.rows)
}

/// [`normalize`](crate::sequence::Sequence::normalize).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or a vector is too short.
pub fn normalize(x: Layout, gamma: usize, beta: Option<usize>, y: Layout) -> Fits {
    same("normalize: Y", y.shape(), x.shape())?;
    adjacent("normalize: column stride of X", x)?;
    adjacent("normalize: column stride of Y", y)?;
    holds("normalize: gamma", gamma, x.cols)?;
    holds("normalize: beta", beta.unwrap_or(x.cols), x.cols)
}

/// [`normalize_grad`](crate::sequence::Sequence::normalize_grad).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or γ is too short.
pub fn normalize_grad(x: Layout, gamma: usize, dy: Layout, dx: Layout) -> Fits {
    same("normalize_grad: dX", dx.shape(), x.shape())?;
    adjacent("normalize_grad: column stride of dX", dx)?;
    normalize(x, gamma, None, dy)
}

/// [`normalize_gain_grad`](crate::sequence::Sequence::normalize_gain_grad).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or dγ is too short.
pub fn normalize_gain_grad(x: Layout, dy: Layout, dgamma: usize) -> Fits {
    normalize(x, dgamma, None, dy)
}

/// [`rotate`](crate::sequence::Sequence::rotate).
///
/// # Errors
/// When the table has an odd number of columns or X is no whole number of heads of that width,
/// columns are not adjacent, or there are too few positions.
pub fn rotate(table: Layout, positions: usize, x: Layout) -> Fits {
    same("rotate: columns of the table (beyond pairs)", (table.cols % 2, 1), (0, 1))?;
    let beyond = x.cols.checked_rem(table.cols).unwrap_or(x.cols);
    same("rotate: columns of X (beyond whole heads)", (beyond, 1), (0, 1))?;
    adjacent("rotate: column stride of the table", table)?;
    adjacent("rotate: column stride of X", x)?;
    holds("rotate: positions", positions, x.rows)
}

/// [`gate`](crate::sequence::Sequence::gate) and its gradient: all three of one shape.
///
/// # Errors
/// When the shapes differ, or columns are not adjacent.
pub fn gate(g: Layout, u: Layout, y: Layout) -> Fits {
    same("gate: U", u.shape(), g.shape())?;
    same("gate: Y", y.shape(), g.shape())?;
    adjacent("gate: column stride of G", g)?;
    adjacent("gate: column stride of U", u)?;
    adjacent("gate: column stride of Y", y)
}

/// [`attention`](crate::sequence::Sequence::attention): Q and O `(n, heads·dim)`, K and V
/// `(keys, kv_heads·dim)`.
///
/// # Errors
/// When heads are no multiple of those of keys, shapes do not fit, columns are not adjacent, or there
/// are too few spans or sums.
pub fn attention(
    heads: &Heads,
    [q, k, v]: [Layout; 3],
    spans: usize,
    o: Layout,
    lse: usize,
) -> Fits {
    let beyond = heads.heads.checked_rem(heads.kv_heads).unwrap_or(1);
    same("attention: heads (beyond a multiple of those of keys)", (beyond, 1), (0, 1))?;
    same("attention: Q", q.shape(), (q.rows, heads.width()))?;
    same("attention: K", k.shape(), (k.rows, heads.kv_width()))?;
    same("attention: V", v.shape(), k.shape())?;
    same("attention: O", o.shape(), q.shape())?;
    adjacent("attention: column stride of Q", q)?;
    adjacent("attention: column stride of K", k)?;
    adjacent("attention: column stride of V", v)?;
    adjacent("attention: column stride of O", o)?;
    holds("attention: spans", spans, q.rows.saturating_mul(2))?;
    holds("attention: lse", lse, q.rows.saturating_mul(heads.heads))
}

/// [`attention_grad`](crate::sequence::Sequence::attention_grad), beyond what
/// [`attention`] checks: dO, dQ, dK, dV, and scratch.
///
/// # Errors
/// When a gradient has not the shape of what it is the gradient of, columns are not adjacent, or the
/// scratch is too short.
pub fn attention_grad(
    heads: &Heads,
    [q, k]: [Layout; 2],
    d_o: Layout,
    [dq, dk, dv]: [Layout; 3],
    dots: usize,
) -> Fits {
    same("attention_grad: dO", d_o.shape(), q.shape())?;
    same("attention_grad: dQ", dq.shape(), q.shape())?;
    same("attention_grad: dK", dk.shape(), k.shape())?;
    same("attention_grad: dV", dv.shape(), k.shape())?;
    adjacent("attention_grad: column stride of dO", d_o)?;
    adjacent("attention_grad: column stride of dQ", dq)?;
    adjacent("attention_grad: column stride of dK", dk)?;
    adjacent("attention_grad: column stride of dV", dv)?;
    holds("attention_grad: dots", dots, q.rows.saturating_mul(heads.heads))
}
