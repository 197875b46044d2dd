//! How many instructions something takes.

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_semihosting::hprintln;

/// Instructions between two ticks, in an emulator that takes a nanosecond for each: the processor's
/// clock has 25 MHz.
const PER_TICK: u32 = 40;

/// How often a case runs between two looks at the clock, so that a tick is not much.
const TIMES: u32 = 8;

const LAST: u32 = 0x00FF_FFFF;

/// The system timer, running.
pub(crate) struct Ticks(());

impl Ticks {
    /// Starts it; `None` when the peripherals are taken.
    pub(crate) fn start() -> Option<Self> {
        let mut timer = Peripherals::take()?.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(LAST);
        timer.clear_current();
        timer.enable_counter();
        Some(Self(()))
    }

    /// Instructions of one run of `f`, after a first one that does not count. `None` where `f` fails.
    pub(crate) fn count<T, E>(&self, mut f: impl FnMut() -> Result<T, E>) -> Option<u32> {
        f().ok()?;
        let before = SYST::get_current();
        for _ in 0..TIMES {
            f().ok()?;
        }
        let after = SYST::get_current();
        Some((before.wrapping_sub(after) & LAST) * PER_TICK / TIMES)
    }

    /// Prints the line of a case that does `units` of something.
    pub(crate) fn report<T, E>(&self, name: &str, units: usize, f: impl FnMut() -> Result<T, E>) {
        match self.count(f) {
            None => hprintln!("{:<34} failed", name),
            Some(instructions) => {
                let hundredths = u64::from(instructions) * 100 / (units as u64).max(1);
                let (whole, rest) = (hundredths / 100, hundredths % 100);
                hprintln!("{:<34} {:>8} {:>8} {:>4}.{:02}", name, instructions, units, whole, rest);
            }
        }
    }
}
