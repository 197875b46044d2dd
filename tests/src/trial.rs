//! One property on one device: operands go there, results come back and are compared.

use core::fmt::Debug;

use decora::backend::{AccumOf, Backend, Elem};
use decora::buffer::{Buffer, Role, RoleKind};
use decora::error::{DeviceError, Error, ErrorKind};
use decora::scalar::{Accum, Element, Scalar};

use crate::against::{Make, Part, Recorder};
use crate::expected::Expected;
use crate::operand::Operand;
use crate::report::{Report, Shape};
use crate::tolerance::{self, Tolerance};

/// What a property answers: an error is one that no operation should have made.
pub(crate) type Outcome<B> = Result<(), Error<<B as Backend>::Error>>;

/// A device, and what was found out about it.
pub(crate) struct Trial<B: Backend> {
    /// The device.
    pub(crate) be: B,
    report: Report,
    /// The number of the shape that cases belong to from now on.
    shape: Option<usize>,
    tolerance: Tolerance,
    part: Part,
    /// Whether results are compared, or only kept.
    judged: bool,
    /// Every number that came back.
    numbers: Vec<f64>,
}

/// Runs `body` on two fresh devices, and compares all that came back bit for bit. A reference device
/// runs it once.
pub(crate) fn property<B: Backend>(
    op: &'static str,
    make: Make<'_, B>,
    body: &dyn Fn(&mut Trial<B>) -> Outcome<B>,
) -> Report {
    let mut first = Trial::new(op, make, true);
    first.run(body);
    if let Part::Reference(recorder) = &first.part {
        recorder.keep::<B::Scalar>(&first.report, first.numbers);
        return first.report;
    }
    let mut second = Trial::new(op, make, false);
    second.run(body);
    first.agrees_with(&second.numbers);
    first.report
}

impl<B: Backend> Trial<B> {
    fn new(op: &'static str, make: Make<'_, B>, judged: bool) -> Self {
        let none = Tolerance { op, fixed: 0.0, per_term: 0.0, reason: "" };
        let known = tolerance::of(op).copied();
        let tolerance = known.unwrap_or(none);
        let mut report = Report::new(op, B::Scalar::NAME, tolerance.to_string());
        if known.is_none() {
            report.fail(|| "the table of tolerances has no entry".into());
        }
        let (be, part) = (make.device(), make.part());
        Self { be, report, shape: None, tolerance, part, judged, numbers: Vec::new() }
    }

    fn run(&mut self, body: &dyn Fn(&mut Self) -> Outcome<B>) {
        if let Err(e) = body(self) {
            self.report.fail(|| format!("an error where none should be: {e}"));
        }
        if let Part::Tested(reference) = &self.part {
            let (found, expected) = (self.numbers.len(), reference.len());
            if !reference.report().ok() {
                let text = reference.report().failures.join("\n  ");
                self.report.fail(|| format!("the reference itself is wrong: {text}"));
            }
            if found != expected {
                self.report.fail(|| format!("{found} numbers, the reference has {expected}"));
            }
        }
        self.report.conclude();
    }

    fn agrees_with(&mut self, second: &[f64]) {
        let bits = |x: f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
        let pairs = self.numbers.iter().zip(second);
        let differ = pairs.filter(|(a, b)| bits(**a) != bits(**b)).count();
        let (all, again) = (self.numbers.len(), second.len());
        if differ > 0 {
            self.report.fail(|| format!("{differ} of {all} numbers differ in a second run"));
        }
        if all != again {
            self.report.fail(|| format!("{all} numbers came back, {again} in a second run"));
        }
    }

    /// Cases belong to operands with these sides from now on.
    pub(crate) fn shape(&mut self, sides: &[usize]) {
        let sides: Vec<String> = sides.iter().map(usize::to_string).collect();
        self.shape = Some(self.report.shape(sides.join("×")));
    }

    /// What is known of the shape of now.
    fn current(&mut self) -> &mut Shape {
        let shape = self.shape.unwrap_or_else(|| self.report.shape("any".into()));
        self.shape = Some(shape);
        &mut self.report.shapes[shape]
    }

    /// The number nearest to `x` that sums of the device, or of that it is the reference of, hold.
    pub(crate) fn number(&self, x: f64) -> AccumOf<B> {
        AccumOf::<B>::of(self.narrow(RoleKind::Acc, x))
    }

    /// What `x` is rounded to before it goes to the device: on a reference, as the other would.
    pub(crate) fn narrow(&self, kind: RoleKind, x: f64) -> f64 {
        match &self.part {
            Part::Reference(Recorder { narrow, .. }) => narrow(kind, x),
            Part::Alone | Part::Tested(_) => x,
        }
    }

    /// What a buffer holds now.
    pub(crate) fn get<R: Role>(&mut self, buf: &B::Buf<R>) -> Result<Vec<f64>, B::Error> {
        let mut elements = vec![Elem::<B, R>::default(); buf.len()];
        self.be.read::<R>(buf, 0, &mut elements)?;
        Ok(elements.iter().map(|e| e.load()).collect())
    }

