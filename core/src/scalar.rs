//! The numbers: what activations are stored as, and what everything is summed in.

use core::fmt::Debug;
use core::ops::Neg;

use bytemuck::Pod;
use half::{bf16, f16};
use num_traits::NumAssign;

/// Anything a buffer or a file can hold: `f32`, `f64`, `f16`, `bf16` or `u32`.
pub trait Element: Pod + Debug + Default + PartialOrd + Send + Sync {
    /// The number in a type to calculate with: exact, but for `f64` in `f32`.
    fn load<A: Accum>(self) -> A;
    /// The nearest element (ties to even).
    fn store<A: Accum>(x: A) -> Self;
}

macro_rules! element {
    ($t:ident, $x:ident => $load:expr, $store:expr) => {
        impl Element for $t {
            #[inline(always)]
            fn load<A: Accum>(self) -> A {
                let $x = self;
                $load
            }
            #[inline(always)]
            fn store<A: Accum>($x: A) -> Self {
                $store
            }
        }
    };
}

element!(f32, x => A::of_f32(x), x.f32());
element!(f64, x => A::of(x), x.f64());
element!(f16, x => A::of_f32(widen_f16(x.to_bits())), f16::from_f32(x.f32()));
element!(bf16, x => A::of_f32(widen_bf16(x.to_bits())), bf16::from_f32(x.f32()));
element!(u32, x => A::of(f64::from(x)), x.f64() as u32);

/// An `f16` as `f32`. Exponent and mantissa in the places of an `f32` make a number that is too
/// small by 2¹¹², also where it is subnormal; what is then 2¹⁶ or more was infinite or NaN.
#[inline(always)]
fn widen_f16(bits: u16) -> f32 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    const INFINITE: u32 = 0x7C00 << 13;
    let places = ((i32::from(bits as i16) << 13) as u32) & 0x8FFF_E000;
    if places & 0x7FFF_FFFF < INFINITE {
        return f32::from_bits(places) * SCALE;
    }
    let quiet = u32::from(places & 0x7FFF_FFFF > INFINITE) << 22;
    f32::from_bits(places | 0x7F80_0000 | quiet)
}

