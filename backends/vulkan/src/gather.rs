//! Embeddings: rows of tables, and the gradients of tables.

use decora::backend::Store;

use crate::buffer::VulkanWeight;
use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::push;
use crate::reduction::adds;
use crate::rowwise::rows;
use crate::vulkan::{GROUPS, GpuScalar, Operand, Vulkan};

/// Rows that a kernel takes in one step of a loop.
const STEP: usize = 8;

/// Which rows of a table an operand holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    first: usize,
    /// Rows of the whole table.
    total: usize,
    /// Whether rows that the whole table has not are set to zero.
    clear: bool,
}

impl<T: GpuScalar> Vulkan<T> {
    /// Yₜ = W₍idₜ₎, or the same added to Yₜ: each part of W is asked for its own rows.
    pub(crate) fn rows_of_weight(
        &mut self,
        w: &VulkanWeight,
        ids: Operand<'_>,
        store: Store,
        y: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let mut held = Held { first: 0, total: w.shape.0, clear: store == Store::Replace };
        if w.parts.is_empty() {
            return self.rows_of_part(ids.rows(0, 0), held, ids, store, y);
        }
        for part in &w.parts {
            held.first = part.first;
            self.rows_of_part(self.part(w, part), held, ids, store, y)?;
            held.clear = false;
        }
        Ok(())
    }

    /// As [`rows_of_weight`](Vulkan::rows_of_weight), from a table in one buffer.
    pub(crate) fn rows_of_table(
        &mut self,
        table: Operand<'_>,
        ids: Operand<'_>,
        store: Store,
        y: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let held = Held { first: 0, total: table.at.rows, clear: store == Store::Replace };
        self.rows_of_part(table, held, ids, store, y)
    }

    fn rows_of_part(
        &mut self,
        w: Operand<'_>,
        held: Held,
        ids: Operand<'_>,
        store: Store,
        y: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (n, cols) = y.at.shape();
        let push = push::Gather {
            rows: n as u32,
            cols: cols as u32,
            w: rows(&w),
            y: rows(&y),
            first: held.first as u32,
            count: w.at.rows as u32,
            total: held.total as u32,
            add: adds(store),
            clear: held.clear.into(),
        };
        let kinds = [w.kind as u32, y.kind as u32];
        self.run_each(Kernel::Gather, &kinds, &[w, ids, y], &push, n * cols)
    }

    /// dTableᵢ += Σ dYₜ over all t with idₜ = i, in the order of t.
    pub(crate) fn add_rows(
        &mut self,
        dy: Operand<'_>,
        ids: Operand<'_>,
        table: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (n, cols) = dy.at.shape();
        if n * cols == 0 {
            return Ok(());
        }
        // Where all ids are equal, one invocation takes all rows.
        let (steps, limit) = (n / STEP + n.div_ceil(GROUPS), self.recorder.shared.info.steps);
        if steps > limit {
            return Err(VulkanError::TooLong { kernel: Kernel::GatherGrad.stem(), steps, limit });
        }
        let scratch = self.take_scratch(n)?;
        let link = self.partial(&scratch, n);
        let groups = self.spread(n);
        let push = push::Occurrences { len: n as u32 };
        self.run(Kernel::Occurrences, &[], &[ids, link], &push, groups, n * n)?;
        let push = push::GatherGrad {
            rows: n as u32,
            cols: cols as u32,
            count: table.at.rows as u32,
            dy: rows(&dy),
            table: rows(&table),
        };
        let operands = [dy, ids, link, table];
        let constants = [dy.kind as u32];
        let groups = [n, cols.div_ceil(self.lanes() as usize), 1];
        self.run(Kernel::GatherGrad, &constants, &operands, &push, groups, n * cols)?;
        self.scratch = Some(scratch);
        Ok(())
    }
}
