//! How far a result may be from the exact one: (operation, scalar) → bound.

use std::fmt;

use decora::buffer::RoleKind;
use decora::scalar::Scalar;

/// The bound of one operation. With ε_a the epsilon of the accumulator and ε that of the scalar, a
/// result y made of `terms` terms whose absolute values add up to Σ may be off by
///
/// δ = (`fixed` + `per_term`·terms)·ε_a·Σ, and, where it is stored as an activation, by
/// ½ε·(|y| + δ) more: one rounding.
///
/// ε_a·Σ·terms bounds the error of a sum in any order, twice over: once for the device, once for
/// the reference in `f64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The method of the trait, or the invariant.
    pub op: &'static str,
    /// Roundings that every result has.
    pub fixed: f64,
    /// Roundings for each term of its sum.
    pub per_term: f64,
    /// Where these come from.
    pub reason: &'static str,
}

impl Tolerance {
    /// The bound of a result.
    #[must_use]
    pub fn bound<S: Scalar>(&self, stored: RoleKind, value: f64, sum: f64, terms: usize) -> f64 {
        let roundings = self.fixed + self.per_term * terms as f64;
        let delta = roundings * <S::Accum as Scalar>::EPSILON * sum;
        match stored {
            RoleKind::Act => delta + 0.5 * S::EPSILON * (value.abs() + delta) + smallest::<S>(),
            RoleKind::Acc | RoleKind::Index => delta + smallest::<S::Accum>(),
        }
    }
}

/// What a result near 0 may be off by: devices may flush subnormal sums to 0 and need not flush
/// half-precision ones, which they hold exactly or round by half a step.
fn smallest<S: Scalar>() -> f64 {
    match S::NAME {
        "f16" => f64::from(f32::EPSILON) / 4.0,
        "f64" => f64::MIN_POSITIVE,
        _ => f64::from(f32::MIN_POSITIVE),
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fixed, self.per_term) {
            (0.0, 0.0) => f.write_str("equal"),
            (fixed, 0.0) => write!(f, "{}·ε·Σ", Short(fixed)),
            (fixed, per) => write!(f, "({} + {per}·terms)·ε·Σ", Short(fixed)),
        }
    }
}

struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1e4 { self.0.fmt(f) } else { write!(f, "{:.0e}", self.0) }
    }
}

/// The bound of `op`; `None` when the table has none.
#[must_use]
pub fn of(op: &str) -> Option<&'static Tolerance> {
    TABLE.iter().find(|t| t.op == op)
}

