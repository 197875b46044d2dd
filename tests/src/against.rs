//! The same property on another device, with the very same operands, element by element.
//!
//! Plain loops in `f64` judge every result; a reference device is a second opinion. Where both
//! devices keep the bounds of the [table](crate::tolerance), no element of one is further from
//! that of the other than both bounds together.
//!
//! ```
//! use decora::f16;
//! use decora_conformance::{against, ops};
//! use decora_cpu::Cpu;
//!
//! let numbers = against::record::<f16, _>(ops::gemm, &|| Cpu::<f64>::heap());
//! let report = against::compare(ops::gemm, &|| Cpu::<f16>::heap(), &numbers);
//! assert!(report.ok() && report.against.is_some_and(|worst| worst.share < 1.0));
//! ```

use core::cell::RefCell;
use std::rc::Rc;

use decora::buffer::RoleKind;
use decora::scalar::{Element, Scalar};

use crate::report::Report;
use crate::tolerance::Tolerance;

/// Where a property gets its devices from: any closure that makes one.
pub type Make<'m, B> = &'m dyn Source<B>;

/// A property of devices of type `B`: a function of [`ops`](crate::ops), for instance.
pub type Property<B> = fn(Make<'_, B>) -> Report;

/// What makes fresh devices, and says what part they play.
pub trait Source<B> {
    /// A fresh device.
    fn device(&self) -> B;

    /// Its part.
    fn part(&self) -> Part {
        Part::Alone
    }
}

impl<B, F: Fn() -> B> Source<B> for F {
    fn device(&self) -> B {
        self()
    }
}

/// What part a device plays in a comparison.
#[derive(Clone, Debug)]
pub enum Part {
    /// None: there is no other device.
    Alone,
    /// The reference: operands are rounded to what the other device holds, and the results kept.
    Reference(Recorder),
    /// The device that is tested: its results are compared with these.
    Tested(Numbers),
}

/// Keeps what a reference device computes.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// The nearest number that the other device holds in a buffer of this kind.
    pub(crate) narrow: fn(RoleKind, f64) -> f64,
    numbers: Rc<RefCell<Option<Numbers>>>,
}

/// All that came back from a reference device in one property.
#[derive(Clone, Debug)]
pub struct Numbers {
    report: Report,
    values: Rc<[f64]>,
    bound: fn(&Tolerance, RoleKind, f64, f64, usize) -> f64,
}

impl Recorder {
    /// For a device of scalar `S` to be compared with later.
    #[must_use]
    pub fn new<S: Scalar>() -> Self {
        Self { narrow: narrow::<S>, numbers: Rc::default() }
    }

    /// What was recorded; `None` before a property has run.
    #[must_use]
    pub fn numbers(&self) -> Option<Numbers> {
        self.numbers.borrow().clone()
    }

    pub(crate) fn keep<S: Scalar>(&self, report: &Report, values: Vec<f64>) {
        let (report, bound) = (report.clone(), Tolerance::bound::<S> as _);
        self.numbers.replace(Some(Numbers { report, values: values.into(), bound }));
    }
}

impl Numbers {
    /// What plain loops say about the reference itself.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// A number, and how far it may be from the exact one. NaN when there are not so many.
    pub(crate) fn at(
        &self,
        number: usize,
        tolerance: &Tolerance,
        kind: RoleKind,
        (value, sum, terms): (f64, f64, usize),
    ) -> (f64, f64) {
        let found = self.values.get(number).copied().unwrap_or(f64::NAN);
        (found, (self.bound)(tolerance, kind, value, sum, terms))
    }
}

fn narrow<S: Scalar>(kind: RoleKind, x: f64) -> f64 {
    match kind {
        RoleKind::Act => S::store(x).load(),
        RoleKind::Acc => S::Accum::store(x).load(),
        RoleKind::Index => x,
    }
}

/// A closure's devices with a part to play.
pub(crate) struct Playing<'m, B> {
    pub(crate) make: &'m dyn Fn() -> B,
    pub(crate) part: Part,
}

impl<B> Source<B> for Playing<'_, B> {
    fn device(&self) -> B {
        (self.make)()
    }

    fn part(&self) -> Part {
        self.part.clone()
    }
}

/// What devices of type `C` answer to a property, with operands that a device of scalar `S` holds.
///
/// # Panics
/// When the property makes no device.
#[must_use]
pub fn record<S: Scalar, C>(property: Property<C>, make: &dyn Fn() -> C) -> Numbers {
    let recorder = Recorder::new::<S>();
    property(&Playing { make, part: Part::Reference(recorder.clone()) });
    recorder.numbers().expect("a property makes devices")
}

/// The report of a property of [`ops`](crate::ops), each number compared also with that of a
/// reference, recorded for the scalar of `B`.
#[must_use]
pub fn compare<B>(property: Property<B>, make: &dyn Fn() -> B, numbers: &Numbers) -> Report {
    property(&Playing { make, part: Part::Tested(numbers.clone()) })
}
