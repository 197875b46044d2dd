//! Frozen weights: what the operations on them start from.

use decora::backend::{Backend, Store, Weight};
use decora::buffer::Acc;
use decora::frozen::{Format, Frozen, FrozenError};
use decora::{bf16, f16};

use crate::against::Make;
use crate::expected::Expected;
use crate::paint::{View, paint};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// A storage format by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl Kind {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Bf16, Self::F16, Self::F32, Self::F64];
}

/// The elements of a weight on the host, in a storage format.
#[derive(Clone, Debug)]
pub struct Stored {
    rows: usize,
    cols: usize,
    elements: Elements,
}

#[derive(Clone, Debug)]
enum Elements {
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Stored {
    /// W `(rows, cols)`, each value rounded to the format.
    #[must_use]
    pub fn new(kind: Kind, rows: usize, cols: usize, values: &[f64]) -> Self {
        let values = values.iter().copied();
        let elements = match kind {
            Kind::Bf16 => Elements::Bf16(values.map(bf16::from_f64).collect()),
            Kind::F16 => Elements::F16(values.map(f16::from_f64).collect()),
            Kind::F32 => Elements::F32(values.map(|x| x as f32).collect()),
            Kind::F64 => Elements::F64(values.collect()),
        };
        Self { rows, cols, elements }
    }

    /// A painted W.
    #[must_use]
    pub fn painted(kind: Kind, rows: usize, cols: usize, salt: usize) -> Self {
        let values: Vec<f64> = (0..rows * cols).map(|e| paint(salt, e / cols, e % cols)).collect();
        Self::new(kind, rows, cols, &values)
    }

    /// The elements as the library takes them.
    #[must_use]
    pub fn format(&self) -> Format<'_> {
        match &self.elements {
            Elements::Bf16(w) => Format::Bf16(w),
            Elements::F16(w) => Format::F16(w),
            Elements::F32(w) => Format::F32(w),
            Elements::F64(w) => Format::F64(w),
        }
    }

    /// The whole matrix as the library takes it.
    ///
    /// # Errors
    /// [`FrozenError::Shape`] unless it was made of rows·cols values.
    pub fn frozen(&self) -> Result<Frozen<'_>, FrozenError> {
        Frozen::trusted(self.rows, self.cols, self.format())
    }

    /// `(rows, cols)`.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// All elements, row after row.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        let format = self.format();
        (0..format.len()).filter_map(|e| format.value(e)).collect()
    }

    /// Element (i, j); NaN beyond the end.
    #[must_use]
    pub fn value(&self, i: usize, j: usize) -> f64 {
        self.format().value(i * self.cols + j).unwrap_or(f64::NAN)
    }
}

/// A weight keeps its shape and its elements in every format, and any number of weights live side
/// by side.
#[must_use]
pub fn weight<B: Backend>(make: Make<'_, B>) -> Report {
    property("weight", make, &|t| {
        for (rows, cols) in [(1, 1), (3, 5), (17, 4), (64, 65), (257, 255)] {
            side_by_side(t, rows, cols)?;
        }
        Ok(())
    })
}

fn side_by_side<B: Backend>(t: &mut Trial<B>, rows: usize, cols: usize) -> Outcome<B> {
    t.shape(&[rows, cols]);
    let stored: Vec<Stored> =
        Kind::ALL.iter().map(|&kind| Stored::painted(kind, rows, cols, kind as usize)).collect();
    let mut weights = Vec::new();
    for w in &stored {
        weights.push(t.be.weight(w.frozen()?)?);
    }
    for ((kind, w), on_device) in Kind::ALL.iter().zip(&stored).zip(&weights) {
        t.require(kind, on_device.shape() == (rows, cols), "another shape");
        let mut c = t.output::<Acc>((rows, cols), View::Tight, Store::Replace, 0)?;
        t.be.frozen_rows(on_device, 0, c.mat_mut())?;
        t.check(kind, &c, &|i, j| Expected::exactly(w.value(i, j)))?;
    }
    Ok(())
}
