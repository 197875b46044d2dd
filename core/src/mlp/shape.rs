//! A perceptron as sizes.

use crate::network::Activation;
use crate::scalar::Scalar;
use crate::spec::{Needs, Plan, act_words, index_words};

/// A perceptron as sizes: how much memory it takes, known at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'p> {
    /// One plan for each layer, first to last, all with the same number of rows.
    pub plans: &'p [Plan],
    /// φ.
    pub activation: Activation,
}

impl Shape<'_> {
    /// Words that [`Linear`](crate::linear::Linear)s and [`Mlp::new`](super::Mlp::new) take of an arena of
    /// [`Scalar::Accum`], the optimiser's own not counted.
    #[must_use]
    pub const fn words<S: Scalar>(&self) -> usize {
        let (mut words, mut i) = (1, 0);
        while i < self.plans.len() {
            let plan = &self.plans[i];
            let copies = if i > 0 && !self.activation.keeps_output() { 2 } else { 1 };
            let x = copies * act_words::<S>(plan.rows * plan.inputs);
            words += plan.linear_words() + plan.adapter_words() + x;
            i += 1;
        }
        words += self.needs().words::<S>() + 2 * act_words::<S>(self.widest());
        words + index_words::<S>(self.rows())
    }

    /// How many layers come before the first that is adapted: what they compute of a sample never
    /// changes, and no gradient passes through them.
    #[must_use]
    pub const fn prefix(&self) -> usize {
        let mut i = 0;
        while i < self.plans.len() && self.plans[i].is_frozen() {
            i += 1;
        }
        i
    }

    /// Words that a [`Cache`](super::Cache) of so many samples takes.
    #[must_use]
    pub const fn cache_words<S: Scalar>(&self, samples: usize) -> usize {
        act_words::<S>(samples * self.cached_width())
    }

    /// Elements of a sample that a cache keeps: the input of the first adapted layer, or nothing
    /// when that is the sample itself.
    pub(super) const fn cached_width(&self) -> usize {
        let first = self.prefix();
        if first == 0 || first >= self.plans.len() { 0 } else { self.plans[first].inputs }
    }

    pub(super) const fn needs(&self) -> Needs {
        let (mut needs, mut i) = (Needs { z: 0, tall: 0, low: 0, rows: 0, dropped: 0 }, 0);
        while i < self.plans.len() {
            needs = needs.or(self.plans[i].needs());
            i += 1;
        }
        needs
    }

    pub(super) const fn rows(&self) -> usize {
        if self.plans.is_empty() { 0 } else { self.plans[0].rows }
    }

    /// The most elements of any layer's output.
    pub(super) const fn widest(&self) -> usize {
        let (mut widest, mut i) = (0, 0);
        while i < self.plans.len() {
            let len = self.plans[i].rows * self.plans[i].out;
            widest = if len > widest { len } else { widest };
            i += 1;
        }
        widest
    }
}
