//! What a property found.

use std::fmt;

/// The outcome of one property on one device. As a line of text: a row of the table [`HEADER`].
#[derive(Clone, Debug)]
pub struct Report {
    /// The operation, or the invariant.
    pub op: &'static str,
    /// The device's [`Scalar`](decora::scalar::Scalar).
    pub scalar: &'static str,
    /// How many results were compared.
    pub cases: usize,
    /// The largest error, as a share of its own bound.
    pub worst: f64,
    /// The bound as a formula.
    pub bound: String,
    /// What is wrong: the first [`Report::SHOWN`] failures as text.
    pub failures: Vec<String>,
    /// How many failures there are in all.
    pub failed: usize,
}

/// The heads of the columns of a report.
pub const HEADER: &str = "property                 scalar   cases   worst/bound  failed  bound";

impl Report {
    /// How many failures are kept as text.
    pub const SHOWN: usize = 8;

    /// Nothing compared yet.
    #[must_use]
    pub fn new(op: &'static str, scalar: &'static str, bound: String) -> Self {
        Self { op, scalar, cases: 0, worst: 0.0, bound, failures: Vec::new(), failed: 0 }
    }

    /// Nothing is wrong, and something was compared.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.failed == 0 && self.cases > 0
    }

    /// One more failure.
    pub fn fail(&mut self, text: impl FnOnce() -> String) {
        self.failed += 1;
        if self.failures.len() < Self::SHOWN {
            self.failures.push(text());
        }
    }

    /// Nothing, when all is well.
    ///
    /// # Panics
    /// With every failure that was kept, when something is wrong or nothing was compared.
    pub fn assert_ok(&self) {
        assert!(self.cases > 0, "{} ({}): nothing was compared", self.op, self.scalar);
        let Self { op, scalar, cases, failed, .. } = self;
        let shown = self.failures.join("\n  ");
        let more = failed - self.failures.len();
        assert!(
            *failed == 0,
            "{op} ({scalar}): {failed} failures in {cases} cases\n  {shown}\n  and {more} more"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, scalar, cases, worst, bound, failed, .. } = self;
        write!(f, "{op:<24} {scalar:<6} {cases:>7} {worst:>13.3} {failed:>7}  {bound}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "gemm (f32): 9 failures in 3 cases\n  too large")]
    fn failures_are_named() {
        let mut report = Report::new("gemm", "f32", String::new());
        report.cases = 3;
        (0..9).for_each(|_| report.fail(|| "too large".into()));
        assert_eq!((report.ok(), report.failures.len()), (false, Report::SHOWN));
        report.assert_ok();
    }

    #[test]
    #[should_panic(expected = "nothing was compared")]
    fn a_property_that_compared_nothing_proves_nothing() {
        Report::new("gemm", "f32", String::new()).assert_ok();
    }
}
