//! A multi-layer perceptron with an adapter on any of its layers.

use heapless::Vec;

use crate::adapter::{Adapter, Pass};
use crate::backend::{AccumOf, Store};
use crate::buffer::{Acc, Act, Buffer, Index};
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::init::Rng;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::network::{Activation, Network};
use crate::param::{Parameters, Visitor};
use crate::scalar::{Accum, Scalar};
use crate::spec::{Needs, Plan, act_words, index_words};
use crate::workspace::Workspace;

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
/// All memory is taken in [`Mlp::new`]; [`Shape::words`] says how much.
#[derive(Debug)]
pub struct Mlp<'w, B: Network, D: Direction<B>, const L: usize> {
    layers: Vec<Layer<'w, B, D>, L>,
    activation: Activation,
    ws: Workspace<B>,
    /// Output, then its gradient, `(rows, out)`; inner gradients alternate with `spare`.
    y: B::Buf<Act>,
    spare: B::Buf<Act>,
    labels: B::Buf<Index>,
    loss: B::Buf<Acc>,
    rows: usize,
}

/// A perceptron as sizes: how much memory it takes, known at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'p> {
    /// One plan for each layer, first to last, all with the same number of rows.
    pub plans: &'p [Plan],
    /// φ.
    pub activation: Activation,
}

