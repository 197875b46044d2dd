//! n = √max(sq, 0) and g = m/n, and the gradient of m.

use decora::backend::Store;
use decora::scalar::Accum;

use super::single::{cast, cast_mut};
use crate::products::same_type;

/// The five vectors of a magnitude, to be walked together.
pub(crate) struct Gain<'a, A> {
    pub(crate) base_sq: &'a [A],
    pub(crate) sq: &'a [A],
    pub(crate) m: &'a mut [A],
    pub(crate) n: &'a mut [A],
    pub(crate) g: &'a mut [A],
}

/// n and g; where W has a zero row, g = 1 and m = n.
pub(crate) fn gain<A: Accum>(Gain { base_sq, sq, m, n, g }: Gain<'_, A>) {
    if same_type::<A, f32>() {
        let (base_sq, sq, m) = (cast(base_sq), cast(sq), cast_mut(m));
        return single(Gain { base_sq, sq, m, n: cast_mut(n), g: cast_mut(g) });
    }
    gains(Gain { base_sq, sq, m, n, g });
}

/// Compiled with this crate and once for all programs, as [`super::single`] says.
#[inline(never)]
fn single(of: Gain<'_, f32>) {
    gains(of);
}

#[inline(always)]
fn gains<A: Accum>(Gain { base_sq, sq, m, n, g }: Gain<'_, A>) {
    let (zero, one) = (A::default(), A::of(1.0));
    for ((((&base, &sq), m), n), g) in base_sq.iter().zip(sq).zip(m).zip(n).zip(g) {
        *n = sq.at_least(zero).sqrt();
        if base == zero {
            *m = *n;
        }
        *g = if base == zero || *n == zero { one } else { *m / *n };
    }
}

/// The vectors of the backward of a magnitude, to be walked together.
pub(crate) struct GainGrad<'a, A> {
    pub(crate) base_sq: &'a [A],
    pub(crate) n: &'a [A],
    pub(crate) g: &'a [A],
    pub(crate) q: &'a [A],
    pub(crate) dm: &'a mut [A],
    pub(crate) c: &'a mut [A],
}

/// dm = q/n, or the same added to dm, and c = −g·q/n²; both 0 where there is nothing to decompose.
pub(crate) fn gain_grad<A: Accum>(store: Store, v: GainGrad<'_, A>) {
    let zero = A::default();
    let given = v.base_sq.iter().zip(v.n).zip(v.g).zip(v.q);
    for ((((&base, &n), &g), &q), (dm, c)) in given.zip(v.dm.iter_mut().zip(v.c)) {
        let d = if base == zero || n == zero { zero } else { q / n };
        *dm = match store {
            Store::Replace => d,
            Store::Add => *dm + d,
        };
        *c = if d == zero { zero } else { -(g * d) / n };
    }
}
