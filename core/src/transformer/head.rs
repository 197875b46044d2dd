//! From the last block to logits, a few rows at a time: all logits of a batch are never in memory.

use num_traits::One;

use super::layer::Layer;
use super::saved::{mat, mat_mut};
use super::shape::Shape;
use super::tensor::Table;
use crate::adapter::Pass;
use crate::backend::{AccumOf, Backend, Side, Store};
use crate::buffer::Act;
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::mat::{Mat, MatMut};
use crate::network::Activation;
use crate::param::Visitor;
use crate::sequence::Sequence;
use crate::workspace::Workspace;

/// What the logits are of.
#[derive(Debug)]
pub enum Head<'w, B: Backend, D: Direction<B>> {
    /// Nothing: the states are what the network is for. There are no answers.
    None,
    /// The next token, by the table of embeddings: logits = x·Eᵀ.
    Tied,
    /// The next token, by a layer of its own.
    Tokens(Layer<'w, B, D>),
    /// The class of each sequence, by one of its tokens.
    Classes {
        /// x ← tanh(pooler(x)) before, where there is one.
        pooler: Option<Layer<'w, B, D>>,
        /// `(classes, width)`.
        classifier: Layer<'w, B, D>,
    },
}

/// What a head works with.
pub(super) struct Top<'t, 'w, B: Backend> {
    pub(super) ws: &'t mut Workspace<B>,
    pub(super) tokens: &'t mut Table<'w, B>,
}

impl<'w, B: Sequence, D: Direction<B>> Head<'w, B, D> {
    /// Whether the logits are of whole sequences.
    #[must_use]
    pub const fn classifies(&self) -> bool {
        matches!(self, Self::Classes { .. })
    }

    /// Its layers.
    pub fn layers_mut(&mut self) -> impl Iterator<Item = &mut Layer<'w, B, D>> {
        let (first, last) = match self {
            Self::None | Self::Tied => (None, None),
            Self::Tokens(layer) => (None, Some(layer)),
            Self::Classes { pooler, classifier } => (pooler.as_mut(), Some(classifier)),
        };
        first.into_iter().chain(last)
    }

    pub(super) fn check(
        &self,
        shape: &Shape,
        tokens: &Table<'w, B>,
    ) -> Result<(), Error<B::Error>> {
        let expected = (shape.outputs, shape.width);
        match self {
            Self::None => {}
            Self::Tied => same("tied head", tokens.shape(), expected)?,
            Self::Tokens(layer) => same("head", layer.base.shape(), expected)?,
            Self::Classes { pooler, classifier } => {
                same("classifier", classifier.base.shape(), expected)?;
                if let Some(pooler) = pooler {
                    same("pooler", pooler.base.shape(), (shape.width, shape.width))?;
                }
            }
        }
        Ok(())
    }

    /// Gives the adapters what forward keeps, for good: nothing else runs between forward and backward.
    pub(super) fn settle(&mut self, be: &mut B) -> Result<(), B::Error> {
        for layer in self.layers_mut() {
            let mut kept = layer.kept(be)?;
            layer.swap_kept(&mut kept);
        }
        Ok(())
    }

    /// logits `(n, outputs)` from x `(n, width)`; `pooled` keeps what the classifier sees.
    pub(super) fn forward(
        &mut self,
        be: &mut B,
        top: &mut Top<'_, 'w, B>,
        x: Mat<'_, B, Act>,
        pooled: &mut B::Buf<Act>,
        logits: MatMut<'_, B, Act>,
        pass: Pass,
    ) -> Result<(), Error<B::Error>> {
        let (one, store, ws) = (AccumOf::<B>::one(), Store::Replace, &mut *top.ws);
        match (self, &*top.tokens) {
            (Self::None, _) => Ok(()),
            (Self::Tied, Table::Frozen(w)) => {
                Ok(be.gemm_frozen(one, x, w, Side::Transposed, store, logits)?)
            }
            (Self::Tied, Table::Trained(p)) => Ok(be.gemm(one, x, p.mat().t(), store, logits)?),
            (Self::Tokens(layer), _) => layer.forward(be, ws, x, store, logits, pass),
            (Self::Classes { pooler: None, classifier }, _) => {
                classifier.forward(be, ws, x, store, logits, pass)
            }
            (Self::Classes { pooler: Some(pooler), classifier }, _) => {
                let mut pooled = mat_mut::<B>(pooled, x.at.rows, x.at.cols);
                pooler.forward(be, ws, x, store, pooled.reborrow(), pass)?;
                be.activate(Activation::Tanh, pooled.reborrow())?;
                classifier.forward(be, ws, pooled.view(), store, logits, pass)
            }
        }
    }

    /// dx from the gradient of the logits, which is used up, and gradients of the parameters.
    pub(super) fn backward(
        &mut self,
        be: &mut B,
        top: &mut Top<'_, 'w, B>,
        x: Mat<'_, B, Act>,
        (pooled, spent): (&B::Buf<Act>, &mut B::Buf<Act>),
        (d, dx): (MatMut<'_, B, Act>, MatMut<'_, B, Act>),
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let (one, ws) = (AccumOf::<B>::one(), &mut *top.ws);
        let onto = Store::Replace;
        match (self, &mut *top.tokens) {
            (Self::None, _) => Ok(()),
            (Self::Tied, Table::Frozen(w)) => {
                Ok(be.gemm_frozen(one, d.view(), w, Side::Plain, onto, dx)?)
            }
            (Self::Tied, Table::Trained(p)) => {
                be.gemm(one, d.view().t(), x, store, p.grad_mut())?;
                Ok(be.gemm(one, d.view(), p.mat(), onto, dx)?)
            }
            (Self::Tokens(layer), _) => layer.backward(be, ws, x, d, Some((dx, onto)), store),
            (Self::Classes { pooler: None, classifier }, _) => {
                classifier.backward(be, ws, x, d, Some((dx, onto)), store)
            }
            (Self::Classes { pooler: Some(pooler), classifier }, _) => {
                let (n, cols) = x.shape();
                let pooled = mat::<B>(pooled, n, cols);
                let mut spent = mat_mut::<B>(spent, n, cols);
                classifier.backward(be, ws, pooled, d, Some((spent.reborrow(), onto)), store)?;
                be.activate_grad(Activation::Tanh, pooled, spent.reborrow())?;
                pooler.backward(be, ws, x, spent, Some((dx, onto)), store)
            }
        }
    }

    pub(super) fn visit(
        &mut self,
        be: &mut B,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        self.layers_mut().try_for_each(|layer| layer.visit(be, f))
    }
}
