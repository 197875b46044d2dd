//! Functions that compilers turn into vector code, for kernels that call them many times.

use decora::scalar::{Accum, Scalar};

use crate::products::same_type;

/// eˣ within 2 units of the last place; 0 where that is less than the smallest normal number.
///
/// x = n·ln 2 + r, |r| ≤ ln 2/2; eʳ by its Taylor polynomial; n from the bits of x/ln 2 + 1.5·2²³.
#[inline(always)]
pub(super) fn exp_f32(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: n times the first is exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * HIGH) - n * LOW;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        p = p * r + c;
    }
    let p = (p * r * r + r) + 1.0;
    let y = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    let y = if x < -87.3 { 0.0 } else { y };
    let y = if x > 88.7 { f32::INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

/// eˣ: [`exp_f32`] of `f32`, else as exact as `A` is.
#[inline(always)]
pub(super) fn exp<A: Accum>(x: A) -> A {
    if same_type::<A, f32>() { A::of_f32(exp_f32(x.f32())) } else { x.exp() }
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
pub(super) fn sigmoid<A: Accum>(x: A) -> A {
    let one = A::of(1.0);
    let (small, negative) = (exp(if x > A::default() { -x } else { x }), x < A::default());
    (if negative { small } else { one }) / (one + small)
}

/// Numbers that are summed, or compared, side by side.
pub(super) const SIDE: usize = 16;

/// All of `of` in one, halves by halves.
#[inline(always)]
pub(super) fn fold<A: Copy>(of: [A; SIDE], f: impl Fn(A, A) -> A) -> A {
    let eight: [A; 8] = core::array::from_fn(|i| f(of[i], of[i + 8]));
    let four: [A; 4] = core::array::from_fn(|i| f(eight[i], eight[i + 4]));
    f(f(four[0], four[2]), f(four[1], four[3]))
}

/// Σ f(a, b) over pairs, in lanes that are added up in the end.
#[inline(always)]
pub(super) fn sum<X: Copy, Y: Copy, A: Accum>(a: &[X], b: &[Y], f: impl Fn(X, Y) -> A) -> A {
    let mut sums = [A::default(); SIDE];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SIDE>(), b.as_chunks::<SIDE>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..SIDE {
            sums[i] += f(a[i], b[i]);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += f(a, b);
    }
    fold(sums, |a, b| a + b)
}

/// The largest of `of` and `least`. A NaN may be passed over: what is computed with it is NaN anyway.
#[inline(always)]
pub(super) fn max<T: Scalar>(of: &[T], least: T::Accum) -> T::Accum {
    let larger = |x: T::Accum, than: T::Accum| if x > than { x } else { than };
    let mut most = [least; SIDE];
    let (whole, rest) = of.as_chunks::<SIDE>();
    for part in whole {
        for i in 0..SIDE {
            most[i] = larger(part[i].widen(), most[i]);
        }
    }
    for (most, x) in most.iter_mut().zip(rest) {
        *most = larger(x.widen(), *most);
    }
    fold(most, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_e_within_two_units() {
        let mut worst = 0.0f64;
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let exact = libm_exp(x);
            let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1) - exact as f32);
            worst = worst.max((f64::from(exp_f32(x)) - exact).abs() / unit);
        }
        assert!(worst < 2.0, "{worst} units");
    }

    fn libm_exp(x: f32) -> f64 {
        Accum::exp(f64::from(x))
    }

    #[test]
    fn powers_of_e_at_the_ends() {
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!((exp_f32(-1e30), exp_f32(f32::NEG_INFINITY)), (0.0, 0.0));
        assert_eq!((exp_f32(1e30), exp_f32(f32::INFINITY)), (f32::INFINITY, f32::INFINITY));
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoids_of_large_numbers() {
        assert_eq!((sigmoid(200.0f32), sigmoid(-200.0f32), sigmoid(0.0f32)), (1.0, 0.0, 0.5));
        assert!(sigmoid(f32::NAN).is_nan());
        assert!((sigmoid(1.5f64) - 0.817_574_476_193_643_7).abs() < 1e-15);
    }
}
