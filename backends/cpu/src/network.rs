//! Activations and losses on a CPU.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::check;
use decora::mat::{Mat, MatMut};
use decora::network::{Activation, Network};
use decora::scalar::{Accum, Scalar};

use crate::arena::Cpu;
use crate::backend::{head, head_mut, operand};
use crate::error::CpuError;
use crate::kernels::activate::{activate, activate_grad};
use crate::kernels::squared_error::squared_error;
use crate::products::Products;

impl<T: Scalar, K: Products> Network for Cpu<'_, T, K> {
    fn activate(&mut self, f: Activation, y: MatMut<'_, Self, Act>) -> Result<(), CpuError> {
        check::activate(y.at)?;
        K::bands((y.buf, y.at), |_, (y, at)| activate(f, y, at));
        Ok(())
    }

    fn activate_grad(
        &mut self,
        f: Activation,
        kept: Mat<'_, Self, Act>,
        dy: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        check::activate_grad(kept.at, dy.at)?;
        let kept = operand(&kept);
        K::bands((dy.buf, dy.at), |rows, (dy, at)| activate_grad(f, kept.rows(rows), dy, at));
        Ok(())
    }

    fn softmax_cross_entropy(
        &mut self,
        scale: T::Accum,
        x: MatMut<'_, Self, Act>,
        labels: &Self::Buf<Index>,
        store: Store,
        loss: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::softmax_cross_entropy(x.at, labels.len(), loss.len())?;
        let (labels, loss) = (head(labels, x.at.rows), head_mut(loss, 1));
        put(loss, store, K::softmax_cross_entropy(scale, (x.buf, x.at), labels));
        Ok(())
    }

    fn squared_error(
        &mut self,
        scale: T::Accum,
        x: MatMut<'_, Self, Act>,
        target: Mat<'_, Self, Act>,
        store: Store,
        loss: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        check::squared_error(x.at, target.at, loss.len())?;
        put(head_mut(loss, 1), store, squared_error(scale, x.buf, x.at, operand(&target)));
        Ok(())
    }
}

fn put<A: Accum>(loss: &mut [A], store: Store, x: A) {
    for loss in loss {
        *loss = match store {
            Store::Replace => x,
            Store::Add => *loss + x,
        };
    }
}
