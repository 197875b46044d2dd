//! One property on one device: operands go there, results come back and are compared.

use core::fmt::Debug;

use decora::backend::{Backend, Elem, Store};
use decora::buffer::{Buffer, Float, Role};
use decora::error::{DeviceError, Error, ErrorKind};
use decora::mat::{Layout, Mat, MatMut};
use decora::scalar::{Element, Scalar};

use crate::expected::Expected;
use crate::paint::{GAP, View, paint};
use crate::report::Report;
use crate::tolerance::{self, Tolerance};

/// What a property answers: an error is one that no operation should have made.
pub(crate) type Outcome<B> = Result<(), Error<<B as Backend>::Error>>;

/// Makes a fresh device.
pub type Make<'m, B> = &'m dyn Fn() -> B;

/// A device, and what was found out about it.
pub(crate) struct Trial<B: Backend> {
    /// The device.
    pub(crate) be: B,
    report: Report,
    tolerance: Tolerance,
    /// Every number that came back, bit for bit.
    transcript: Vec<u64>,
}

/// Runs `body` on two fresh devices, and compares all that came back bit for bit.
pub(crate) fn property<B: Backend>(
    op: &'static str,
    make: Make<'_, B>,
    body: &dyn Fn(&mut Trial<B>) -> Outcome<B>,
) -> Report {
    let (mut report, first) = Trial::run(op, make(), body);
    let (_, second) = Trial::run(op, make(), body);
    let differ = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    if differ > 0 || first.len() != second.len() {
        let all = first.len();
        report.fail(|| format!("{differ} of {all} numbers differ in a second run: same device"));
    }
    report
}

/// A matrix on the device, and what its whole buffer held when it went there.
pub(crate) struct Operand<B: Backend, R: Role> {
    /// The whole buffer.
    pub(crate) buf: B::Buf<R>,
    /// Where the matrix lies in it.
    pub(crate) at: Layout,
    host: Vec<f64>,
}

impl<B: Backend, R: Role> Operand<B, R> {
    /// Element (i, j), as it went to the device.
    pub(crate) fn value(&self, i: usize, j: usize) -> f64 {
        self.host[self.at.offset + i * self.at.rs + j * self.at.cs]
    }

    /// The matrix, to read.
    pub(crate) fn mat(&self) -> Mat<'_, B, R> {
        Mat { buf: &self.buf, at: self.at }
    }

    /// The matrix, to write.
    pub(crate) fn mat_mut(&mut self) -> MatMut<'_, B, R> {
        MatMut { buf: &mut self.buf, at: self.at }
    }
}

impl<B: Backend> Trial<B> {
    fn run(op: &'static str, be: B, body: &dyn Fn(&mut Self) -> Outcome<B>) -> (Report, Vec<u64>) {
        let tolerance = tolerance::of(op).copied();
        let known = tolerance.is_some();
        let none = Tolerance { op, fixed: 0.0, per_term: 0.0, reason: "" };
        let tolerance = tolerance.unwrap_or(none);
        let report = Report::new(op, B::Scalar::NAME, tolerance.to_string());
        let mut trial = Self { be, report, tolerance, transcript: Vec::new() };
        if !known {
            trial.report.fail(|| "the table of tolerances has no entry".into());
        }
        if let Err(e) = body(&mut trial) {
            trial.report.fail(|| format!("an error where none should be: {e}"));
        }
        (trial.report, trial.transcript)
    }

    /// `host`, rounded to what the device holds, on the device.
    pub(crate) fn put<R: Role>(
        &mut self,
        host: &[f64],
        at: Layout,
    ) -> Result<Operand<B, R>, B::Error> {
        let elements: Vec<Elem<B, R>> = host.iter().map(|&x| Element::store(x)).collect();
        let mut buf = self.be.alloc::<R>(elements.len())?;
        self.be.write::<R>(&mut buf, 0, &elements)?;
        Ok(Operand { buf, at, host: elements.iter().map(|e| e.load()).collect() })
    }

