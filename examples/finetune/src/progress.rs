//! How far training is: a live bar on a terminal, a line now and then elsewhere.

use core::time::Duration;
use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::metrics::Step;
use crate::words::rounded;

/// The time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);
const TEMPLATE: &str = "{bar:30} {pos}/{len}, {eta} left{msg}";

/// A bar, or lines.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    first: u64,
    begun: Instant,
    said: Option<Instant>,
}

impl Progress {
    /// A training of so many steps, of which `done` were taken before.
    #[must_use]
    pub fn new(steps: u64, done: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE);
            let bar = ProgressBar::new(steps).with_position(done);
            bar.reset_eta();
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, steps, first: done, begun: Instant::now(), said: None }
    }

    /// After a step.
    pub fn step(&mut self, step: &Step) {
        let text = format!("loss {:.4}, {:.0} tokens/s", step.loss, step.tokens_per_s);
        if let Some(bar) = &self.bar {
            bar.set_message(format!(": {text}"));
            bar.set_position(step.step);
            return;
        }
        let due = self.said.is_none_or(|said| said.elapsed() >= PAUSE);
        if due || step.step == self.steps {
            self.said = Some(Instant::now());
            let left = rounded(self.left(step.step));
            self.say(&format!("step {}/{}: {text}, {left} left", step.step, self.steps));
        }
    }

    /// Seconds until the end, at the pace so far.
    fn left(&self, step: u64) -> f64 {
        let taken = step.saturating_sub(self.first).max(1) as f64;
        let each = self.begun.elapsed().as_secs_f64() / taken;
        each * self.steps.saturating_sub(step) as f64
    }

    /// A line beside the bar. Whoever closed standard error does not want it.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => _ = writeln!(stderr(), "{text}"),
        }
    }

    /// Leaves the bar as it is.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
