//! Gradients against central differences in `f64`, for devices whose numbers are `f64`.
//!
//! (L(θ + h) − L(θ − h))/2h with h = 1e-6, L computed by the reference in plain loops: the device's
//! forward pass is compared with it as well, so that a mistake in one cannot hide in the other.

mod attention;
mod functions;
mod layer;
mod mlp;
mod sequence;

pub use attention::attention_gradient;
pub use functions::{activation_gradient, loss_gradient};
pub use layer::layer_gradient;
pub use mlp::mlp_gradient;
pub use sequence::{gate_gradient, normalize_gradient, rotate_gradient, table_gradient};

use crate::expected::Expected;

/// h.
const STEP: f64 = 1e-6;

/// ∂L/∂θₑ of each element of `values`.
fn slopes(values: &[f64], loss: &dyn Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut moved = values.to_vec();
    let mut at = |e: usize, x: f64| {
        moved[e] = x;
        let loss = loss(&moved);
        moved[e] = values[e];
        loss
    };
    (0..values.len())
        .map(|e| (at(e, values[e] + STEP) - at(e, values[e] - STEP)) / (2.0 * STEP))
        .collect()
}

/// Derivatives that are known up to 1e-7 of the largest, or of `floor`.
fn close_to(expected: &[f64], floor: f64) -> impl Fn(usize) -> Expected + '_ {
    let largest = expected.iter().fold(floor, |max, x| max.max(x.abs()));
    move |e| Expected::within(expected[e], largest)
}

/// L = Σ R⊙y.
fn loss(y: &[f64], r: &[f64]) -> f64 {
    y.iter().zip(r).map(|(y, r)| y * r).sum()
}
