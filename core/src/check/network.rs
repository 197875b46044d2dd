//! Operands of the operations of [`Network`](crate::network::Network).

use super::{Fits, adjacent, holds};
use crate::error::same;
use crate::mat::Layout;

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
