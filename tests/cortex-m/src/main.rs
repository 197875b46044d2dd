//! Trains on a Cortex-M4F and prints a hash of every bit of the result, over semihosting.

#![no_std]
#![no_main]

mod fingerprint;

use core::panic::PanicInfo;

use cortex_m::singleton;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hprintln;

use fingerprint::{WORDS, fingerprint};

#[entry]
fn main() -> ! {
    let arena = singleton!(: [f32; WORDS] = [0.0; WORDS]);
    match arena.map(|arena| fingerprint(arena)) {
        Some(Ok(hash)) => {
            hprintln!("fingerprint {:016x}", hash);
            exit(EXIT_SUCCESS);
        }
        Some(Err(e)) => hprintln!("failed: {}", e),
        None => hprintln!("failed: the arena is taken"),
    }
    exit(EXIT_FAILURE);
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("panicked: {}", info);
    exit(EXIT_FAILURE);
    loop {}
}
