//! What is not a linear layer: tables of embeddings, and the gains and shifts of normalisations.

use num_traits::One;

use super::module::Module;
use crate::backend::{AccumOf, Backend, Store, Weight};
use crate::buffer::{Acc, Act, Index};
use crate::error::{Error, Shape, same};
use crate::frozen::Frozen;
use crate::mat::{Layout, Mat, MatMut};
use crate::param::{Param, Slot, Visitor};
use crate::scalar::Accum;
use crate::sequence::{Norm, Sequence};

/// A table of embeddings, `(rows, width)`: frozen, or trained with everything else.
#[derive(Debug)]
pub enum Table<'w, B: Backend> {
    /// As it was.
    Frozen(B::Weight<'w>),
    /// Trained.
    Trained(Param<B>),
}

impl<'w, B: Sequence> Table<'w, B> {
    /// Puts a table on the device; trained, with room for `moments`.
    ///
    /// # Errors
    /// Device errors.
    pub fn new(
        be: &mut B,
        table: Frozen<'w>,
        trained: bool,
        moments: usize,
    ) -> Result<Self, Error<B::Error>> {
        let weight = be.weight(table)?;
        if !trained {
            return Ok(Self::Frozen(weight));
        }
        let (rows, cols) = weight.shape();
        let mut p = Param::new(be, Slot::Weight, (rows, cols), moments)?;
        let at = Layout::row_major(0, rows, cols);
        be.frozen_rows(&weight, 0, MatMut { buf: p.value_mut(), at })?;
        Ok(Self::Trained(p))
    }

    /// `(rows, width)`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Frozen(w) => w.shape(),
            Self::Trained(p) => p.shape(),
        }
    }

    pub(super) fn gather(
        &self,
        be: &mut B,
        ids: &B::Buf<Index>,
        store: Store,
        y: MatMut<'_, B, Act>,
    ) -> Result<(), B::Error> {
        match self {
            Self::Frozen(w) => be.gather(w, ids, store, y),
            Self::Trained(p) => be.gather_rows(p.mat(), ids, store, y),
        }
    }

    pub(super) fn grad(
        &mut self,
        be: &mut B,
        ids: &B::Buf<Index>,
        dy: Mat<'_, B, Act>,
        store: Store,
    ) -> Result<(), B::Error> {
        match self {
            Self::Frozen(_) => Ok(()),
            Self::Trained(p) => be.gather_grad(dy, ids, store, p.grad_mut()),
        }
    }

    pub(super) fn visit(
        &mut self,
        be: &mut B,
        module: Module,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        match self {
            Self::Frozen(_) => Ok(()),
            Self::Trained(p) => f(be, module.number(), p),
        }
    }
}

/// γ and β of a normalisation.
#[derive(Debug)]
pub struct Normalizer<B: Backend> {
    gamma: Vector<B>,
    beta: Option<Vector<B>>,
    module: Module,
}

#[derive(Debug)]
enum Vector<B: Backend> {
    Frozen(B::Buf<Acc>),
    Trained(Param<B>),
}

impl<B: Backend> Vector<B> {
    fn new(
        be: &mut B,
        slot: Slot,
        values: &[AccumOf<B>],
        trained: Option<usize>,
    ) -> Result<Self, Error<B::Error>> {
        if let Some(row) = values.iter().position(|x| !x.finite()) {
            return Err(Error::non_finite("normalisation", row, 0));
        }
        if let Some(moments) = trained {
            let mut p = Param::new(be, slot, (values.len(), 1), moments)?;
            p.set(be, values)?;
            return Ok(Self::Trained(p));
        }
        let mut buf = be.alloc::<Acc>(values.len())?;
        be.write::<Acc>(&mut buf, 0, values)?;
        Ok(Self::Frozen(buf))
    }

    fn value(&self) -> &B::Buf<Acc> {
        match self {
            Self::Frozen(buf) => buf,
            Self::Trained(p) => p.value(),
        }
    }

    fn param(&mut self) -> Option<&mut Param<B>> {
        match self {
            Self::Frozen(_) => None,
            Self::Trained(p) => Some(p),
        }
    }
}

impl<B: Sequence> Normalizer<B> {
    /// γ and β as they are; `trained` with that many moments, else frozen.
    ///
    /// # Errors
    /// [`Error::Shape`] when β is not as long as γ, [`Error::NonFinite`]; device errors.
    pub fn new(
        be: &mut B,
        gamma: &[AccumOf<B>],
        beta: Option<&[AccumOf<B>]>,
        module: Module,
        trained: Option<usize>,
    ) -> Result<Self, Error<B::Error>> {
        let beta = match beta {
            Some(beta) => {
                same("shift of a normalisation", (beta.len(), 1), (gamma.len(), 1))?;
                Some(Vector::new(be, Slot::Bias, beta, trained)?)
            }
            None => None,
        };
        Ok(Self { gamma: Vector::new(be, Slot::Gain, gamma, trained)?, beta, module })
    }

    /// Whether γ and β are trained.
    #[must_use]
    pub fn trains(&self) -> bool {
        matches!(self.gamma, Vector::Trained(_))
    }

    pub(super) fn forward(
        &self,
        be: &mut B,
        norm: Norm,
        x: Mat<'_, B, Act>,
        y: MatMut<'_, B, Act>,
    ) -> Result<(), B::Error> {
        be.normalize(norm, x, self.gamma.value(), self.beta.as_ref().map(Vector::value), y)
    }

    /// Gradients of γ and β where they are trained, then that of x, written or added where it is asked
    /// for.
    pub(super) fn backward(
        &mut self,
        be: &mut B,
        norm: Norm,
        x: Mat<'_, B, Act>,
        dy: Mat<'_, B, Act>,
        dx: Option<(MatMut<'_, B, Act>, Store)>,
        store: Store,
    ) -> Result<(), B::Error> {
        if let Some(p) = self.gamma.param() {
            be.normalize_gain_grad(norm, x, dy, store, &mut p.grad)?;
        }
        if let Some(p) = self.beta.as_mut().and_then(Vector::param) {
            be.col_sum(dy, store, &mut p.grad)?;
        }
        match dx {
            Some((dx, onto)) => be.normalize_grad(norm, x, self.gamma.value(), dy, onto, dx),
            None => Ok(()),
        }
    }

    pub(super) fn visit(
        &mut self,
        be: &mut B,
        f: &mut Visitor<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        let layer = self.module.number();
        if let Some(p) = self.gamma.param() {
            f(be, layer, p)?;
        }
        match self.beta.as_mut().and_then(Vector::param) {
            Some(p) => f(be, layer, p),
            None => Ok(()),
        }
    }
}

/// Y = X, or X added to Y.
pub(super) fn copy<B: Backend>(
    be: &mut B,
    x: Mat<'_, B, Act>,
    store: Store,
    y: MatMut<'_, B, Act>,
) -> Result<(), B::Error> {
    be.axpy(AccumOf::<B>::one(), x, store, y)
}
