//! What holds for adapters on every device, whatever its numbers are made of.

mod cache;
mod frozen_a;
mod magnitude;
mod merging;
mod mlp;
mod refusals;
mod start;
mod training;

pub use cache::cache_changes_nothing;
pub use frozen_a::frozen_a;
pub use magnitude::{
    doubled_magnitude, exact_is_orthogonal, factored_norm, negated_magnitude,
    norm_is_free_of_scale, zero_row,
};
pub use merging::{merged_is_forward, unmerge_restores};
pub use mlp::network_refusals;
pub use refusals::refusals;
pub use start::{dense_starts_at_base, dropout_off_in_eval, rank_stabilised, starts_at_base};
pub use training::{decay_spares_magnitude, magnitude_moves, micro_batches};

use decora::spec::{NormGradient, Spec, Update};

use crate::ops::{Kind, Stored};
use crate::paint::painted;
use crate::trial::round;

/// DoRA with the full gradient of the norm.
fn exact(rank: usize, alpha: f64) -> Spec {
    Spec { norm_gradient: NormGradient::Exact, ..Spec::dora(rank, alpha) }
}

/// Weight normalisation: a dense direction under a magnitude.
fn weight_norm(norm_gradient: NormGradient) -> Spec {
    Spec { update: Update::Dense, magnitude: true, norm_gradient, ..Spec::frozen() }
}

/// W `(out, in)` with a row of zeros.
fn with_zero_row(kind: Kind, out: usize, inputs: usize) -> Stored {
    let mut w = painted(9, out, inputs);
    w[ZERO * inputs..(ZERO + 1) * inputs].fill(0.0);
    Stored::new(kind, out, inputs, &w)
}

/// Which row is zero.
const ZERO: usize = 2;

/// x `(rows, cols)`, as the device holds it.
fn activations<B: decora::backend::Backend>(salt: usize, rows: usize, cols: usize) -> Vec<f64> {
    painted(salt, rows, cols).into_iter().map(round::<B, decora::buffer::Act>).collect()
}
