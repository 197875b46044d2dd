//! Attention and its gradients: in which tiles, and in how many dispatches.

use core::ops::Range;

use decora::sequence::Heads;

use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::pipelines::Special;
use crate::push;
use crate::rowwise::rows;
use crate::select::{DeviceInfo, DeviceKind};
use crate::vulkan::{GpuScalar, Operand, Vulkan};

/// Columns next to each other that the invocations of a workgroup take.
const WIDE: usize = 16;
/// Invocations of large and of small workgroups, and on a CPU.
const LARGE: u32 = 256;
const SMALL: u32 = 128;
const CPU: u32 = 64;
/// Workgroups below which smaller ones are taken, so that there is work for all of a GPU.
const FEW: usize = 128;
/// Columns of a head that one workgroup sums up; for the others the scores are computed again.
const COLUMNS: usize = 256;

/// The operands of an attention, bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attended<'b> {
    pub(crate) heads: Heads,
    pub(crate) q: Operand<'b>,
    pub(crate) k: Operand<'b>,
    pub(crate) v: Operand<'b>,
    pub(crate) spans: Operand<'b>,
}

/// What the gradients of an attention are computed from beyond its operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'b> {
    pub(crate) d_o: Operand<'b>,
    pub(crate) lse: Operand<'b>,
    pub(crate) dots: Operand<'b>,
}

/// How the rows of one side are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tiles {
    lanes: u32,
    /// Rows of a workgroup, and of an invocation.
    bm: usize,
    tm: usize,
    /// Rows of the other side that scores, and that sums take at a time.
    bn: usize,
    bl: usize,
    /// Columns of an invocation in the sums.
    td: usize,
    /// How often scores are computed, each time for other columns.
    blocks: usize,
}

impl Tiles {
    /// For `rows` rows of `heads` heads of `dim` numbers each.
    fn of(info: &DeviceInfo, dim: usize, rows: usize, heads: usize) -> Self {
        let tm = if dim > 128 { 2 } else { 4 };
        let groups = rows.div_ceil(LARGE as usize / WIDE * tm) * heads;
        let roomy = info.shared >= 32 << 10 && info.invocations >= LARGE;
        let (lanes, bn, room) = match info.kind {
            DeviceKind::Cpu => (CPU, 32, 1536),
            _ if roomy && groups >= FEW => (LARGE, 64, 2048),
            _ => (SMALL, 32, 1536),
        };
        let blocks = dim.div_ceil(COLUMNS).max(1);
        let td = dim.div_ceil(blocks * WIDE).max(1);
        let bl = 1 << (room / (td * WIDE)).min(bn).ilog2();
        Self { lanes, bm: lanes as usize / WIDE * tm, tm, bn, bl, td, blocks }
    }

    /// Bytes of shared memory that the kernels take.
    #[cfg(test)]
    fn shared(&self) -> usize {
        /// Numbers of a row that scores take at a time.
        const DEEP: usize = 16;
        let Self { lanes, bm, bn, bl, td, .. } = *self;
        let theirs = (DEEP * (bn + 1)).max(bl * td * WIDE);
        4 * (DEEP * (bm + 1) + theirs + bm * (bn + 1) + lanes as usize + bm)
    }

    fn special(&self, kernel: Kernel, of: &Attended<'_>) -> Special {
        let constants = [self.tm, self.bn, self.bl, self.td].map(|c| c as u32);
        let constants = [&[self.lanes, of.q.kind as u32], &constants[..]].concat();
        Special { kernel, constants }
    }
}

/// What a kernel of attention is, and what of it depends on the rows of a dispatch.
struct Job<'a, 'b, F> {
    kernel: Kernel,
    of: &'a Attended<'b>,
    operands: &'a [Operand<'b>],
    /// Rows and heads that are dealt out.
    rows: usize,
    heads: usize,
    /// Products of the size of scores: for each block of columns, and for all blocks together.
    products: (usize, usize),
    push: F,
}

impl<T: GpuScalar> Vulkan<T> {
    /// O, and ln Σ exp(score).
    pub(crate) fn attend(
        &mut self,
        of: &Attended<'_>,
        o: Operand<'_>,
        lse: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let Attended { heads, q, k, v, spans } = *of;
        let push = |part: Range<usize>| push::Attention {
            first: part.start as u32,
            end: part.end as u32,
            keys: k.at.rows as u32,
            heads: heads.heads as u32,
            kv_heads: heads.kv_heads as u32,
            dim: heads.dim as u32,
            scale: heads.scale as f32,
            q: rows(&q),
            k: rows(&k),
            v: rows(&v),
            o: rows(&o),
        };
        self.deal(Job {
            kernel: Kernel::Attention,
            of,
            operands: &[q, k, v, spans, o, lse],
            rows: q.at.rows,
            heads: heads.heads,
            products: (1, 1),
            push,
        })
    }

