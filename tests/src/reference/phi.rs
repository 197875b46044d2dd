//! Activations.

use core::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use decora::network::Activation;

/// φ(x).
pub(crate) fn value(f: Activation, x: f64) -> f64 {
    match f {
        Activation::Gelu => x * normal_cdf(x),
        Activation::GeluTanh => 0.5 * x * (1.0 + inner(x).tanh()),
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        other => unimplemented!("{other:?} has no reference"),
    }
}

/// φ'(x), given φ(x) where forward keeps its output, else x.
pub(crate) fn slope_of_kept(f: Activation, kept: f64) -> f64 {
    match f {
        Activation::Gelu => {
            let density = (-0.5 * kept * kept).exp() * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0;
            normal_cdf(kept) + kept * density
        }
        Activation::GeluTanh => {
            let (t, inner_slope) =
                (inner(kept).tanh(), ROOT_2_PI * (1.0 + 0.134_145 * kept * kept));
            0.5 * (1.0 + t) + 0.5 * kept * (1.0 - t * t) * inner_slope
        }
        Activation::Relu => f64::from(u8::from(kept > 0.0)),
        Activation::Silu => {
            let s = 1.0 / (1.0 + (-kept).exp());
            s + kept * s * (1.0 - s)
        }
        Activation::Tanh => 1.0 - kept * kept,
        other => unimplemented!("{other:?} has no reference"),
    }
}

/// √(2/π).
const ROOT_2_PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

/// √(2/π)·(x + 0.044715·x³).
fn inner(x: f64) -> f64 {
    ROOT_2_PI * (x + 0.044_715 * x * x * x)
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// erf x = 2/√π·e^(−x²)·Σₙ 2ⁿ·x^(2n+1)/(2n+1)!!, all of one sign: nothing cancels.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut sum, mut term, mut n) = (0.0, x, 1.0);
    while term.abs() > 1e-17 * f64::abs(sum) {
        sum += term;
        n += 2.0;
        term *= 2.0 * x * x / n;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_as_in_the_tables() {
        for (x, y) in [(0.0, 0.0), (0.5, 0.520_499_877_813_046_5), (-2.0, -0.995_322_265_018_952_7)]
        {
            assert!((erf(x) - y).abs() < 1e-15, "erf {x}: {} for {y}", erf(x));
        }
        assert_eq!(erf(9.0), 1.0);
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        for f in crate::ops::ACTIVATIONS {
            for x in [-2.5, -0.3, 0.4, 1.7] {
                let by_difference = (value(f, x + 1e-6) - value(f, x - 1e-6)) / 2e-6;
                let kept = if f.keeps_output() { value(f, x) } else { x };
                assert!((slope_of_kept(f, kept) - by_difference).abs() < 1e-9, "{f:?} at {x}");
            }
        }
    }
}
