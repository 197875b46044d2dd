//! From input to output, and from the loss to gradients.

use super::Mlp;
use crate::adapter::Pass;
use crate::backend::{AccumOf, Store};
use crate::buffer::{Act, Index};
use crate::direction::Direction;
use crate::error::{Error, same};
use crate::mat::{Layout, Mat, MatMut};
use crate::network::{Network, Phi};
use crate::scalar::Accum;

impl<B: Network, D: Direction<B>, const L: usize, F: Phi> Mlp<'_, B, D, L, F> {
    /// How many samples x is, at most as many as there is room for.
    pub(super) fn whole_rows(&self, x: &[B::Scalar]) -> Result<usize, Error<B::Error>> {
        let inputs = self.shape().1.max(1);
        let n = x.len() / inputs;
        same("input (elements beyond whole rows)", (x.len() - n * inputs, 1), (0, 1))?;
        match n <= self.rows {
            true => Ok(n),
            false => Err(Error::capacity("rows in one pass", n, self.rows)),
        }
    }

    pub(super) fn load(&mut self, be: &mut B, x: &[B::Scalar]) -> Result<usize, Error<B::Error>> {
        let n = self.whole_rows(x)?;
        if let Some(first) = self.layers.first_mut() {
            be.write::<Act>(&mut first.x, 0, x)?;
        }
        Ok(n)
    }

    /// From the x of layer `from` to y.
    pub(super) fn run(
        &mut self,
        be: &mut B,
        n: usize,
        pass: Pass,
        from: usize,
    ) -> Result<(), Error<B::Error>> {
        let activation = F::ONLY.unwrap_or(self.activation);
        let Self { layers, ws, y, .. } = self;
        let mut rest = layers.get_mut(from..).unwrap_or_default();
        let mut number = from as u64;
        while let Some((layer, after)) = rest.split_first_mut() {
            let (out, inputs) = layer.base.shape();
            let at = Layout::row_major(0, n, out);
            let x = Mat { buf: &layer.x, at: Layout::row_major(0, n, inputs) };
            let (to, kept) = match after.first_mut() {
                Some(next) => (&mut next.x, Some(next.kept.as_mut())),
                None => (&mut *y, None),
            };
            let mut to = MatMut { buf: to, at };
            let pass = pass.of_layer(number);
            layer.adapter.forward(be, ws, &layer.base, x, to.reborrow(), pass)?;
            if let Some(kept) = kept {
                if let Some(kept) = kept {
                    let kept = MatMut { buf: kept, at };
                    be.axpy(AccumOf::<B>::of(1.0), to.view(), Store::Replace, kept)?;
                }
                be.activate(activation, to)?;
            }
            (rest, number) = (after, number + 1);
        }
        Ok(())
    }

    /// From y to the loss and the gradients of the parameters.
    pub(super) fn descend(
        &mut self,
        be: &mut B,
        n: usize,
        labels: &[u32],
        scale: f64,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        same("labels (number)", (labels.len(), 1), (n, 1))?;
        be.write::<Index>(&mut self.labels, 0, labels)?;
        let at = Layout::row_major(0, n, self.shape().0);
        let y = MatMut { buf: &mut self.y, at };
        be.softmax_cross_entropy(AccumOf::<B>::of(scale), y, &self.labels, store, &mut self.loss)?;
        self.backward(be, n, store)
    }

    /// From the gradient in y to those of the parameters, down to the first adapted layer, whose
    /// dx nobody asks for.
    pub(super) fn backward(
        &mut self,
        be: &mut B,
        n: usize,
        store: Store,
    ) -> Result<(), Error<B::Error>> {
        let activation = F::ONLY.unwrap_or(self.activation);
        let Self { layers, ws, y, spare, first, .. } = self;
        let (mut dy, mut dx) = (y, spare);
        for (i, layer) in layers.iter_mut().enumerate().skip(*first).rev() {
            let (out, inputs) = layer.base.shape();
            let (of_y, of_x) = (Layout::row_major(0, n, out), Layout::row_major(0, n, inputs));
            let x = Mat { buf: &layer.x, at: of_x };
            let from = MatMut { buf: &mut *dy, at: of_y };
            let to = (i > *first).then_some(MatMut { buf: &mut *dx, at: of_x });
            layer.adapter.backward(be, ws, &layer.base, x, from, to, store)?;
            if i > *first {
                let kept = Mat { buf: layer.kept.as_ref().unwrap_or(&layer.x), at: of_x };
                be.activate_grad(activation, kept, MatMut { buf: &mut *dx, at: of_x })?;
            }
            core::mem::swap(&mut dy, &mut dx);
        }
        Ok(())
    }
}
