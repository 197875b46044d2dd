//! Results as text.

use core::fmt;
use std::io::{IsTerminal, Write};

use super::run::{Results, Row};
use crate::report::HEADER;

/// The table on standard output, row by row as properties are done, and on standard error, where that
/// is a terminal, how far it is.
///
/// A closed output is no reason to stop: exit code and files say the same.
#[derive(Debug)]
pub(super) struct Table {
    shapes: bool,
    done: usize,
    of: usize,
}

impl Table {
    /// Prints the heads of the columns of a table of `of` rows.
    pub(super) fn new(shapes: bool, of: usize) -> Self {
        let _ = writeln!(std::io::stdout(), "{HEADER}");
        let table = Self { shapes, done: 0, of };
        table.progress();
        table
    }

    /// Prints a row, its failures and, where asked for, its shapes.
    pub(super) fn row(&mut self, row: &Row) {
        self.done += 1;
        clear();
        let _ = write!(std::io::stdout(), "{}", Lines { row, shapes: self.shapes });
        self.progress();
    }

    fn progress(&self) {
        let mut error = std::io::stderr();
        if error.is_terminal() && self.done < self.of {
            let _ = write!(error, "{} of {} properties done", self.done, self.of);
            let _ = error.flush();
        }
    }
}

/// Takes back what `progress` has written.
fn clear() {
    let mut error = std::io::stderr();
    if error.is_terminal() {
        let _ = write!(error, "\r\x1b[K");
    }
}

struct Lines<'r> {
    row: &'r Row,
    shapes: bool,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.row.report;
        writeln!(f, "{report}")?;
        report.failures.iter().try_for_each(|text| writeln!(f, "    {text}"))?;
        if report.failed > report.failures.len() {
            writeln!(f, "    and {} more", report.failed - report.failures.len())?;
        }
        if report.failed == 0 && report.cases == 0 {
            writeln!(f, "    nothing was compared")?;
        }
        let shapes = report.shapes.iter().filter(|_| self.shapes);
        shapes.into_iter().try_for_each(|shape| writeln!(f, "{shape}"))
    }
}

/// As text: one line that sums everything up.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, device, against, rows } = self;
        write!(f, "{backend} ({device})")?;
        if let Some(against) = against {
            write!(f, " against {against}")?;
        }
        let cases: usize = rows.iter().map(|row| row.report.cases).sum();
        write!(f, ": {} properties, {cases} cases, {:.1} s: ", rows.len(), self.seconds())?;
        match self.failed() {
            0 if rows.is_empty() => f.write_str("nothing was compared"),
            0 => f.write_str("all passed"),
            failed => write!(f, "{failed} failed"),
        }
    }
}