impl Shape<'_> {
    /// Words that [`Linear`]s and [`Mlp::new`] take of an arena of
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

    const fn needs(&self) -> Needs {
        let (mut needs, mut i) = (Needs { z: 0, tall: 0, low: 0, rows: 0, dropped: 0 }, 0);
        while i < self.plans.len() {
            needs = needs.or(self.plans[i].needs());
            i += 1;
        }
        needs
    }

    const fn rows(&self) -> usize {
        if self.plans.is_empty() { 0 } else { self.plans[0].rows }
    }

    /// The most elements of any layer's output.
    const fn widest(&self) -> usize {
        let (mut widest, mut i) = (0, 0);
        while i < self.plans.len() {
            let len = self.plans[i].rows * self.plans[i].out;
            widest = if len > widest { len } else { widest };
            i += 1;
        }
        widest
    }
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
        let plans = shape.plans;
        let mut ws = Workspace::new(be, shape.needs())?;
        let mut layers: Vec<Layer<'w, B, D>, L> = Vec::new();
        for (plan, base) in plans.iter().zip(bases) {
            if let Some(last) = layers.last() {
                let expected = (plan.out, last.base.shape().0);
                same("neighbouring layers (out, in)", base.shape(), expected)?;
            }
            let copy = !layers.is_empty() && !shape.activation.keeps_output();
            let layer = Layer::new(be, &mut ws, base, *plan, copy, rng)?;
            let found = plans.len();
            layers.push(layer).map_err(|_| Error::Capacity {
                what: "layers",
                found,
                expected: L,
            })?;
        }
        same("layers and their plans (numbers)", (layers.len(), 1), (plans.len(), 1))?;
        Ok(Self {
            layers,
            activation: shape.activation,
            ws,
            y: be.alloc::<Act>(shape.widest())?,
            spare: be.alloc::<Act>(shape.widest())?,
            labels: be.alloc::<Index>(shape.rows())?,
            loss: be.alloc::<Acc>(1)?,
            rows: shape.rows(),
        })
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
        self.run(be, n, Pass::Eval)?;
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
        same("labels (number)", (labels.len(), 1), (n, 1))?;
        be.write::<Index>(&mut self.labels, 0, labels)?;
        self.run(be, n, pass)?;
        let at = Layout::row_major(0, n, self.shape().0);
        let y = MatMut { buf: &mut self.y, at };
        be.softmax_cross_entropy(AccumOf::<B>::of(scale), y, &self.labels, store, &mut self.loss)?;
        self.backward(be, n, store)
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
        self.run(be, n, pass)?;
        be.write::<Act>(&mut self.spare, 0, targets)?;
        let (y, target) = (MatMut { buf: &mut self.y, at }, Mat { buf: &self.spare, at });
        be.squared_error(AccumOf::<B>::of(scale), y, target, store, &mut self.loss)?;
        self.backward(be, n, store)
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

    fn load(&mut self, be: &mut B, x: &[B::Scalar]) -> Result<usize, Error<B::Error>> {
        let inputs = self.shape().1.max(1);
        let n = x.len() / inputs;
        same("input (elements beyond whole rows)", (x.len() - n * inputs, 1), (0, 1))?;
        if n > self.rows {
            return Err(Error::Capacity {
                what: "rows in one pass",
                found: n,
                expected: self.rows,
            });
        }
        if let Some(first) = self.layers.first_mut() {
            be.write::<Act>(&mut first.x, 0, x)?;
        }
        Ok(n)
    }

    /// From the first layer's x to y.
    fn run(&mut self, be: &mut B, n: usize, pass: Pass) -> Result<(), Error<B::Error>> {
        let Self { layers, activation, ws, y, .. } = self;
        let mut rest = layers.as_mut_slice();
        let mut number = 0;
        while let Some((layer, after)) = rest.split_first_mut() {
            let (out, inputs) = layer.base.shape();
            let at = Layout::row_major(0, n, out);
            let x = Mat { buf: &layer.x, at: Layout::row_major(0, n, inputs) };
            let (to, kept) = match after.first_mut() {
                Some(next) => (&mut next.x, Some(next.kept.as_mut())),
                None => (&mut *y, None),
            };
            let mut to = MatMut { buf: to, at };
            let pass = of_layer(pass, number);
            layer.adapter.forward(be, ws, &layer.base, x, to.reborrow(), pass)?;
            if let Some(kept) = kept {
                if let Some(kept) = kept {
                    let kept = MatMut { buf: kept, at };
                    be.axpy(AccumOf::<B>::of(1.0), to.view(), Store::Replace, kept)?;
                }
                be.activate(*activation, to)?;
            }
            (rest, number) = (after, number + 1);
        }
        Ok(())
    }

    /// From the gradient in y to those of the parameters. Nobody asks for the first layer's dx.
    fn backward(&mut self, be: &mut B, n: usize, store: Store) -> Result<(), Error<B::Error>> {
        let Self { layers, activation, ws, y, spare, .. } = self;
        let (mut dy, mut dx) = (y, spare);
        for (i, layer) in layers.iter_mut().enumerate().rev() {
            let (out, inputs) = layer.base.shape();
            let (of_y, of_x) = (Layout::row_major(0, n, out), Layout::row_major(0, n, inputs));
            let x = Mat { buf: &layer.x, at: of_x };
            let from = MatMut { buf: &mut *dy, at: of_y };
            let to = (i > 0).then_some(MatMut { buf: &mut *dx, at: of_x });
            layer.adapter.backward(be, ws, &layer.base, x, from, to, store)?;
            if i > 0 {
                let kept = Mat { buf: layer.kept.as_ref().unwrap_or(&layer.x), at: of_x };
                be.activate_grad(*activation, kept, MatMut { buf: &mut *dx, at: of_x })?;
            }
            core::mem::swap(&mut dy, &mut dx);
        }
        Ok(())
    }
}

impl<'w, B: Network, D: Direction<B>> Layer<'w, B, D> {
    fn new(
        be: &mut B,
        ws: &mut Workspace<B>,
        base: Linear<'w, B>,
        plan: Plan,
        copy: bool,
        rng: &mut Rng,
    ) -> Result<Self, Error<B::Error>> {
        let adapter = Adapter::new(be, ws, &base, plan, rng)?;
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

/// Another mask for each layer.
fn of_layer(pass: Pass, layer: u64) -> Pass {
    match pass {
        Pass::Train(seed) => Pass::Train(seed.wrapping_add(layer << 32)),
        Pass::Eval => Pass::Eval,
    }
}

impl<B: Network, D: Direction<B>, const L: usize> Parameters<B> for Mlp<'_, B, D, L> {
    fn visit(&mut self, be: &mut B, f: &mut Visitor<'_, B>) -> Result<(), Error<B::Error>> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            layer.adapter.visit(be, i, f)?;
        }
        Ok(())
    }
}
