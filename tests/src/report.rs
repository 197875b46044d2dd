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
    /// The largest errors.
    pub worst: Worst,
    /// The largest differences from a reference device; `None` where there was none.
    pub against: Option<Worst>,
    /// The same by shape, in the order of their first cases.
    pub shapes: Vec<Shape>,
    /// The bound as a formula.
    pub bound: String,
    /// What is wrong: the first [`Report::SHOWN`] failures as text.
    pub failures: Vec<String>,
    /// How many failures there are in all.
    pub failed: usize,
}

/// What was found for operands of one shape. As text: a row below that of its report.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The sides, as in 65×63×64: m×k×n of a product, else rows×columns, or a length.
    pub label: String,
    /// How many results were compared.
    pub cases: usize,
    /// The largest errors.
    pub worst: Worst,
    /// The largest differences from a reference device; `None` where there was none.
    pub against: Option<Worst>,
}

/// The largest differences that were met; infinite where a number was met with none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worst {
    /// Of two elements.
    pub error: f64,
    /// As a share of the bound of the element in question.
    pub share: f64,
}

/// The heads of the columns of a report.
pub const HEADER: &str =
    "property                     scalar   cases   worst/bound  vs reference  failed  bound";

impl Worst {
    /// One more difference, and its bound. Whether it is within.
    pub(crate) fn meet(&mut self, difference: f64, bound: f64) -> bool {
        let error = if difference.is_nan() { f64::INFINITY } else { difference };
        let share = if error == 0.0 { 0.0 } else { error / bound };
        self.join(Self { error, share });
        error <= bound
    }

    fn join(&mut self, other: Self) {
        self.error = self.error.max(other.error);
        self.share = self.share.max(other.share);
    }
}

impl Report {
    /// How many failures are kept as text.
    pub const SHOWN: usize = 8;

    /// Nothing compared yet.
    #[must_use]
    pub fn new(op: &'static str, scalar: &'static str, bound: String) -> Self {
        let (worst, shapes, failures) = (Worst::default(), Vec::new(), Vec::new());
        Self { op, scalar, cases: 0, worst, against: None, shapes, bound, failures, failed: 0 }
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

    /// The number of the shape with this label, from now on one of them.
    pub(crate) fn shape(&mut self, label: String) -> usize {
        let known = self.shapes.iter().position(|shape| shape.label == label);
        known.unwrap_or_else(|| {
            self.shapes.push(Shape { label, cases: 0, worst: Worst::default(), against: None });
            self.shapes.len() - 1
        })
    }

    /// Sums up what was found shape by shape.
    pub(crate) fn conclude(&mut self) {
        self.cases = self.shapes.iter().map(|shape| shape.cases).sum();
        self.shapes.iter().for_each(|shape| self.worst.join(shape.worst));
        for against in self.shapes.iter().filter_map(|shape| shape.against) {
            self.against.get_or_insert_default().join(against);
        }
    }

    /// Nothing, when all is well.
    ///
    /// # Panics
    /// With every failure that was kept, when something is wrong or nothing was compared.
    pub fn assert_ok(&self) {
        let Self { op, scalar, cases, failed, .. } = self;
        let shown = self.failures.join("\n  ");
        let more = failed - self.failures.len();
        assert!(
            *failed == 0,
            "{op} ({scalar}): {failed} failures in {cases} cases\n  {shown}\n  and {more} more"
        );
        assert!(self.cases > 0, "{op} ({scalar}): nothing was compared");
    }
}

/// A share in three digits, or a dash.
struct Share(Option<Worst>);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.map_or("–".into(), |worst| format!("{:.3}", worst.share)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, scalar, cases, bound, failed, .. } = self;
        let (worst, against) = (Share(Some(self.worst)), Share(self.against));
        write!(f, "{op:<28} {scalar:<6} {cases:>7} {worst:>13} {against:>13} {failed:>7}  {bound}")
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (worst, against) = (Share(Some(self.worst)), Share(self.against));
        write!(f, "  {:<33} {:>7} {worst:>13} {against:>13}", self.label, self.cases)?;
        write!(f, "           error {:.1e}", self.worst.error)?;
        self.against.map_or(Ok(()), |other| write!(f, ", difference {:.1e}", other.error))
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

    #[test]
    fn the_worst_of_all_shapes_is_that_of_the_report() {
        let mut report = Report::new("gemm", "f32", String::new());
        for (label, error) in [("2×3×4", 1.0), ("5×1×5", 3.0), ("2×3×4", 2.0)] {
            let shape = report.shape(label.into());
            report.shapes[shape].cases += 1;
            assert_eq!(report.shapes[shape].worst.meet(error, 2.0), error <= 2.0);
        }
        report.conclude();
        assert_eq!((report.cases, report.shapes.len(), report.against), (3, 2, None));
        assert_eq!(report.worst, Worst { error: 3.0, share: 1.5 });
    }

    #[test]
    fn no_bound_and_no_number_are_infinitely_far() {
        let mut worst = Worst::default();
        assert!(worst.meet(0.0, 0.0) && worst == Worst::default(), "equal is within nothing");
        assert!(!worst.meet(1e-30, 0.0) && worst.share == f64::INFINITY);
        assert!(!worst.meet(f64::NAN, 1.0) && worst.error == f64::INFINITY);
    }
}
