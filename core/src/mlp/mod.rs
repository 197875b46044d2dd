//! A multi-layer perceptron with an adapter on any of its layers.

use core::marker::PhantomData;

use heapless::Vec;

use crate::adapter::{Adapter, Pass};
use crate::backend::{AccumOf, Store};
use crate::buffer::{Acc, Act, Buffer, Index};
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::network::{Activation, Chosen, Network, Phi};
use crate::param::{Parameters, Visitor};
use crate::scalar::Accum;
use crate::spec::Plan;
use crate::workspace::Workspace;

mod cache;
mod pass;
mod shape;

pub use cache::Cache;
pub use shape::Shape;

/// One layer: frozen base, adapter, and the activations that backward needs.
#[derive(Debug)]
pub struct Layer<'w, B: Network, D: Direction<B>> {
    /// The frozen layer.
    pub base: Linear<'w, B>,
    /// What adapts it.
    pub adapter: Adapter<B, D>,
    /// x, its input, `(rows, in)`.
    x: B::Buf<Act>,
    /// What the activation before it keeps, when that is not x.
    kept: Option<B::Buf<Act>>,
}

/// A multi-layer perceptron with at most `L` layers: φ between layers, none after the last.
///
/// All memory is taken in [`Mlp::new`]; [`Shape::words`] says how much. `F` is φ where it is known at
/// compile time.
#[derive(Debug)]
pub struct Mlp<'w, B: Network, D: Direction<B>, const L: usize, F: Phi = Chosen> {
    layers: Vec<Layer<'w, B, D>, L>,
    activation: Activation,
    ws: Workspace<B>,
    /// Output, then its gradient, `(rows, out)`; inner gradients alternate with `spare`.
    y: B::Buf<Act>,
    spare: B::Buf<Act>,
    labels: B::Buf<Index>,
    loss: B::Buf<Acc>,
    rows: usize,
    /// The first layer that is adapted: backward stops there.
    first: usize,
    phi: PhantomData<F>,
}

impl<'w, B: Network, D: Direction<B>, const L: usize> Mlp<'w, B, D, L> {
    /// A perceptron over `bases`, one for each plan, adapted as the plans say.
    ///
    /// # Errors
    /// [`Error::Capacity`] for more than `L` layers, [`Error::Shape`] when neighbours do not fit
    /// each other, what [`Adapter::new`] answers; device errors.
    pub fn new(
        be: &mut B,
        shape: Shape<'_>,
        bases: impl IntoIterator<Item = Linear<'w, B>>,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        let mut mlp = Self::empty(be, shape)?;
        for (plan, base) in shape.plans.iter().zip(bases) {
            mlp.add(be, *plan, base, rng)?;
        }
        let (found, expected) = (mlp.layers.len(), shape.plans.len());
        same("layers and their plans (numbers)", (found, 1), (expected, 1))?;
        Ok(mlp)
    }
}

impl<'w, B: Network, D: Direction<B>, const L: usize, F: Phi> Mlp<'w, B, D, L, F> {
    /// A perceptron of this shape that has no layer yet: what [`new`](Mlp::new) begins with. A device
    /// whose stack is short keeps it in a `static`, and then [`add`](Mlp::add)s one layer after the other.
    ///
    /// # Errors
    /// [`Error::Capacity`] for more than `L` layers; [`Error::OutOfRange`] for another activation than
    /// `F`; out of memory.
    pub fn empty(be: &mut B, shape: Shape<'_>) -> Result<Self, Error<B::Error>> {
        let (found, expected) = (shape.plans.len(), L);
        if found > expected {
            return Err(Error::capacity("layers", found, expected));
        }
        if F::ONLY.is_some_and(|only| only != shape.activation) {
            return Err(Error::out_of_range("activation", 0.0, "the only one that is linked"));
        }
        Ok(Self {
            layers: Vec::new(),
            activation: shape.activation,
            ws: Workspace::new(be, shape.needs())?,
            y: be.alloc::<Act>(shape.widest())?,
            spare: be.alloc::<Act>(shape.widest())?,
            labels: be.alloc::<Index>(shape.rows())?,
            loss: be.alloc::<Acc>(1)?,
            rows: shape.rows(),
            first: shape.prefix(),
            phi: PhantomData,
        })
    }

