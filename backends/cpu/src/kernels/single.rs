//! Kernels of `f32` that are compiled with this crate, once for all programs: a program that is built
//! for size, as firmware is, keeps them fast where this crate alone is built for speed. What is
//! generic is compiled with the program.

use decora::scalar::Element;

/// The same numbers as `f32`, which they are.
pub(crate) fn cast<E: Element>(of: &[E]) -> &[f32] {
    bytemuck::try_cast_slice(of).unwrap_or_default()
}

/// As [`cast`], to write.
pub(crate) fn cast_mut<E: Element>(of: &mut [E]) -> &mut [f32] {
    bytemuck::try_cast_slice_mut(of).unwrap_or_default()
}
