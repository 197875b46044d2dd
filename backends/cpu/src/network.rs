//! Activations and losses on a CPU.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::error::same;
use decora::mat::{Mat, MatMut};
use decora::network::{Activation, Network};
use decora::scalar::{Accum, Scalar};

use crate::arena::Cpu;
use crate::backend::{adjacent, operand, vector, vector_mut};
use crate::error::CpuError;
use crate::kernels::activate::{activate, activate_grad};
use crate::kernels::softmax_cross_entropy::softmax_cross_entropy;
use crate::kernels::squared_error::squared_error;
use crate::products::Products;

impl<T: Scalar, K: Products> Network for Cpu<'_, T, K> {
    fn activate(&mut self, f: Activation, y: MatMut<'_, Self, Act>) -> Result<(), CpuError> {
        adjacent("activate: column stride of Y", y.at)?;
        activate(f, y.buf, y.at);
        Ok(())
    }

    fn activate_grad(
        &mut self,
        f: Activation,
        kept: Mat<'_, Self, Act>,
        dy: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        same("activate_grad: dY", dy.shape(), kept.shape())?;
        adjacent("activate_grad: column stride of what was kept", kept.at)?;
        adjacent("activate_grad: column stride of dY", dy.at)?;
        activate_grad(f, operand(&kept), dy.buf, dy.at);
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
        adjacent("softmax_cross_entropy: column stride of X", x.at)?;
        let labels = vector("softmax_cross_entropy: labels", labels, x.at.rows)?;
        let loss = vector_mut("softmax_cross_entropy: loss", loss, 1)?;
        put(loss, store, softmax_cross_entropy(scale, x.buf, x.at, labels));
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
        same("squared_error: X", x.shape(), target.shape())?;
        adjacent("squared_error: column stride of X", x.at)?;
        adjacent("squared_error: column stride of the target", target.at)?;
        let loss = vector_mut("squared_error: loss", loss, 1)?;
        put(loss, store, squared_error(scale, x.buf, x.at, operand(&target)));
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