/// All bounds, by name.
pub const TABLE: &[Tolerance] = &[
    equal("alloc", "zeros"),
    equal("write", "a copy"),
    equal("read", "a copy"),
    equal("weight", "a copy"),
    sum("gemm", 2.0, "α, and C in Store::Add"),
    sum("gemm_frozen", 3.0, "as gemm, and a weight in f64 loses digits in an f32 sum"),
    sum("gemm_adapted", 4.0, "as gemm_frozen, and C may be rounded between the two products"),
    equal("frozen_rows", "the nearest number: exact, but for f64 in f32"),
    sum("frozen_row_sq", 3.0, "each factor may be rounded once"),
    fixed("axpy", 2.0, "α·x, and the sum"),
    fixed("dropout", 3.0, "1/(1 − p) rounded, the product, the sum"),
    fixed("scale_rows", 1.0, "one product"),
    sum("row_dot", 2.0, "α, and the sum in Store::Add"),
    sum("low_rank_row_sq", 4.0, "a sum of sums, each with products of three or four numbers"),
    fixed("affine", 3.0, "g·z, + b, + y"),
    sum("affine_grad", 1.0, "a sum over the rows"),
    sum("col_sum", 1.0, "a sum over the rows"),
    fixed("gain", 6.0, "a quotient may be off by 2.5 units in Vulkan, a root by 3"),
    fixed("gain_grad", 10.0, "two quotients and two products"),
    sum("sum_sq", 1.0, "squares, and the sum"),
    fixed("adamw", 16.0, "clipping, two moments, a root and a quotient"),
    fixed("sgd", 10.0, "clipping with a root and a quotient, three products and sums"),
    fixed("activate", 8.0, "erf, exp and tanh to a few units of max(|x|, 1)"),
    fixed("activate_grad", 12.0, "as activate, and two products more"),
    sum("softmax_cross_entropy", 12.0, "exp(x) may be off by 3 + 2|x| units in Vulkan"),
    sum("squared_error", 3.0, "differences, squares, the scale"),
    fixed("gather", 2.0, "a weight in f64 loses digits in f32, and the sum in Store::Add"),
    fixed("gather_rows", 1.0, "the sum in Store::Add"),
    sum("gather_grad", 1.0, "a sum over the rows with that number"),
    sum("normalize", 12.0, "a mean, a mean square, a root and a quotient of 6 units, two products"),
    sum("normalize_grad", 24.0, "as normalize twice over, in x̂ and in its mean, and r once more"),
    sum("normalize_gain_grad", 12.0, "as normalize, and a sum over the rows"),
    fixed("rotate", 3.0, "two products, and their sum"),
    fixed("gate", 10.0, "as activate, and a product more"),
    fixed("gate_grad", 14.0, "as activate_grad, and a product more"),
    sum("attention", 12.0, "scores, exp(x) off by 3 + 2|x| units in Vulkan, twice for the sum"),
    sum("attention_grad", 16.0, "as attention, and D, dS and the scale"),
    equal("starts_at_base", "g is exactly 1, and s·B·A adds exactly 0"),
    sum("dense_starts_at_base", 2.0, "another kernel may sum in another order"),
    sum("merged_is_forward", 12.0, "W' is rounded, then multiplied: g, s, B·A, W"),
    sum("unmerge_restores", 12.0, "g and 1/g are rounded, then s·B·A is added and taken away"),
    sum("factored_norm", 8.0, "three sums instead of one; half of it is left after the root"),
    sum("norm_is_free_of_scale", 16.0, "a row times k has other roundings in n and in the sum"),
    sum("exact_is_orthogonal", 24.0, "two gradients cancel each other"),
    equal("doubled_magnitude", "a factor of 2 rounds nothing"),
    equal("negated_magnitude", "neither does a sign"),
    sum("zero_row", 4.0, "g is exactly 1: as LoRA"),
    equal("dropout_off_in_eval", "nothing is dropped"),
    equal("rank_stabilised", "the same s"),
    sum("micro_batches", 16.0, "the same sum in another order, through a whole backward"),
    equal("magnitude_moves", "signs are compared, not sizes"),
    equal("decay_spares_magnitude", "nothing is added to it"),
    equal("frozen_a", "the same operations on the same numbers"),
    equal("refusals", "errors are compared"),
    equal("network_refusals", "errors are compared"),
    equal("cache_changes_nothing", "the same operations on the same numbers"),
    difference("layer_gradient"),
    difference("activation_gradient"),
    difference("loss_gradient"),
    difference("mlp_gradient"),
    difference("table_gradient"),
    difference("normalize_gradient"),
    difference("rotate_gradient"),
    difference("gate_gradient"),
    difference("attention_gradient"),
];

const fn equal(op: &'static str, reason: &'static str) -> Tolerance {
    Tolerance { op, fixed: 0.0, per_term: 0.0, reason }
}

const fn fixed(op: &'static str, fixed: f64, reason: &'static str) -> Tolerance {
    Tolerance { op, fixed, per_term: 0.0, reason }
}

const fn sum(op: &'static str, fixed: f64, reason: &'static str) -> Tolerance {
    Tolerance { op, fixed, per_term: 1.0, reason }
}

/// 1e-7 of the largest derivative: central differences with a step of 1e-6 have an error of about
/// 1e-6² and lose ε/1e-6 to rounding.
const fn difference(op: &'static str) -> Tolerance {
    let reason = "central differences: h² + ε/h";
    Tolerance { op, fixed: 1e-7 / f64::EPSILON, per_term: 0.0, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_there_once() {
        for (i, a) in TABLE.iter().enumerate() {
            assert!(TABLE[..i].iter().all(|b| b.op != a.op), "{} twice", a.op);
        }
    }

    #[test]
    fn a_half_is_rounded_once_and_its_sum_not_at_all() {
        let gemm = of("gemm").copied().unwrap_or_else(|| equal("", ""));
        let stored = gemm.bound::<decora::f16>(RoleKind::Act, 1.0, 1.0, 10);
        assert!(stored > 4.8e-4 && stored < 5e-4, "half a step of f16: {stored}");
        let summed = gemm.bound::<decora::f16>(RoleKind::Acc, 1.0, 1.0, 10);
        assert!(summed < 1.5e-6, "12 steps of f32: {summed}");
    }
}
