//! What one element of a result should be, and how exactly it can be known.

/// A value as a sum of terms, in `f64`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    /// The sum.
    pub(crate) value: f64,
    /// The sum of the absolute values.
    pub(crate) sum: f64,
    /// How many terms.
    pub(crate) terms: usize,
    /// To be compared for equality.
    pub(crate) exact: bool,
}

impl Expected {
    /// This number, or the nearest that can be stored; nothing else.
    pub(crate) fn exactly(value: f64) -> Self {
        Self { value, exact: true, ..Self::default() }
    }

    /// This number, as one term.
    pub(crate) fn about(value: f64) -> Self {
        Self::within(value, value.abs())
    }

    /// This number, out of terms whose absolute values add up to `sum`.
    pub(crate) fn within(value: f64, sum: f64) -> Self {
        Self { value, sum, terms: 1, exact: false }
    }

    /// One term more.
    pub(crate) fn plus(self, term: f64) -> Self {
        self.plus_within(term, term.abs())
    }

    /// One term more, itself out of terms whose absolute values add up to `sum`.
    pub(crate) fn plus_within(self, term: f64, sum: f64) -> Self {
        let Self { value, sum: old, terms, .. } = self;
        Self { value: value + term, sum: old + sum, terms: terms + 1, exact: false }
    }

    /// All terms times `factor`.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, sum: self.sum * factor.abs(), ..self }
    }

    /// Σ of `terms`.
    pub(crate) fn sum_of(terms: impl IntoIterator<Item = f64>) -> Self {
        terms.into_iter().fold(Self::default(), Self::plus)
    }
}
