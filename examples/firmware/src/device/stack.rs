//! How much of the stack was ever used: it is painted at the start, and searched at the end.

use core::hint::black_box;
use core::ptr;

/// A word that no program leaves by chance on a whole stack.
const PAINT: u32 = 0xC3C3_C3C3;
/// Words below the top of the stack that are painted: more than the budget, so that an overrun shows.
const PAINTED: usize = 4 * 1024;
/// Words that are left alone at painting: the frames that are alive then.
const ALIVE: usize = 64;

unsafe extern "C" {
    /// The top of the stack, by the linker script of cortex-m-rt.
    static _stack_start: u32;
}

fn top() -> *mut u32 {
    (&raw const _stack_start).cast_mut()
}

/// Paints the stack below the frames of now. Call it first.
#[inline(never)]
pub(super) fn paint() {
    for below in ALIVE..PAINTED {
        let word = top().wrapping_sub(below);
        // SAFETY: the stack grows down from `top`; frames of now are within `ALIVE` words of it, and
        // the words below belong to nobody: the statics end far below (RAM is 4 MiB).
        unsafe { ptr::write_volatile(word, PAINT) };
    }
}

/// Bytes between the top of the stack and the lowest word that is not paint.
#[inline(never)]
pub(super) fn used() -> usize {
    let painted = |below: &usize| {
        let word = top().wrapping_sub(*below).cast_const();
        // SAFETY: a word of the stack, as in `paint`; any bits are a number.
        unsafe { ptr::read_volatile(word) == PAINT }
    };
    let lowest = (ALIVE..PAINTED).rev().find(|below| !painted(below));
    black_box(lowest.unwrap_or(ALIVE)) * size_of::<u32>()
}
