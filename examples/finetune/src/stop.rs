//! Ctrl-C and SIGTERM: training stops at the end of a step.

use core::sync::atomic::{AtomicBool, Ordering};
use std::process;
use std::sync::Arc;

/// The exit status of a program that was stopped: 128 + SIGINT.
pub const STATUS: u8 = 130;

/// Whether somebody asked the program to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to Ctrl-C and SIGTERM from now on. A second one ends the program at once. Where the
    /// signals cannot be had, they do what they always do.
    #[must_use]
    pub fn listen() -> Self {
        let stop = Self::default();
        let flag = stop.clone();
        let _ = ctrlc::set_handler(move || {
            if flag.0.swap(true, Ordering::Relaxed) {
                process::exit(STATUS.into());
            }
        });
        stop
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for it.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
