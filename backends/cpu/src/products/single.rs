//! Products of `f32`, compiled with this crate and once for all programs: a program that is built for
//! size, as firmware is, keeps fast products where this crate alone is built for speed.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::target::Into;
use super::tiles;
use super::{Operand, same_type};

/// As [`tiles::product`]; with `f32` throughout, [`single`].
pub(super) fn product<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    into: &Into<A>,
    c: &mut [Z],
    at: Layout,
) {
    if same_type::<A, f32>() && same_type::<Z, f32>() {
        let (Some(a), Some(b)) = (a.native(), b.native()) else { return };
        return single(a, b, into.f32(), bytemuck::try_cast_slice_mut(c).unwrap_or_default(), at);
    }
    tiles::product(a, b, into, c, at);
}

#[inline(never)]
fn single(a: Operand<'_, f32>, b: Operand<'_, f32>, into: Into<f32>, c: &mut [f32], at: Layout) {
    tiles::product(a, b, &into, c, at);
}
