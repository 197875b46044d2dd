//! Operands of the operations of [`Backend`](crate::backend::Backend).

use super::{Fits, adjacent, holds};
use crate::backend::Side;
use crate::error::{Shape, ShapeError, same};
use crate::mat::Layout;

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
