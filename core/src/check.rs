//! Which operands fit each other: one function for each operation of the contract, for backends to
//! call before they touch anything. All backends then refuse the same, in the same words.
//!
//! Matrices are given by their [`Layout`], vectors by their length, which may exceed what is used.

use crate::backend::Side;
use crate::error::{Shape, ShapeError, same};
use crate::mat::Layout;
use crate::sequence::Heads;

type Fits = Result<(), ShapeError>;

/// The columns of a matrix are adjacent.
const fn adjacent(what: &'static str, at: Layout) -> Fits {
    if at.cols <= 1 { Ok(()) } else { same(what, (at.cs, 1), (1, 1)) }
}

/// A vector has `len` elements, or more.
const fn holds(what: &'static str, found: usize, len: usize) -> Fits {
    if found >= len { Ok(()) } else { Err(ShapeError::new(what, (found, 1), (len, 1))) }
}

/// [`write`](crate::backend::Backend::write): `count` elements from `offset` on, of `len`.
///
/// # Errors
/// When they reach beyond the end.
pub const fn write(offset: usize, count: usize, len: usize) -> Fits {
    within("write (end, of length)", offset, count, len)
}

/// [`read`](crate::backend::Backend::read): `count` elements from `offset` on, of `len`.
///
/// # Errors
/// When they reach beyond the end.
pub const fn read(offset: usize, count: usize, len: usize) -> Fits {
    within("read (end, of length)", offset, count, len)
}

const fn within(what: &'static str, offset: usize, count: usize, len: usize) -> Fits {
    let end = offset.saturating_add(count);
    if end <= len { Ok(()) } else { Err(ShapeError::new(what, (end, 1), (len, 1))) }
}

/// [`gemm`](crate::backend::Backend::gemm): C `(m, n)`, A `(m, k)`, B `(k, n)`.
///
/// # Errors
/// Naming the operand that does not fit.
pub fn gemm(a: Layout, b: Layout, c: Layout) -> Fits {
    same("gemm: B", b.shape(), (a.cols, c.cols))?;
    same("gemm: C", c.shape(), (a.rows, b.cols))
}

/// [`gemm_frozen`](crate::backend::Backend::gemm_frozen): W `(out, in)`.
///
/// # Errors
/// Naming the operand that does not fit.
pub fn gemm_frozen(a: Layout, w: Shape, side: Side, c: Layout) -> Fits {
    let (k, n) = match side {
        Side::Plain => w,
        Side::Transposed => (w.1, w.0),
    };
    same("gemm_frozen: A", a.shape(), (c.rows, k))?;
    same("gemm_frozen: C", c.shape(), (a.rows, n))
}

/// [`frozen_rows`](crate::backend::Backend::frozen_rows): as many rows of W from `first` on as C has.
///
/// # Errors
/// When W has fewer, or C is not as wide.
pub fn frozen_rows((out, inputs): Shape, first: usize, c: Layout) -> Fits {
    let last = first.saturating_add(c.rows).min(out);
    same("frozen_rows: C", c.shape(), (last.saturating_sub(first), inputs))?;
    adjacent("frozen_rows: column stride of C", c)
}

/// [`frozen_row_sq`](crate::backend::Backend::frozen_row_sq).
///
/// # Errors
/// When there is no room for a number for each row.
pub fn frozen_row_sq(w: Shape, sq: usize) -> Fits {
    holds("frozen_row_sq: sq", sq, w.0)
}

/// [`axpy`](crate::backend::Backend::axpy).
///
/// # Errors
/// When the shapes differ, or columns are not adjacent.
pub fn axpy(x: Layout, y: Layout) -> Fits {
    same("axpy: Y", y.shape(), x.shape())?;
    adjacent("axpy: column stride of X", x)?;
    adjacent("axpy: column stride of Y", y)
}

