//! What only the device has: start, clock, log, stack, and the files of the machine it is wired to.

mod clock;
mod files;
mod log;
mod panic;
mod stack;

use cortex_m::peripheral::Peripherals;
use cortex_m::singleton;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use decora_firmware::app::{self, Memory};
use decora_firmware::board::{Board, Event};
use decora_firmware::flash::{ADAPTER, CHECKPOINT, MERGED};
use decora_firmware::setup::ARENA;
use defmt_semihosting as _;

use clock::Clock;

/// Bytes of stack that the firmware may use: what is stated in `budget.toml`.
const STACK_BUDGET: usize = 4 * 1024;

#[entry]
fn main() -> ! {
    stack::paint();
    exit(if succeeds() { EXIT_SUCCESS } else { EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Whether accuracy rose and all checks held.
fn succeeds() -> bool {
    let Some(mut memory) = memory() else { return false };
    let Some(peripherals) = Peripherals::take() else { return false };
    let mut board = Device { clock: Clock::start(peripherals.SYST), failed: false };
    if let Err(e) = app::run(&mut board, &mut memory) {
        defmt::error!("stopped: {}", e);
        return false;
    }
    let used = stack::used();
    defmt::info!("stack: {=usize} of {=usize} bytes used", used, STACK_BUDGET);
    board.log(&Event::Check { what: "stack within its budget", holds: used <= STACK_BUDGET });
    !board.failed
}

/// All memory there is, once. The flash is emulated: this board has none that it could write.
fn memory() -> Option<Memory<'static>> {
    Some(Memory {
        arena: singleton!(: [f32; ARENA] = [0.0; ARENA])?,
        adapter: singleton!(: [u8; ADAPTER] = [0xFF; ADAPTER])?,
        checkpoint: singleton!(: [u8; CHECKPOINT] = [0xFF; CHECKPOINT])?,
        merged: singleton!(: [u8; MERGED] = [0xFF; MERGED])?,
    })
}

struct Device {
    clock: Clock,
    /// Whether a check did not hold.
    failed: bool,
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

    fn receive(&mut self, name: &str, take: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        files::read(name, take)
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        let sent = files::write(name, bytes);
        self.log(&Event::Check { what: "a file is handed out", holds: sent });
    }
}