    /// Adds the next layer, adapted as its plan in the shape says.
    ///
    /// # Errors
    /// [`Error::Capacity`] for more than `L` layers, [`Error::Shape`] when it does not fit the last,
    /// what [`Adapter::new`] answers; device errors.
    pub fn add(
        &mut self,
        be: &mut B,
        plan: Plan,
        base: Linear<'w, B>,
        rng: &mut Rng,
    ) -> Result<(), Error<B::Error>> {
        self.push(be, plan, base, rng)?;
        match self.layers.last_mut() {
            Some(layer) => Ok(layer.adapter.begin(be, &mut self.ws, &layer.base)?),
            None => Ok(()),
        }
    }

    fn activation(&self) -> Activation {
        F::ONLY.unwrap_or(self.activation)
    }

    /// A function of its own, whose stack is free again when the adapter begins.
    #[inline(never)]
    fn push(
        &mut self,
        be: &mut B,
        plan: Plan,
        base: Linear<'w, B>,
        rng: &mut Rng,
    ) -> Result<(), Error<B::Error>> {
        if let Some(last) = self.layers.last() {
            let expected = (plan.out, last.base.shape().0);
            same("neighbouring layers (out, in)", base.shape(), expected)?;
        }
        let copy = !self.layers.is_empty() && !self.activation().keeps_output();
        let layer = Layer::new(be, base, plan, copy, rng)?;
        let full = |_| Error::capacity("layers", L + 1, L);
        self.layers.push(layer).map_err(full)
    }

    /// The layers, first to last.
    #[must_use]
    pub fn layers(&self) -> &[Layer<'w, B, D>] {
        &self.layers
    }

