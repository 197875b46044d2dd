//! One property for each method of the contract: what it computes, for every shape and view, what
//! it refuses, and what it leaves alone.

mod activate;
mod adapted;
mod affine;
mod attention;
mod axpy;
mod dropout;
mod frozen;
mod gain;
mod gate;
mod gather;
mod gemm;
mod loss;
mod low_rank_row_sq;
mod memory;
mod normalize;
mod optim;
mod order;
mod rotate;
mod rows;
mod weight;

pub(crate) use activate::ACTIVATIONS;
pub use activate::{activate, activate_grad};
pub use adapted::gemm_adapted;
pub use affine::{affine, affine_grad, col_sum};
pub(crate) use attention::{Case as AttentionCase, Spans};
pub use attention::{attention, attention_grad};
pub use axpy::axpy;
pub use dropout::dropout;
pub(crate) use dropout::keeps;
pub use frozen::{frozen_row_sq, frozen_rows, gemm_frozen};
pub use gain::{gain, gain_grad};
pub use gate::{gate, gate_grad};
pub use gather::{gather, gather_grad, gather_rows};
pub use gemm::gemm;
pub use loss::{softmax_cross_entropy, squared_error};
pub use low_rank_row_sq::low_rank_row_sq;
pub use memory::{alloc, read, write};
pub use normalize::{normalize, normalize_gain_grad, normalize_grad};
pub use optim::{adamw, sgd, sum_sq};
pub use rotate::rotate;
pub use rows::{row_dot, scale_rows};
pub use weight::{Kind, Stored, weight};

use decora::backend::Store;

/// Both ways to store a result.
pub(crate) const STORES: [Store; 2] = [Store::Replace, Store::Add];

/// Shapes for operations without a sum over a third side: one element, primes, around a tile of 4
/// and around workgroups of 16 to 1024, tall, wide, none, and more rows or columns than a device may
/// have workgroups in one dispatch (65,535).
pub(crate) const SHAPES: [(usize, usize); 25] = [
    (1, 1),
    (2, 3),
    (3, 4),
    (4, 5),
    (5, 3),
    (7, 11),
    (15, 16),
    (16, 17),
    (17, 15),
    (33, 31),
    (65, 64),
    (64, 127),
    (129, 128),
    (257, 3),
    (2, 259),
    (1, 67),
    (0, 5),
    (3, 255),
    (256, 2),
    (5, 257),
    (2, 1023),
    (1, 1024),
    (1025, 3),
    (1, 65_537),
    (65_539, 1),
];

/// Lengths of vectors, chosen likewise.
pub(crate) const LENGTHS: [usize; 19] =
    [1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 1031, 65_539];
