//! Property by property.

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Instant;

use super::candidate::{Devices, Group, Trialled};
use crate::against::Part;
use crate::report::Report;
use crate::tolerance;

/// One property, tried.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is about.
    pub group: Group,
    /// What it found.
    pub report: Report,
    /// How long it took.
    pub seconds: f64,
}

/// All properties that were tried on one device.
#[derive(Clone, Debug)]
pub struct Results {
    /// The backend by its name on the command line.
    pub backend: String,
    /// The device.
    pub device: String,
    /// What operations were compared with, by its name on the command line.
    pub against: Option<String>,
    /// One row for each property and scalar.
    pub rows: Vec<Row>,
}

impl Results {
    /// Something was compared, and nothing was wrong.
    #[must_use]
    pub fn ok(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.report.ok())
    }

    /// How many properties failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|row| !row.report.ok()).count()
    }

    /// How long all took together.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.rows.iter().map(|row| row.seconds).sum()
    }
}

/// Tries each of `chosen`, properties of `tested`; operations also against `reference`. A property
/// that panics has failed.
pub fn run<'d>(
    tested: &'d Devices,
    reference: Option<&'d Devices>,
    chosen: impl IntoIterator<Item = &'d Trialled>,
    mut each: impl FnMut(&Row),
) -> Vec<Row> {
    let watched: Vec<&Devices> = [Some(tested), reference].into_iter().flatten().collect();
    // What was said before the first property counts as well.
    let mut seen = vec![0; watched.len()];
    let mut rows = Vec::new();
    for property in chosen {
        let start = Instant::now();
        let mut report = compared(property, reference);
        for (devices, seen) in watched.iter().zip(&mut seen) {
            let messages = (devices.messages)();
            for message in messages.iter().skip(*seen) {
                report.fail(|| format!("the checker of the device says: {message}"));
            }
            *seen = messages.len();
        }
        let row = Row { group: property.group, report, seconds: start.elapsed().as_secs_f64() };
        each(&row);
        rows.push(row);
    }
    rows
}

/// An operation against the reference, anything else alone.
fn compared(property: &Trialled, reference: Option<&Devices>) -> Report {
    let Some(reference) = reference.filter(|_| property.group == Group::Operation) else {
        return caught(property, Part::Alone);
    };
    match counterpart(property, reference).ok_or("it is not there".into()).and_then(|of| {
        let recorder = (property.recorder)();
        let report = caught(of, Part::Reference(recorder.clone()));
        recorder.numbers().ok_or_else(|| report.failures.join("\n  "))
    }) {
        Ok(numbers) => caught(property, Part::Tested(numbers)),
        Err(why) => {
            let mut report = caught(property, Part::Alone);
            report.fail(|| format!("nothing to compare with, on the reference: {why}"));
            report
        }
    }
}

/// The same property on the reference: in the same scalar, or where it has `f64` alone, in that.
fn counterpart<'d>(property: &Trialled, reference: &'d Devices) -> Option<&'d Trialled> {
    let in_scalar = |scalar| {
        let mut all = reference.properties.iter();
        all.find(|other| other.name == property.name && other.scalar == scalar)
    };
    in_scalar(property.scalar).or_else(|| in_scalar("f64"))
}

/// The report of a property, also when it panics.
fn caught(property: &Trialled, part: Part) -> Report {
    let run = AssertUnwindSafe(|| (property.run)(part));
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked");
        let method = property.name.trim_start_matches("strict/");
        let bound = tolerance::of(method).map_or(String::new(), ToString::to_string);
        let mut report = Report::new(property.name, property.scalar, bound);
        report.fail(|| text.into());
        report
    })
}
