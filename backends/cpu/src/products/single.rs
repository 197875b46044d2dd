//! Products of `f32`, compiled with this crate and once for all programs: a program that is built for
//! size, as firmware is, keeps fast products where this crate alone is built for speed.

use decora::scalar::{Accum, Element};

use super::same_type;
use super::source::Source;
use super::target::Target;
use super::tiles;

/// As [`tiles::product`]; with `f32` throughout, [`single`].
pub(super) fn product<A: Accum, Z: Element>(
    a: Source<'_, A>,
    b: Source<'_, A>,
    c: Target<'_, A, Z>,
) {
    if same_type::<A, f32>() && same_type::<Z, f32>() {
        let Target { alpha, store, c, at } = c;
        let c = bytemuck::try_cast_slice_mut(c).unwrap_or_default();
        let c = Target { alpha: alpha.f32(), store, c, at };
        return single(a.f32(&a.single()), b.f32(&b.single()), c);
    }
    tiles::product(a, b, c);
}

#[inline(never)]
fn single(a: Source<'_, f32>, b: Source<'_, f32>, c: Target<'_, f32, f32>) {
    tiles::product(a, b, c);
}
