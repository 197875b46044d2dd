//! The program on the device.

use core::panic::PanicInfo;

use cortex_m::singleton;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;

use crate::ticks::Ticks;
use crate::{kernels, steps};

/// Words that any case takes.
const WORDS: usize = 32 * 1024;

#[entry]
fn main() -> ! {
    let arena = singleton!(: [f32; WORDS] = [0.0; WORDS]);
    match (Ticks::start(), arena) {
        (Some(ticks), Some(arena)) => {
            hprintln!("{:<34} {:>8} {:>8} {:>7}", "case", "instr", "macs", "ratio");
            steps::all(&ticks, arena);
            kernels::all(&ticks, arena);
            exit(EXIT_SUCCESS);
        }
        _ => hprintln!("the timer or the arena is taken"),
    }
    exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("panicked: {}", info);
    exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