    /// D = Σ dO⊙O for each row and head.
    pub(crate) fn attention_dots(
        &mut self,
        heads: Heads,
        o: Operand<'_>,
        d_o: Operand<'_>,
        dots: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (count, across) = (o.at.rows * heads.heads, self.lanes().min(16));
        if count == 0 {
            return Ok(());
        }
        let push = push::AttentionDots {
            rows: o.at.rows as u32,
            heads: heads.heads as u32,
            dim: heads.dim as u32,
            o: rows(&o),
            d_o: rows(&d_o),
        };
        let groups = [count.div_ceil((self.lanes() / across) as usize), 1, 1];
        let (operands, constants) = ([o, d_o, dots], [o.kind as u32]);
        let flops = 2 * count * heads.dim;
        self.run(Kernel::AttentionDots, &constants, &operands, &push, groups, flops)
    }

    /// dQ.
    pub(crate) fn grad_of_queries(
        &mut self,
        of: &Attended<'_>,
        known: &Known<'_>,
        dq: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let Attended { heads, q, k, v, spans } = *of;
        let Known { d_o, lse, dots } = *known;
        let push = |part: Range<usize>| push::AttentionQueries {
            first: part.start as u32,
            end: part.end as u32,
            keys: k.at.rows as u32,
            heads: heads.heads as u32,
            kv_heads: heads.kv_heads as u32,
            dim: heads.dim as u32,
            scale: heads.scale as f32,
            q: rows(&q),
            k: rows(&k),
            v: rows(&v),
            d_o: rows(&d_o),
            dq: rows(&dq),
        };
        self.deal(Job {
            kernel: Kernel::AttentionQueries,
            of,
            operands: &[q, k, v, d_o, spans, lse, dots, dq],
            rows: q.at.rows,
            heads: heads.heads,
            products: (2, 1),
            push,
        })
    }

    /// dK and dV.
    pub(crate) fn grad_of_keys(
        &mut self,
        of: &Attended<'_>,
        known: &Known<'_>,
        dk: Operand<'_>,
        dv: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let Attended { heads, q, k, v, spans } = *of;
        let Known { d_o, lse, dots } = *known;
        let push = |part: Range<usize>| push::AttentionKeys {
            first: part.start as u32,
            end: part.end as u32,
            rows: q.at.rows as u32,
            heads: heads.heads as u32,
            kv_heads: heads.kv_heads as u32,
            dim: heads.dim as u32,
            scale: heads.scale as f32,
            q: rows(&q),
            k: rows(&k),
            v: rows(&v),
            d_o: rows(&d_o),
            dk: rows(&dk),
            dv: rows(&dv),
        };
        self.deal(Job {
            kernel: Kernel::AttentionKeys,
            of,
            operands: &[q, k, v, d_o, spans, lse, dots, dk, dv],
            rows: k.at.rows,
            heads: heads.kv_heads,
            products: (2, 2),
            push,
        })
    }

    /// Runs a kernel for all its rows: a part of them at a time, where all would be more than one
    /// submission may hold.
    fn deal<P: bytemuck::Pod>(
        &mut self,
        job: Job<'_, '_, impl Fn(Range<usize>) -> P>,
    ) -> Result<(), VulkanError> {
        let Heads { heads, dim, .. } = job.of.heads;
        let shared = &self.recorder.shared;
        let tiles = Tiles::of(&shared.info, dim, job.rows, job.heads);
        let pairs = job.of.q.at.rows * job.of.k.at.rows * heads;
        let products = job.products.0 * tiles.blocks + job.products.1;
        let flops = 2 * pairs * dim.max(1) * products;
        let limit = usize::try_from(shared.work_limit()).unwrap_or(usize::MAX);
        let parts = flops.div_ceil(limit.max(1)).max(1);
        let step = job.rows.div_ceil(parts).next_multiple_of(tiles.bm).max(1);
        let special = tiles.special(job.kernel, job.of);
        for first in (0..job.rows).step_by(step) {
            let end = job.rows.min(first + step);
            let groups = [(end - first).div_ceil(tiles.bm), job.heads, tiles.blocks];
            let (push, flops) = ((job.push)(first..end), flops / parts);
            self.launch(special.clone(), job.operands, &push, groups, flops)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::tests::device;

    #[test]
    fn tiles_fit_the_smallest_device() {
        let mut small = device("phone", DeviceKind::Integrated);
        (small.shared, small.invocations) = (16 << 10, 128);
        for dim in [0, 1, 16, 40, 64, 80, 96, 128, 160, 256, 257, 512, 4000] {
            let tiles = Tiles::of(&small, dim, 1 << 14, 16);
            assert!(tiles.shared() <= 16 << 10 && tiles.lanes <= 128, "{dim}: {tiles:?}");
            assert!(tiles.td * WIDE * tiles.blocks >= dim, "{dim}: {tiles:?}");
            assert!(
                tiles.td * WIDE <= COLUMNS && tiles.bn.is_multiple_of(tiles.bl),
                "{dim}: {tiles:?}"
            );
        }
    }

    #[test]
    fn large_tiles_are_for_much_work() {
        let gpu = device("GPU", DeviceKind::Discrete);
        let lanes = |rows, heads| Tiles::of(&gpu, 64, rows, heads).lanes;
        assert_eq!((lanes(4096, 12), lanes(64, 12), lanes(1, 32)), (LARGE, SMALL, SMALL));
        let large = Tiles::of(&gpu, 64, 4096, 12);
        assert!(large.shared() <= 32 << 10, "{large:?}");
    }
}