/// [`dropout`](crate::backend::Backend::dropout).
///
/// # Errors
/// When the shapes differ, or columns are not adjacent.
pub fn dropout(x: Layout, y: Layout) -> Fits {
    same("dropout: Y", y.shape(), x.shape())?;
    adjacent("dropout: column stride of X", x)?;
    adjacent("dropout: column stride of Y", y)
}

/// [`scale_rows`](crate::backend::Backend::scale_rows): d is a column.
///
/// # Errors
/// When d has not one row for each of C, or columns are not adjacent.
pub fn scale_rows(d: Layout, c: Layout) -> Fits {
    same("scale_rows: d", d.shape(), (c.rows, 1))?;
    adjacent("scale_rows: column stride of C", c)
}

/// [`row_dot`](crate::backend::Backend::row_dot).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or `out` is too short.
pub fn row_dot(a: Layout, b: Layout, out: usize) -> Fits {
    same("row_dot: B", b.shape(), a.shape())?;
    adjacent("row_dot: column stride of A", a)?;
    adjacent("row_dot: column stride of B", b)?;
    holds("row_dot: out", out, a.rows)
}

/// [`low_rank_row_sq`](crate::backend::Backend::low_rank_row_sq).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or a vector is too short.
pub fn low_rank_row_sq(
    base_sq: usize,
    b: Layout,
    u: Layout,
    gram: Layout,
    t: Layout,
    sq: usize,
) -> Fits {
    same("low_rank_row_sq: U", u.shape(), b.shape())?;
    same("low_rank_row_sq: T", t.shape(), b.shape())?;
    same("low_rank_row_sq: G", gram.shape(), (b.cols, b.cols))?;
    adjacent("low_rank_row_sq: column stride of B", b)?;
    adjacent("low_rank_row_sq: column stride of U", u)?;
    adjacent("low_rank_row_sq: column stride of G", gram)?;
    adjacent("low_rank_row_sq: column stride of T", t)?;
    holds("low_rank_row_sq: base_sq", base_sq, b.rows)?;
    holds("low_rank_row_sq: sq", sq, b.rows)
}

/// [`affine`](crate::backend::Backend::affine).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or a vector is too short.
pub fn affine(z: Layout, g: Option<usize>, b: Option<usize>, y: Layout) -> Fits {
    same("affine: Y", y.shape(), z.shape())?;
    adjacent("affine: column stride of Z", z)?;
    adjacent("affine: column stride of Y", y)?;
    holds("affine: g", g.unwrap_or(z.cols), z.cols)?;
    holds("affine: b", b.unwrap_or(z.cols), z.cols)
}

/// [`affine_grad`](crate::backend::Backend::affine_grad).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or a vector is too short.
pub fn affine_grad(z: Layout, g: usize, dy: Layout, q: usize) -> Fits {
    same("affine_grad: dY", dy.shape(), z.shape())?;
    adjacent("affine_grad: column stride of Z", z)?;
    adjacent("affine_grad: column stride of dY", dy)?;
    holds("affine_grad: g", g, z.cols)?;
    holds("affine_grad: q", q, z.cols)
}

/// [`col_sum`](crate::backend::Backend::col_sum).
///
/// # Errors
/// When columns are not adjacent, or `s` is too short.
pub fn col_sum(x: Layout, s: usize) -> Fits {
    adjacent("col_sum: column stride of X", x)?;
    holds("col_sum: s", s, x.cols)
}

/// [`gain`](crate::backend::Backend::gain) with `out` rows.
///
/// # Errors
/// When a vector is too short.
pub fn gain(out: usize, sq: usize, m: usize, n: usize, g: usize) -> Fits {
    holds("gain: sq", sq, out)?;
    holds("gain: m", m, out)?;
    holds("gain: n", n, out)?;
    holds("gain: g", g, out)
}

