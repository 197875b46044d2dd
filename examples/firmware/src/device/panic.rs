//! The end of a program that is wrong. Nothing that training calls can get here; see `no-panic`.

use core::panic::PanicInfo;

use cortex_m_semihosting::debug::{EXIT_FAILURE, exit};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    defmt::error!("panicked");
    exit(EXIT_FAILURE);
    loop {
        cortex_m::asm::wfi();
    }
}