    /// The layers, with the scratch they share.
    #[must_use]
    pub fn layers_mut(&mut self) -> (&mut [Layer<'w, B, D>], &mut Workspace<B>) {
        (&mut self.layers, &mut self.ws)
    }

    /// `(out, in)` of the whole; `(0, 0)` without layers.
    #[must_use]
    pub fn shape(&self) -> crate::error::Shape {
        let out = self.layers.last().map_or(0, |l| l.base.shape().0);
        (out, self.layers.first().map_or(0, |l| l.base.shape().1))
    }

    /// The output for x, `(rows, in)` row after row, into `y`, `(rows, out)`. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Shape`] when x is no whole number of rows or y does not fit,
    /// [`Error::Capacity`] for more rows than planned; device errors.
    pub fn infer(
        &mut self,
        be: &mut B,
        x: &[B::Scalar],
        y: &mut [B::Scalar],
    ) -> Result<(), Error<B::Error>> {
        let n = self.load(be, x)?;
        same("output (elements)", (y.len(), 1), (n * self.shape().0, 1))?;
        self.run(be, n, Pass::Eval, 0)?;
        Ok(be.read::<Act>(&self.y, 0, y)?)
    }

    /// Forward, loss and backward for one micro-batch: adds scale·Σₜ −ln p(labelₜ) to the loss and
    /// its gradient to those of the parameters; `store` starts both anew. Waits for nothing.
    ///
    /// # Errors
    /// As [`infer`](Mlp::infer); [`Error::Shape`] unless there is a label for each row.
    pub fn train(
        &mut self,
        be: &mut B,
        x: &[B::Scalar],
        labels: &[u32],
        scale: f64,
        pass: Pass,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let n = self.load(be, x)?;
        self.run(be, n, pass, 0)?;
        self.descend(be, n, labels, scale, store)
    }

    /// As [`train`](Mlp::train), for samples that come again: what the layers before the first adapted
    /// one compute of them is kept in `cache`, and these layers are skipped from the second time on.
    /// The rows of x are the samples with the numbers from `first` on, in the order in which they
    /// were first seen; those beyond the capacity of the cache are computed whole every time. The
    /// result is that of [`train`](Mlp::train), bit for bit.
    ///
    /// # Errors
    /// As [`train`](Mlp::train); [`Error::Shape`] for a cache of another network.
    #[expect(clippy::too_many_arguments, reason = "those of train, and where the samples are kept")]
    pub fn train_cached(
        &mut self,
        be: &mut B,
        cache: &mut Cache<B>,
        first: usize,
        x: &[B::Scalar],
        labels: &[u32],
        scale: f64,
        pass: Pass,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let (n, prefix) = (self.whole_rows(x)?, self.first);
        let Some(layer) = self.layers.get_mut(prefix).filter(|_| prefix > 0) else {
            return self.train(be, x, labels, scale, pass, store);
        };
        same("cache (columns)", (cache.width(), 1), (layer.base.shape().1, 1))?;
        if cache.knows(first, n) {
            cache.recall(be, first, n, &mut layer.x)?;
            self.run(be, n, pass, prefix)?;
        } else {
            self.load(be, x)?;
            self.run(be, n, pass, 0)?;
            if let Some(layer) = self.layers.get(prefix) {
                cache.keep(be, first, n, &layer.x)?;
            }
        }
        self.descend(be, n, labels, scale, store)
    }

    /// As [`train`](Mlp::train), with values to come close to instead of classes: adds
    /// scale·Σ (y − target)² to the loss; targets `(rows, out)`.
    ///
    /// # Errors
    /// As [`infer`](Mlp::infer); [`Error::Shape`] unless there is a target for each output.
    pub fn regress(
        &mut self,
        be: &mut B,
        x: &[B::Scalar],
        targets: &[B::Scalar],
        scale: f64,
        pass: Pass,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let n = self.load(be, x)?;
        let at = Layout::row_major(0, n, self.shape().0);
        same("targets (number)", (targets.len(), 1), (at.rows * at.cols, 1))?;
        self.run(be, n, pass, 0)?;
        be.write::<Act>(&mut self.spare, 0, targets)?;
        let (y, target) = (MatMut { buf: &mut self.y, at }, Mat { buf: &self.spare, at });
        be.squared_error(AccumOf::<B>::of(scale), y, target, store, &mut self.loss)?;
        self.backward(be, n, store)
    }

    /// Brings the norms and gains of all layers up to date. The next forward pass would do it, too: on
    /// a device whose stack is short, at a greater depth.
    ///
    /// # Errors
    /// Device errors.
    pub fn refresh(&mut self, be: &mut B) -> Result<(), Error<B::Error>> {
        let Self { layers, ws, .. } = self;
        layers.iter_mut().try_for_each(|l| l.adapter.refresh(be, ws, &l.base))
    }

    /// The loss of the micro-batches since the last that started anew. Waits for the device.
    ///
    /// # Errors
    /// Device errors.
    pub fn loss(&self, be: &mut B) -> Result<f64, Error<B::Error>> {
        let mut loss = [AccumOf::<B>::default()];
        be.read::<Acc>(&self.loss, 0, &mut loss)?;
        Ok(loss[0].f64())
    }
}

impl<'w, B: Network, D: Direction<B>> Layer<'w, B, D> {
    fn new(
        be: &mut B,
        base: Linear<'w, B>,
        plan: Plan,
        copy: bool,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        let adapter = Adapter::allocate(be, &base, plan, rng)?;
        let len = plan.rows * plan.inputs;
        let kept = match copy {
            true => Some(be.alloc::<Act>(len)?),
            false => None,
        };
        Ok(Self { base, adapter, x: be.alloc::<Act>(len)?, kept })
    }

    /// How many elements its input has room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.x.len()
    }
}

impl<B: Network, D: Direction<B>, const L: usize, F: Phi> Parameters<B> for Mlp<'_, B, D, L, F> {
    fn visit(&mut self, be: &mut B, f: &mut Visitor<'_, B>) -> Result<(), Error<B::Error>> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            layer.adapter.visit(be, i, f)?;
        }
        Ok(())
    }
}
