//! Numbers that the fast path sums in, as vectors of whatever width the processor has.

use alloc::vec::Vec;
use core::cell::RefCell;

use bytemuck::Pod;
use decora::scalar::Accum;
use pulp::Simd;

/// `f32` or `f64`, in vectors.
pub(super) trait Lane: Accum {
    /// A vector on instruction set `S`.
    type V<S: Simd>: Pod;

    /// How many numbers a vector holds.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::V<S>>() / size_of::<Self>()
    }

    /// `x` in every lane.
    fn splat<S: Simd>(s: S, x: Self) -> Self::V<S>;

    /// a·b + c, rounded once where the processor can.
    fn fma<S: Simd>(s: S, a: Self::V<S>, b: Self::V<S>, c: Self::V<S>) -> Self::V<S>;

    /// Whole vectors from the front of `of`.
    fn vectors<S: Simd>(of: &[Self]) -> &[Self::V<S>];

    /// As [`vectors`](Lane::vectors), to write.
    fn vectors_mut<S: Simd>(of: &mut [Self]) -> &mut [Self::V<S>];

    /// Takes scratch of this thread, which holds anything; [`keep`](Lane::keep) gives it back.
    fn take() -> Vec<Self>;

    /// Keeps scratch for the next call on this thread.
    fn keep(scratch: Vec<Self>);
}

/// Bytes of a cache line, and of the widest vector.
pub(super) const LINE: usize = 64;

/// Asks for the cache line in which `of` begins, which is read soon; where the processor cannot be asked,
/// nothing.
#[inline(always)]
pub(super) fn soon<E>(of: &[E]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        sse._mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T1 }>(of.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = of;
}

/// `len` numbers of `scratch`, from the start of a cache line.
pub(super) fn room<T: Lane>(scratch: &mut Vec<T>, len: usize) -> &mut [T] {
    scratch.resize(scratch.len().max(len + LINE), T::default());
    let skip = scratch.as_ptr().align_offset(LINE).min(LINE);
    scratch.get_mut(skip..skip + len).unwrap_or_default()
}

/// Scratch that a thread keeps from call to call.
#[derive(Default)]
struct Kept {
    f32: RefCell<Vec<Vec<f32>>>,
    f64: RefCell<Vec<Vec<f64>>>,
}

std::thread_local! {
    static KEPT: Kept = Kept::default();
}

macro_rules! lane {
    ($t:ident, $v:ident, $splat:ident, $fma:ident, $vectors:ident, $vectors_mut:ident) => {
        impl Lane for $t {
            type V<S: Simd> = S::$v;

            #[inline(always)]
            fn splat<S: Simd>(s: S, x: Self) -> S::$v {
                s.$splat(x)
            }

            #[inline(always)]
            fn fma<S: Simd>(s: S, a: S::$v, b: S::$v, c: S::$v) -> S::$v {
                s.$fma(a, b, c)
            }

            #[inline(always)]
            fn vectors<S: Simd>(of: &[Self]) -> &[S::$v] {
                S::$vectors(of).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(of: &mut [Self]) -> &mut [S::$v] {
                S::$vectors_mut(of).0
            }

            fn take() -> Vec<Self> {
                KEPT.with(|kept| kept.$t.borrow_mut().pop()).unwrap_or_default()
            }

            fn keep(scratch: Vec<Self>) {
                KEPT.with(|kept| kept.$t.borrow_mut().push(scratch));
            }
        }
    };
}

lane!(f32, f32s, splat_f32s, mul_add_e_f32s, as_simd_f32s, as_mut_simd_f32s);
lane!(f64, f64s, splat_f64s, mul_add_e_f64s, as_simd_f64s, as_mut_simd_f64s);
