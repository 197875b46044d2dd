//! Sums in two steps: parts side by side, then the parts in a fixed order.

use decora::backend::Store;
use decora::mat::Layout;

use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::pipelines::Kind;
use crate::push;
use crate::vulkan::{GpuScalar, Operand, Vulkan};

/// Elements one group adds up before there is another group.
const SHARE: usize = 16_384;
/// Parts of a sum over a whole vector.
const PARTS: usize = 256;
/// Rows one group adds up, in sums of columns.
const ROWS: usize = 256;
/// Columns one group adds up.
const COLS: usize = 32;

/// A sum over a vector, in `count` parts of `share` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) count: usize,
    pub(crate) share: usize,
}

impl Parts {
    pub(crate) fn of(len: usize) -> Self {
        let share = len.div_ceil(PARTS).max(SHARE);
        Self { count: len.div_ceil(share), share }
    }
}

/// Sums of columns, in blocks of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) count: usize,
    pub(crate) rows: usize,
}

impl Blocks {
    pub(crate) fn of(rows: usize) -> Self {
        let share = rows.div_ceil(PARTS).max(ROWS);
        Self { count: rows.div_ceil(share), rows: share }
    }

    /// Groups, where there are `cols` columns.
    pub(crate) fn groups(self, cols: usize) -> [usize; 3] {
        [cols.div_ceil(COLS), self.count, 1]
    }
}

pub(crate) const fn adds(store: Store) -> u32 {
    matches!(store, Store::Add) as u32
}

impl<T: GpuScalar> Vulkan<T> {
    /// Numbers in scratch memory.
    pub(crate) fn partial<'b>(&self, scratch: &'b Block, len: usize) -> Operand<'b> {
        self.bind(scratch, 4, Kind::F32, Layout::row_major(0, len, 1))
    }

    /// out₀ = α·Σ of `count` numbers that `f` computes, or the same added to out₀.
    pub(crate) fn in_parts(
        &mut self,
        count: usize,
        alpha: f32,
        store: Store,
        out: Operand<'_>,
        f: impl FnOnce(&mut Self, Operand<'_>) -> Result<(), VulkanError>,
    ) -> Result<(), VulkanError> {
        let scratch = self.take_scratch(count)?;
        let parts = self.partial(&scratch, count);
        if count > 0 {
            f(self, parts)?;
        }
        self.total(alpha, parts, store, out)?;
        self.scratch = Some(scratch);
        Ok(())
    }

    /// A row of sums, or the same added to it; `f` computes a row for each block.
    pub(crate) fn in_blocks(
        &mut self,
        blocks: Blocks,
        store: Store,
        out: Operand<'_>,
        f: impl FnOnce(&mut Self, Operand<'_>) -> Result<(), VulkanError>,
    ) -> Result<(), VulkanError> {
        let cols = out.at.cols;
        if cols == 0 {
            return Ok(());
        }
        if blocks.count == 1 && store == Store::Replace {
            return f(self, out);
        }
        let scratch = self.take_scratch(blocks.count * cols)?;
        let parts = self.partial(&scratch, blocks.count * cols);
        if blocks.count > 0 {
            f(self, parts)?;
        }
        self.reduce(1.0, parts, blocks.count, store, out)?;
        self.scratch = Some(scratch);
        Ok(())
    }

    /// out₀ = α·Σ x, or the same added to out₀.
    pub(crate) fn total(
        &mut self,
        alpha: f32,
        x: Operand<'_>,
        store: Store,
        out: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let len = x.at.rows;
        self.check_steps(Kernel::Total, 1, (1, len))?;
        let push = push::Total { len: len as u32, alpha, add: adds(store) };
        self.run(Kernel::Total, &[], &[x, out], &push, [1, 1, 1], len)
    }

    /// Z = α·Σₛ Pₛ, or the same added to Z; the parts lie one after the other.
    pub(crate) fn reduce(
        &mut self,
        alpha: f32,
        parts: Operand<'_>,
        splits: usize,
        store: Store,
        z: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (rows, cols) = z.at.shape();
        let push = push::Reduce {
            rows: rows as u32,
            cols: cols as u32,
            splits: splits as u32,
            stride: (rows * cols) as u32,
            alpha,
            z: push::View::of(z.off, z.at),
            add: adds(store),
        };
        let groups = self.spread(rows * cols);
        let constants = [z.kind as u32];
        self.run(Kernel::Reduce, &constants, &[parts, z], &push, groups, splits * rows * cols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_vector_and_are_few() {
        for len in [0, 1, SHARE, SHARE + 1, 1 << 20, 100_000_007] {
            let Parts { count, share } = Parts::of(len);
            assert!(count * share >= len && count <= PARTS, "{len}");
            assert!(len == 0 || (count - 1) * share < len, "{len}: an empty part");
        }
    }

    #[test]
    fn blocks_cover_all_rows() {
        for rows in [0, 1, 256, 257, 5000, 1_000_003] {
            let blocks = Blocks::of(rows);
            assert!(blocks.count * blocks.rows >= rows && blocks.count <= PARTS, "{rows}");
        }
    }
}
