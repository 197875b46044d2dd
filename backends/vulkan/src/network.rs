//! Activations and losses on a GPU.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::check;
use decora::mat::{Mat, MatMut};
use decora::network::{Activation, Network};

use crate::buffer::VulkanBuf;
use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::push;
use crate::reduction::Parts;
use crate::rowwise::rows;
use crate::vulkan::{GpuScalar, Vulkan};

/// The number the shaders know a function by.
pub(crate) fn number(f: Activation) -> Result<u32, VulkanError> {
    match f {
        Activation::Gelu => Ok(0),
        Activation::Relu => Ok(1),
        Activation::Silu => Ok(2),
        Activation::Tanh => Ok(3),
        Activation::GeluTanh => Ok(4),
        _ => Err(VulkanError::Function),
    }
}

impl<T: GpuScalar> Network for Vulkan<T> {
    fn activate(&mut self, f: Activation, y: MatMut<'_, Self, Act>) -> Result<(), VulkanError> {
        check::activate(y.at)?;
        let y = self.mat_mut(&y);
        let (m, n) = y.at.shape();
        let push = push::Activate { rows: m as u32, cols: n as u32, y: rows(&y) };
        let constants = [y.kind as u32, number(f)?];
        self.run_each(Kernel::Activate, &constants, &[y], &push, m * n)
    }

    fn activate_grad(
        &mut self,
        f: Activation,
        kept: Mat<'_, Self, Act>,
        dy: MatMut<'_, Self, Act>,
    ) -> Result<(), VulkanError> {
        check::activate_grad(kept.at, dy.at)?;
        let (kept, dy) = (self.mat(&kept), self.mat_mut(&dy));
        let (m, n) = dy.at.shape();
        let push =
            push::ActivateGrad { rows: m as u32, cols: n as u32, kept: rows(&kept), dy: rows(&dy) };
        let constants = [dy.kind as u32, number(f)?];
        self.run_each(Kernel::ActivateGrad, &constants, &[kept, dy], &push, m * n)
    }

    fn softmax_cross_entropy(
        &mut self,
        scale: f32,
        x: MatMut<'_, Self, Act>,
        labels: &VulkanBuf<Index>,
        store: Store,
        loss: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::softmax_cross_entropy(x.at, labels.len, loss.len)?;
        let x = self.mat_mut(&x);
        let (m, n) = x.at.shape();
        let (labels, loss) = (self.vector(labels, m), self.vector(loss, 1));
        let push = push::SoftmaxCrossEntropy { rows: m as u32, cols: n as u32, x: rows(&x), scale };
        self.check_steps(Kernel::SoftmaxCrossEntropy, 3, (m, n))?;
        self.in_parts(m, scale, store, loss, |be, part| {
            let operands = [x, labels, part];
            let constants = [x.kind as u32];
            let kernel = Kernel::SoftmaxCrossEntropy;
            be.run(kernel, &constants, &operands, &push, [m, 1, 1], 6 * m * n)
        })
    }

    fn squared_error(
        &mut self,
        scale: f32,
        x: MatMut<'_, Self, Act>,
        target: Mat<'_, Self, Act>,
        store: Store,
        loss: &mut VulkanBuf<Acc>,
    ) -> Result<(), VulkanError> {
        check::squared_error(x.at, target.at, loss.len)?;
        let (x, t, loss) = (self.mat_mut(&x), self.mat(&target), self.vector(loss, 1));
        let ((m, n), parts) = (x.at.shape(), Parts::of(x.at.rows * x.at.cols));
        let push = push::SquaredError {
            rows: m as u32,
            cols: n as u32,
            x: rows(&x),
            t: rows(&t),
            scale,
            per_group: parts.share as u32,
        };
        self.in_parts(parts.count, scale, store, loss, |be, part| {
            let groups = [parts.count, 1, 1];
            let constants = [x.kind as u32];
            be.run(Kernel::SquaredError, &constants, &[x, t, part], &push, groups, 4 * m * n)
        })
    }
}