/// A `bf16` as `f32`: the upper half. A NaN becomes quiet.
#[inline(always)]
fn widen_bf16(bits: u16) -> f32 {
    let quiet = u32::from(bits & 0x7FFF > 0x7F80) << 22;
    f32::from_bits(u32::from(bits) << 16 | quiet)
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// What activations are made of: `f32`, `f64`, `f16` or `bf16`.
///
/// Nothing is ever computed in a half format: values are widened to [`Scalar::Accum`], computed,
/// and rounded once when stored.
pub trait Scalar: Element + sealed::Sealed {
    /// What sums, parameters, gradients of parameters and optimiser moments are made of:
    /// `f32` for the half formats and for `f32` itself, `f64` for `f64`.
    type Accum: Accum;

    /// The name in reports and file headers: `f32`, `f64`, `f16`, `bf16`.
    const NAME: &'static str;

    /// The distance from 1 to the next larger number, as `f64`: the unit of every tolerance.
    const EPSILON: f64;

    /// The same number, wider.
    #[inline(always)]
    fn widen(self) -> Self::Accum {
        self.load()
    }

    /// The nearest number of this type (ties to even).
    #[inline(always)]
    fn narrow(x: Self::Accum) -> Self {
        Self::store(x)
    }
}

/// What sums are made of: `f32` or `f64`.
///
/// `sqrt` is correctly rounded everywhere; `exp`, `ln`, `tanh` and `erf` come from `libm`, never
/// from the host's C library, so that a desktop and a Cortex-M give the same bits.
pub trait Accum: Scalar<Accum = Self> + NumAssign + Neg<Output = Self> {
    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// The same number.
    fn of_f32(x: f32) -> Self;
    /// The nearest number of this type.
    fn whole(n: u32) -> Self;
    /// The same number as `f64`.
    fn f64(self) -> f64;
    /// The nearest `f32`.
    fn f32(self) -> f32;
    /// √x.
    fn sqrt(self) -> Self;
    /// √x to within one unit in the last place, by the same formula everywhere: several times as fast
    /// as `sqrt` where roots are computed in software. 0 for 0; any number for what is not normal.
    fn near_sqrt(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// ln x.
    fn ln(self) -> Self;
    /// tanh x.
    fn tanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// Neither infinite nor NaN.
    fn finite(self) -> bool;

    /// The larger of two numbers; a NaN in `self` stays.
    #[inline]
    fn at_least(self, floor: Self) -> Self {
        if self < floor { floor } else { self }
    }
}

/// √x. Processors whose square root no safe and stable Rust reaches get it from their multiplier.
#[inline(always)]
fn sqrt_f32(x: f32) -> f32 {
    let normal = x.to_bits().wrapping_sub(0x0080_0000) < 0x7F00_0000;
    if cfg!(target_arch = "arm") && normal { sqrt_normal(x) } else { libm::sqrtf(x) }
}

/// √x of a positive normal x, within one unit of the last place, by three steps of Newton.
#[inline(always)]
fn near_sqrt(x: f32) -> f32 {
    let mut inverse = f32::from_bits(0x5F37_59DF_u32.wrapping_sub(x.to_bits() >> 1));
    for _ in 0..2 {
        inverse *= 1.5 - 0.5 * x * inverse * inverse;
    }
    let near = x * inverse;
    near + 0.5 * inverse * (x - near * near)
}

/// √x of a positive normal x, correctly rounded. [`near_sqrt`] comes within one unit of the
/// last place; r is that, and m is x, as whole numbers of the same scale, m = 2²³x or 2²⁴x. The root
/// of m lies between r − ½ and r + ½ when −r < m − r² ≤ r, which wrapping numbers can tell.
#[inline(always)]
fn sqrt_normal(x: f32) -> f32 {
    let bits = x.to_bits();
    let near = near_sqrt(x).to_bits();
    let whole = |bits: u32| bits & 0x007F_FFFF | 0x0080_0000;
    let r = whole(near);
    let m = whole(bits) << (24 - (bits >> 23 & 1));
    let (rest, r) = (m.wrapping_sub(r.wrapping_mul(r)) as i32, r as i32);
    f32::from_bits(near + u32::from(rest > r) - u32::from(rest <= -r))
}

macro_rules! accum {
    ($t:ident, $sqrt:path, $near:path, $exp:path, $ln:path, $tanh:path, $erf:path) => {
        impl Scalar for $t {
            type Accum = $t;
            const NAME: &'static str = stringify!($t);
            const EPSILON: f64 = $t::EPSILON as f64;
        }

        impl Accum for $t {
            #[inline(always)]
            fn of(x: f64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn of_f32(x: f32) -> $t {
                x as $t
            }
            #[inline(always)]
            fn whole(n: u32) -> $t {
                n as $t
            }
            #[inline(always)]
            fn f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn f32(self) -> f32 {
                self as f32
            }
            #[inline]
            fn sqrt(self) -> $t {
                $sqrt(self)
            }
            #[inline]
            fn near_sqrt(self) -> $t {
                $near(self)
            }
            #[inline]
            fn exp(self) -> $t {
                $exp(self)
            }
            #[inline]
            fn ln(self) -> $t {
                $ln(self)
            }
            #[inline]
            fn tanh(self) -> $t {
                $tanh(self)
            }
            #[inline]
            fn erf(self) -> $t {
                $erf(self)
            }
            #[inline]
            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

accum!(f32, sqrt_f32, near_sqrt, libm::expf, libm::logf, libm::tanhf, libm::erff);
accum!(f64, libm::sqrt, libm::sqrt, libm::exp, libm::log, libm::tanh, libm::erf);

macro_rules! half_scalar {
    ($t:ident) => {
        impl Scalar for $t {
            type Accum = f32;
            const NAME: &'static str = stringify!($t);
            const EPSILON: f64 = $t::EPSILON.to_f64_const();
        }
    };
}

half_scalar!(f16);
half_scalar!(bf16);

/// 1 − (1 − x)ⁿ for x in [0, 1], by repeated squaring: the same bits on every machine, and no digits
/// lost where x is small, for with p = 1 − aⁿ and q = 1 − aᵐ, 1 − aⁿ⁺ᵐ = p + q − p·q.
#[must_use]
pub fn grown<A: Accum>(x: A, n: u64) -> A {
    let (mut result, mut square, mut left) = (A::default(), x, n);
    while left > 0 {
        if left & 1 == 1 {
            result += square - result * square;
        }
        square += square - square * square;
        left >>= 1;
    }
    result
}

/// cos²(x·π/2) for x in [0, 1], by Taylor's series: the same bits on every machine.
#[must_use]
pub fn cosine_squared<A: Accum>(x: A) -> A {
    let one = A::whole(1);
    // cos t, or sin t from the other end, t up to π/4: what is left out is below the rounding.
    let near = x + x <= one;
    let t = if near { x } else { one - x } * A::of(core::f64::consts::FRAC_PI_2);
    let mut series = one;
    for k in (1..=8).rev() {
        let pairs = if near { 2 * k * (2 * k - 1) } else { 2 * k * (2 * k + 1) };
        series = one - t * t / A::whole(pairs) * series;
    }
    let root = if near { series } else { t * series };
    root * root
}

/// Whether a setting is finite. As [`below`], without arithmetic: devices without `f64` have it in
/// software.
#[must_use]
pub(crate) const fn finite(x: f64) -> bool {
    x.to_bits() << 1 < f64::INFINITY.to_bits() << 1
}

/// Whether 0 ≤ x < limit.
#[must_use]
pub(crate) const fn below(x: f64, limit: f64) -> bool {
    x.to_bits() < limit.to_bits() || is_zero(x)
}

/// Whether x is 0 or −0.
#[must_use]
pub(crate) const fn is_zero(x: f64) -> bool {
    x.to_bits() << 1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_survives_the_round_trip_and_rounds_to_even() {
        assert_eq!(f16::narrow(f16::from_f32(1.5).widen()), f16::from_f32(1.5));
        assert_eq!(bf16::narrow(1.0015).widen(), 1.0, "bf16 has no number near 1.0015");
        assert_eq!(f16::EPSILON.to_f64(), <f16 as Scalar>::EPSILON);
    }

    #[test]
    fn every_half_widens_to_the_same_bits_as_in_the_crate_half() {
        for bits in 0..=u16::MAX {
            let (x, y) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(x.widen().to_bits(), x.to_f32().to_bits(), "f16 {bits:#06x}");
            assert_eq!(y.widen().to_bits(), y.to_f32().to_bits(), "bf16 {bits:#06x}");
        }
    }

    #[test]
    fn roots_are_correctly_rounded() {
        let near_squares = (1..0x7F80).flat_map(|high| [(high << 16) - 1, high << 16]);
        for bits in (0x0080_0000..0x7F80_0000).step_by(997).chain(near_squares) {
            let x = f32::from_bits(bits);
            if x.is_normal() {
                assert_eq!(sqrt_normal(x), libm::sqrtf(x), "{bits:#010x}");
                let apart = near_sqrt(x).to_bits().abs_diff(libm::sqrtf(x).to_bits());
                assert!(apart <= 1, "{bits:#010x}");
            }
        }
    }

    #[test]
    fn the_near_root_of_zero_is_zero() {
        assert_eq!((near_sqrt(0.0), near_sqrt(1.0), near_sqrt(4.0)), (0.0, 1.0, 2.0));
    }

    #[test]
    fn powers_and_what_they_leave_of_one() {
        assert_eq!((grown(0.5, 0), grown(0.5, 1), grown(0.5, 3)), (0.0, 0.5, 0.875));
        for n in [1, 2, 3, 10, 1000, 100_000] {
            let exact = -libm::expm1(n as f64 * libm::log1p(-0.001));
            assert!((grown(0.001, n) / exact - 1.0).abs() < 1e-14, "{n}");
            assert!((f64::from(grown(0.001f32, n)) / exact - 1.0).abs() < 1e-6, "{n}");
        }
    }

    #[test]
    fn squared_cosines() {
        assert_eq!((cosine_squared(0.0), cosine_squared(1.0)), (1.0, 0.0));
        for i in 0..=1000 {
            let x = f64::from(i) / 1000.0;
            let root = libm::cos(x * core::f64::consts::FRAC_PI_2);
            assert!((cosine_squared(x) - root * root).abs() < 4e-16, "{x}");
            assert!((f64::from(cosine_squared(x as f32)) - root * root).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn settings_are_compared_without_arithmetic() {
        let all = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-320, f64::MAX, f64::INFINITY, f64::NAN];
        for x in all.into_iter().chain([f64::NEG_INFINITY, -f64::NAN]) {
            assert_eq!((finite(x), is_zero(x)), (x.is_finite(), x == 0.0), "{x}");
            for limit in [1.0, f64::INFINITY] {
                assert_eq!(below(x, limit), (0.0..limit).contains(&x), "{x} below {limit}");
            }
        }
    }

    #[test]
    fn a_floor_keeps_nan() {
        assert!(f32::NAN.at_least(0.0).is_nan());
        assert_eq!((-1.0f32).at_least(0.0), 0.0);
    }
}
