//! The sizes of a transformer and of what runs through it.

use crate::error::{Error, same};
use crate::network::Activation;
use crate::sequence::{Heads, Norm};
use crate::spec::{Needs, Plan, Spec};

/// Where a block normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Placement {
    /// x ← x + f(norm(x)): GPT-2, Llama.
    Before,
    /// x ← norm(x + f(x)): the original transformer, BERT.
    After,
}

/// The sizes of a transformer, and how much goes through it at once.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Columns of what runs from block to block.
    pub width: usize,
    /// Columns between the two layers of the multi-layer perceptron.
    pub inner: usize,
    /// Heads of the attention.
    pub heads: Heads,
    /// Logits: the vocabulary, or classes.
    pub outputs: usize,
    /// The normalisations.
    pub norm: Norm,
    /// Where they are.
    pub placement: Placement,
    /// φ of the multi-layer perceptron.
    pub activation: Activation,
    /// Of the rows that a row sees, those blocks that are
    /// [`windowed`](super::Parts::windowed) see the last so many; `None`: all.
    pub window: Option<usize>,
    /// The most rows (tokens) in one pass.
    pub rows: usize,
    /// The most rows whose logits are in memory at once.
    pub chunk: usize,
    /// The most sequences in one pass, where whole sequences are classified.
    pub sequences: usize,
    /// Moments the optimiser keeps of each trained number.
    pub moments: usize,
}

impl Shape {
    /// Columns of queries, keys and values side by side.
    #[must_use]
    pub const fn qkv(&self) -> usize {
        self.heads.width() + 2 * self.heads.kv_width()
    }

    /// The plan of a linear layer of the blocks, `(out, inputs)`.
    #[must_use]
    pub const fn plan(&self, (out, inputs): (usize, usize), bias: bool, spec: Spec) -> Plan {
        Plan { out, inputs, bias, rows: self.rows, spec, moments: self.moments }
    }

    /// What a layer needs of the workspace, adapted or not.
    #[must_use]
    pub const fn needs(&self, shape: (usize, usize), bias: bool, spec: Option<Spec>) -> Needs {
        let spec = match spec {
            Some(spec) => spec,
            None => Spec::frozen(),
        };
        self.plan(shape, bias, spec).needs()
    }

    /// `Ok` when these sizes make a transformer.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] and [`Error::Shape`], naming what does not fit.
    pub fn check<E>(&self) -> Result<(), Error<E>> {
        let sizes = [
            ("width", self.width),
            ("inner width", self.inner),
            ("heads", self.heads.heads),
            ("heads of keys", self.heads.kv_heads),
            ("numbers in a head", self.heads.dim),
            ("outputs", self.outputs),
            ("rows in one pass", self.rows),
            ("rows of logits at once", self.chunk),
        ];
        let window = self.window.map(|window| ("rows in a window", window));
        for (what, size) in sizes.into_iter().chain(window) {
            if size == 0 {
                return Err(Error::out_of_range(what, 0.0, "1 or more"));
            }
        }
        let beyond = self.heads.heads % self.heads.kv_heads;
        Ok(same("heads (beyond a multiple of those of keys)", (beyond, 1), (0, 1))?)
    }
}
