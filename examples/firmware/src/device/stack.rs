//! How much of the stack was ever used: it is painted at the start, and searched at the end.

use core::ptr;

use cortex_m::register::msp;

/// A word that no program leaves by chance on a whole stack.
const PAINT: u32 = 0xC3C3_C3C3;
/// Words below the top of the stack that are painted: more than the budget, so that an overrun shows.
const PAINTED: usize = 4 * 1024;
/// Words below the stack pointer that are left alone at painting.
const MARGIN: usize = 16;

unsafe extern "C" {
    /// The top of the stack, by the linker script of cortex-m-rt.
    static _stack_start: u32;
}

/// The word that many words below the top of the stack.
fn word(below: usize) -> *mut u32 {
    (&raw const _stack_start).cast_mut().wrapping_sub(below)
}

/// Paints the stack below the frames of now. Call it first.
#[inline(never)]
pub(crate) fn paint() {
    let alive = (word(0).addr() - msp::read() as usize) / size_of::<u32>();
    for below in alive + MARGIN..PAINTED {
        // SAFETY: the stack grows down, and this word lies below its pointer, so that it belongs to
        // nobody: the statics end far below it (RAM is 4 MiB).
        unsafe { ptr::write_volatile(word(below), PAINT) };
    }
}

/// Bytes between the top of the stack and the lowest word that is not paint.
#[inline(never)]
pub(crate) fn used() -> usize {
    let painted = |below: &usize| {
        // SAFETY: a word of RAM, as in `paint`; any bits are a number.
        unsafe { ptr::read_volatile(word(*below)) == PAINT }
    };
    let lowest = (1..PAINTED).rev().find(|below| !painted(below));
    lowest.unwrap_or(0) * size_of::<u32>()
}
