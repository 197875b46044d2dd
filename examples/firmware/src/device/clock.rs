//! How many instructions were executed, in an emulator that takes a nanosecond for each.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Instructions between two ticks: the processor's clock has 25 MHz.
const PER_TICK: u64 = 40;
/// The timer counts down from here, and starts again.
const LAST: u32 = 0x00FF_FFFF;

/// Counts on over the wraps of the timer, as long as it is asked once in 600 million instructions.
pub(super) struct Clock {
    last: u32,
    ticks: u64,
}

impl Clock {
    pub(super) fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(LAST);
        timer.clear_current();
        timer.enable_counter();
        Self { last: SYST::get_current(), ticks: 0 }
    }

    /// Instructions since the start, to the nearest tick.
    pub(super) fn instructions(&mut self) -> u64 {
        let now = SYST::get_current();
        self.ticks += u64::from(self.last.wrapping_sub(now) & LAST);
        self.last = now;
        self.ticks * PER_TICK
    }
}