    /// Every element of the matrix is as `expected`, and nothing else in its buffer has changed.
    pub(crate) fn check<R: Role>(
        &mut self,
        case: &dyn Debug,
        out: &Operand<B, R>,
        expected: &dyn Fn(usize, usize) -> Expected,
    ) -> Outcome<B> {
        let found = self.get(&out.buf)?;
        let mut places = vec![None; found.len()];
        for (i, j) in (0..out.at.rows).flat_map(|i| (0..out.at.cols).map(move |j| (i, j))) {
            places[out.at.offset + i * out.at.rs + j * out.at.cs] = Some((i, j));
        }
        self.current().cases += 1;
        for ((place, &found), &old) in places.into_iter().zip(&found).zip(&out.host) {
            match place {
                Some((i, j)) => self.compare::<R>(case, (i, j), found, &|| expected(i, j)),
                None if same(found, old) => {}
                None => self.fail(case, || format!("{found} where nothing was to be written")),
            }
        }
        Ok(())
    }

    /// The same for numbers that are on the host already, each its own row.
    pub(crate) fn check_values<R: Role>(
        &mut self,
        case: &dyn Debug,
        found: &[f64],
        expected: &dyn Fn(usize) -> Expected,
    ) {
        self.current().cases += 1;
        for (i, &found) in found.iter().enumerate() {
            self.compare::<R>(case, (i, 0), found, &|| expected(i));
        }
    }

    /// `true`, or a failure that says what is not.
    pub(crate) fn require(&mut self, case: &dyn Debug, holds: bool, what: &str) {
        self.current().cases += 1;
        if !holds {
            self.fail(case, || what.into());
        }
    }

    /// The operation answered with an error of kind Shape, and wrote nothing.
    pub(crate) fn refused<R: Role>(
        &mut self,
        what: &str,
        outcome: Result<(), B::Error>,
        out: &Operand<B, R>,
    ) -> Outcome<B> {
        let kind = outcome.map_err(|e| e.kind());
        self.shape = Some(self.report.shape("misfits".into()));
        self.require(&what, kind == Err(ErrorKind::Shape), "not refused as an error of shape");
        self.untouched(what, out)
    }

    /// Nothing in the buffer has changed.
    pub(crate) fn untouched<R: Role>(&mut self, what: &str, out: &Operand<B, R>) -> Outcome<B> {
        let found = self.get(&out.buf)?;
        let kept = found.iter().zip(&out.host).all(|(&a, &b)| same(a, b));
        self.require(&what, kept, "something was written");
        Ok(())
    }

    fn compare<R: Role>(
        &mut self,
        case: &dyn Debug,
        at: (usize, usize),
        found: f64,
        expected: &dyn Fn() -> Expected,
    ) {
        let number = self.numbers.len();
        self.numbers.push(found);
        if !self.judged {
            return;
        }
        let e = expected();
        self.judge::<R>(case, at, found, e);
        if let Part::Tested(reference) = &self.part {
            let sum = (e.value, e.sum, e.terms);
            let (other, slack) = reference.at(number, &self.tolerance, R::KIND, sum);
            self.weigh::<R>(case, at, found, e, other, slack);
        }
    }

    /// The bound of a result on this device.
    fn bound<R: Role>(&self, e: Expected) -> f64 {
        match e.exact {
            true => 0.0,
            false => self.tolerance.bound::<B::Scalar>(R::KIND, e.value, e.sum, e.terms),
        }
    }

    /// Compares a number with what it should be.
    fn judge<R: Role>(&mut self, case: &dyn Debug, at: (usize, usize), found: f64, e: Expected) {
        let wanted = if e.exact { round::<B, R>(e.value) } else { e.value };
        let bound = self.bound::<R>(e);
        if !self.current().worst.meet(distance(found, wanted), bound) {
            let text = || format!("element {at:?}: found {found}, expected {wanted} ± {bound:e}");
            self.fail(case, text);
        }
    }

    /// Compares a number with that of the reference, which may itself be off by `slack`.
    fn weigh<R: Role>(
        &mut self,
        case: &dyn Debug,
        at: (usize, usize),
        found: f64,
        e: Expected,
        other: f64,
        slack: f64,
    ) {
        let other = if e.exact { round::<B, R>(other) } else { other };
        let bound = self.bound::<R>(e) + if e.exact { 0.0 } else { slack };
        let against = self.current().against.get_or_insert_default();
        if !against.meet(distance(found, other), bound) {
            let text = || format!("element {at:?}: found {found}, reference {other} ± {bound:e}");
            self.fail(case, text);
        }
    }

    fn fail(&mut self, case: &dyn Debug, text: impl FnOnce() -> String) {
        self.report.fail(|| format!("{case:?}: {}", text()));
    }
}

/// |a − b|; 0 also where both are the same infinity, or not a number.
fn distance(a: f64, b: f64) -> f64 {
    if same(a, b) { 0.0 } else { (a - b).abs() }
}

/// The nearest number that a buffer of this role holds.
pub(crate) fn round<B: Backend, R: Role>(x: f64) -> f64 {
    <Elem<B, R> as Element>::store::<f64>(x).load()
}

/// Equal, or both not a number.
fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}
