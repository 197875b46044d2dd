//! What only the device has: clock, log, stack, and the files of the machine it is wired to.

mod clock;
mod files;
mod log;
mod panic;
pub(crate) mod stack;

use cortex_m::peripheral::Peripherals;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use decora_firmware::app::AppError;
use decora_firmware::board::{Board, Event};
use defmt_semihosting as _;

use clock::Clock;

/// The board.
pub(crate) struct Device {
    clock: Clock,
    /// Whether a check did not hold.
    failed: bool,
}

impl Device {
    /// Runs a program to its end, which is success only if all checks held.
    pub(crate) fn run(program: impl FnOnce(&mut Self) -> Result<(), AppError>) -> ! {
        exit(if Self::succeeds(program) { EXIT_SUCCESS } else { EXIT_FAILURE });
        loop {
            cortex_m::asm::wfi();
        }
    }

    fn succeeds(program: impl FnOnce(&mut Self) -> Result<(), AppError>) -> bool {
        let Some(peripherals) = Peripherals::take() else { return false };
        let mut board = Self { clock: Clock::start(peripherals.SYST), failed: false };
        if let Err(e) = program(&mut board) {
            defmt::error!("stopped: {=str}", e.text());
            return false;
        }
        defmt::info!("stack: {=usize} bytes used", stack::used());
        !board.failed
    }
}

impl Board for Device {
    fn instructions(&mut self) -> u64 {
        self.clock.instructions()
    }

    fn log(&mut self, event: &Event) {
        if let Event::Check { holds: false, .. } = event {
            self.failed = true;
        }
        log::log(event);
    }

    fn has(&mut self, name: &str) -> bool {
        files::exists(name)
    }

    fn receive(&mut self, name: &str, take: &mut dyn FnMut(&[u8]) -> bool) {
        files::read(name, take);
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        let sent = files::write(name, bytes);
        self.log(&Event::Check { what: "a file is handed out", holds: sent });
    }
}