/// [`gain_grad`](crate::backend::Backend::gain_grad) with `out` rows.
///
/// # Errors
/// When a vector is too short.
pub fn gain_grad(out: usize, n: usize, g: usize, q: usize, dm: usize, c: usize) -> Fits {
    holds("gain_grad: n", n, out)?;
    holds("gain_grad: g", g, out)?;
    holds("gain_grad: q", q, out)?;
    holds("gain_grad: dm", dm, out)?;
    holds("gain_grad: c", c, out)
}

/// [`sum_sq`](crate::backend::Backend::sum_sq).
///
/// # Errors
/// When `out` has no element.
pub fn sum_sq(out: usize) -> Fits {
    holds("sum_sq: out", out, 1)
}

/// The sum of squares of a [`Clip`](crate::backend::Clip), where there is one.
///
/// # Errors
/// When it has no element.
pub fn clip(sum_sq: Option<usize>) -> Fits {
    holds("clip: sum of squares", sum_sq.unwrap_or(1), 1)
}

/// [`adamw`](crate::backend::Backend::adamw).
///
/// # Errors
/// When the lengths differ.
pub fn adamw(p: usize, grad: usize, m: usize, v: usize) -> Fits {
    same("adamw: gradient", (grad, 1), (p, 1))?;
    same("adamw: first moment", (m, 1), (p, 1))?;
    same("adamw: second moment", (v, 1), (p, 1))
}

/// [`sgd`](crate::backend::Backend::sgd).
///
/// # Errors
/// When the lengths differ.
pub fn sgd(p: usize, grad: usize, u: Option<usize>) -> Fits {
    same("sgd: gradient", (grad, 1), (p, 1))?;
    same("sgd: momentum", (u.unwrap_or(p), 1), (p, 1))
}

/// [`activate`](crate::network::Network::activate).
///
/// # Errors
/// When columns are not adjacent.
pub fn activate(y: Layout) -> Fits {
    adjacent("activate: column stride of Y", y)
}

/// [`activate_grad`](crate::network::Network::activate_grad).
///
/// # Errors
/// When the shapes differ, or columns are not adjacent.
pub fn activate_grad(kept: Layout, dy: Layout) -> Fits {
    same("activate_grad: dY", dy.shape(), kept.shape())?;
    adjacent("activate_grad: column stride of what was kept", kept)?;
    adjacent("activate_grad: column stride of dY", dy)
}

/// [`softmax_cross_entropy`](crate::network::Network::softmax_cross_entropy).
///
/// # Errors
/// When columns are not adjacent, or there are too few labels or losses.
pub fn softmax_cross_entropy(x: Layout, labels: usize, loss: usize) -> Fits {
    adjacent("softmax_cross_entropy: column stride of X", x)?;
    holds("softmax_cross_entropy: labels", labels, x.rows)?;
    holds("softmax_cross_entropy: loss", loss, 1)
}

/// [`squared_error`](crate::network::Network::squared_error).
///
/// # Errors
/// When the shapes differ, columns are not adjacent, or there is no loss to write to.
pub fn squared_error(x: Layout, target: Layout, loss: usize) -> Fits {
    same("squared_error: X", x.shape(), target.shape())?;
    adjacent("squared_error: column stride of X", x)?;
    adjacent("squared_error: column stride of the target", target)?;
    holds("squared_error: loss", loss, 1)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfit_is_named_with_both_shapes() {
        let at = |rows, cols| Layout::row_major(0, rows, cols);
        let e = gemm(at(3, 5), at(4, 6), at(3, 6)).map_err(|e| (e.what, e.found, e.expected));
        assert_eq!(e, Err(("gemm: B".into(), (4, 6).into(), (5, 6).into())));
        let e = affine(at(2, 4), Some(3), None, at(2, 4)).map_err(|e| (e.what, e.found));
        assert_eq!(e, Err(("affine: g".into(), (3, 1).into())));
        assert!(activate(at(4, 3).t()).is_err(), "columns apart");
        assert_eq!(write(usize::MAX, 2, 9).map_err(|e| e.found), Err((usize::MAX, 1).into()));
    }
}