    /// A painted matrix; NaN wherever the buffer holds nothing of it.
    pub(crate) fn input<R: Float>(
        &mut self,
        (rows, cols): (usize, usize),
        view: View,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let (at, len) = view.layout(rows, cols);
        self.put(&fill(at, len, f64::NAN, &|i, j| paint(salt, i, j)), at)
    }

    /// Where a result goes: painted when it is added to, else NaN.
    pub(crate) fn output<R: Float>(
        &mut self,
        (rows, cols): (usize, usize),
        view: View,
        into: Store,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let (at, len) = view.layout(rows, cols);
        let old = |i, j| if into == Store::Add { paint(salt, i, j) } else { f64::NAN };
        self.put(&fill(at, len, GAP, &old), at)
    }

    /// A vector at the front of a longer buffer, which holds NaN behind it.
    pub(crate) fn vector<R: Float>(&mut self, x: &[f64]) -> Result<Operand<B, R>, B::Error> {
        self.put(&[x, &[f64::NAN; 3]].concat(), Layout::row_major(0, x.len(), 1))
    }

    /// A painted vector at the front of a longer buffer.
    pub(crate) fn painted<R: Float>(
        &mut self,
        len: usize,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let x: Vec<f64> = (0..len).map(|i| paint(salt, i, 0)).collect();
        self.vector(&x)
    }

    /// A vector in a buffer of exactly its length.
    pub(crate) fn whole<R: Role>(&mut self, x: &[f64]) -> Result<Operand<B, R>, B::Error> {
        self.put(x, Layout::row_major(0, x.len(), 1))
    }

    /// Where a vector goes, at the front of a longer buffer.
    pub(crate) fn column<R: Float>(
        &mut self,
        len: usize,
        into: Store,
        salt: usize,
    ) -> Result<Operand<B, R>, B::Error> {
        let at = Layout::row_major(0, len, 1);
        let old = |i, _| if into == Store::Add { paint(salt, i, 0) } else { f64::NAN };
        self.put(&fill(at, len + 3, GAP, &old), at)
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
        self.report.cases += 1;
        for ((place, &found), &old) in places.into_iter().zip(&found).zip(&out.host) {
            match place {
                Some((i, j)) => self.compare::<R>(case, (i, j), found, expected(i, j)),
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
        self.report.cases += 1;
        for (i, &found) in found.iter().enumerate() {
            self.compare::<R>(case, (i, 0), found, expected(i));
        }
    }

    /// `true`, or a failure that says what is not.
    pub(crate) fn require(&mut self, case: &dyn Debug, holds: bool, what: &str) {
        self.report.cases += 1;
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

    fn compare<R: Role>(&mut self, case: &dyn Debug, at: (usize, usize), found: f64, e: Expected) {
        self.transcript.push(if found.is_nan() { u64::MAX } else { found.to_bits() });
        let wanted = if e.exact { round::<B, R>(e.value) } else { e.value };
        if same(found, wanted) {
            return;
        }
        let bound = match e.exact {
            true => 0.0,
            false => self.tolerance.bound::<B::Scalar>(R::KIND, e.value, e.sum, e.terms),
        };
        let error = (found - wanted).abs();
        if error <= bound {
            self.report.worst = self.report.worst.max(error / bound);
            return;
        }
        self.report.worst = f64::INFINITY;
        self.fail(case, || format!("element {at:?}: found {found}, expected {wanted} ± {bound:e}"));
    }

    fn fail(&mut self, case: &dyn Debug, text: impl FnOnce() -> String) {
        self.report.fail(|| format!("{case:?}: {}", text()));
    }
}

/// The nearest number that a buffer of this role holds.
pub(crate) fn round<B: Backend, R: Role>(x: f64) -> f64 {
    <Elem<B, R> as Element>::store::<f64>(x).load()
}

/// Equal, or both not a number.
fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

/// A buffer of `len` elements with a matrix in it, and `gap` everywhere else.
fn fill(at: Layout, len: usize, gap: f64, value: &dyn Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut all = vec![gap; len];
    for (i, j) in (0..at.rows).flat_map(|i| (0..at.cols).map(move |j| (i, j))) {
        all[at.offset + i * at.rs + j * at.cs] = value(i, j);
    }
    all
}
