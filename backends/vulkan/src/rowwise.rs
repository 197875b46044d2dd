//! What goes row by row, and is used by more than one operation.

use decora::backend::Store;

use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::push::{self, Rows};
use crate::reduction::adds;
use crate::vulkan::{GROUPS, GpuScalar, Operand, Vulkan};

/// Steps for a row beside those that go through it: a sum over a workgroup takes ten at most.
const SPARE: usize = 64;

/// The layout of an operand, for a kernel that wants adjacent columns.
pub(crate) fn rows(o: &Operand<'_>) -> Rows {
    Rows::of(o.off, o.at)
}

impl<T: GpuScalar> Vulkan<T> {
    /// Whether each workgroup can go `passes` times through every row that it takes, of all these.
    pub(crate) fn check_steps(
        &self,
        kernel: Kernel,
        passes: usize,
        (rows, cols): (usize, usize),
    ) -> Result<(), VulkanError> {
        let (limit, each) = (self.recorder.shared.info.steps, cols.div_ceil(self.lanes() as usize));
        let steps = rows.div_ceil(GROUPS) * (passes * each + SPARE);
        match steps > limit {
            true => Err(VulkanError::TooLong { kernel: kernel.stem(), steps, limit }),
            false => Ok(()),
        }
    }

    /// Y = α·X, or the same added to Y. Columns are adjacent.
    pub(crate) fn scaled(
        &mut self,
        alpha: f32,
        x: Operand<'_>,
        store: Store,
        y: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (m, n) = y.at.shape();
        let push = push::Axpy {
            rows: m as u32,
            cols: n as u32,
            x: rows(&x),
            y: rows(&y),
            alpha,
            add: adds(store),
        };
        let kinds = [x.kind as u32, y.kind as u32];
        self.run_each(Kernel::Axpy, &kinds, &[x, y], &push, m * n)
    }

    /// outᵢ = α·Σₖ Aᵢₖ·Bᵢₖ, or the same added to outᵢ.
    pub(crate) fn dots(
        &mut self,
        alpha: f32,
        a: Operand<'_>,
        b: Operand<'_>,
        store: Store,
        out: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (m, n) = a.at.shape();
        let push = push::RowDot {
            rows: m as u32,
            cols: n as u32,
            a: rows(&a),
            b: rows(&b),
            alpha,
            add: adds(store),
            to: out.off,
        };
        if m == 0 {
            return Ok(());
        }
        self.check_steps(Kernel::RowDot, 1, (m, n))?;
        let kinds = [a.kind as u32, b.kind as u32];
        self.run(Kernel::RowDot, &kinds, &[a, b, out], &push, [m, 1, 1], 2 * m * n)
    }
}
