//! Normalisations of rows, and their gradients.

use decora::backend::Store;
use decora::sequence::{Norm, NormKind};

use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::push;
use crate::reduction::{Blocks, adds};
use crate::rowwise::rows;
use crate::vulkan::{GpuScalar, Operand, Vulkan};

/// Whether the mean of a row is taken out of it.
fn layer(norm: Norm) -> u32 {
    (norm.kind == NormKind::Layer).into()
}

impl<T: GpuScalar> Vulkan<T> {
    /// Y = γ⊙X̂ + β.
    pub(crate) fn normalized(
        &mut self,
        norm: Norm,
        x: Operand<'_>,
        gamma: Operand<'_>,
        beta: Option<Operand<'_>>,
        y: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (n, cols) = x.at.shape();
        if n * cols == 0 {
            return Ok(());
        }
        self.check_steps(Kernel::Normalize, 3, (n, cols))?;
        let push = push::Normalize {
            rows: n as u32,
            cols: cols as u32,
            x: rows(&x),
            y: rows(&y),
            layer: layer(norm),
            eps: norm.eps as f32,
            has_beta: beta.is_some().into(),
        };
        let operands = [x, gamma, beta.unwrap_or(gamma), y];
        let constants = [x.kind as u32];
        self.run(Kernel::Normalize, &constants, &operands, &push, [n, 1, 1], 8 * n * cols)
    }

    /// dX, or the same added to it.
    pub(crate) fn normalized_grad(
        &mut self,
        norm: Norm,
        [x, gamma, dy]: [Operand<'_>; 3],
        store: Store,
        dx: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (n, cols) = x.at.shape();
        if n * cols == 0 {
            return Ok(());
        }
        self.check_steps(Kernel::NormalizeGrad, 4, (n, cols))?;
        let push = push::NormalizeGrad {
            rows: n as u32,
            cols: cols as u32,
            x: rows(&x),
            dy: rows(&dy),
            dx: rows(&dx),
            layer: layer(norm),
            eps: norm.eps as f32,
            add: adds(store),
        };
        let (operands, constants) = ([x, gamma, dy, dx], [x.kind as u32]);
        self.run(Kernel::NormalizeGrad, &constants, &operands, &push, [n, 1, 1], 16 * n * cols)
    }

    /// dγ = Σₜ dYₜ⊙X̂ₜ, or the same added to it.
    pub(crate) fn gain_of_normalized(
        &mut self,
        norm: Norm,
        x: Operand<'_>,
        dy: Operand<'_>,
        store: Store,
        dgamma: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let ((n, cols), blocks) = (x.at.shape(), Blocks::of(x.at.rows));
        let block = self.recorder.scratch(8 * n.max(1) as u64)?;
        let hats = self.partial(&block, 2 * n);
        if n * cols > 0 {
            self.moments(norm, x, hats)?;
        }
        let push = push::NormalizeGainGrad {
            rows: n as u32,
            cols: cols as u32,
            x: rows(&x),
            dy: rows(&dy),
            rows_per_block: blocks.rows as u32,
        };
        self.in_blocks(blocks, store, dgamma, |be, part| {
            let (operands, constants) = ([x, dy, hats, part], [x.kind as u32]);
            let (kernel, groups) = (Kernel::NormalizeGainGrad, blocks.groups(cols));
            be.run(kernel, &constants, &operands, &push, groups, 4 * n * cols)
        })
    }

    /// Mean and 1/√(mean square + ε) of each row.
    fn moments(
        &mut self,
        norm: Norm,
        x: Operand<'_>,
        hats: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (n, cols) = x.at.shape();
        self.check_steps(Kernel::Moments, 2, (n, cols))?;
        let push = push::Moments {
            rows: n as u32,
            cols: cols as u32,
            x: rows(&x),
            layer: layer(norm),
            eps: norm.eps as f32,
        };
        let constants = [x.kind as u32];
        self.run(Kernel::Moments, &constants, &[x, hats], &push, [n, 1, 1], 4 * n * cols)
    }
}
