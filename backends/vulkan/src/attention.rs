//! Attention and its gradients: in which dispatches, and in how many parts.

use decora::backend::Store;
use decora::mat::Layout;
use decora::sequence::Heads;

use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::pipelines::{Kind, Special};
use crate::push;
use crate::rowwise::rows;
use crate::tiles::{Tiles, Work};
use crate::vulkan::{GpuScalar, Operand, Vulkan};

/// The most numbers that results in parts have, unless a single tile of rows has more.
const PARTS: usize = 1 << 22;

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

/// What is computed, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'b> {
    /// O, and ln Σ exp(score).
    Forward { o: Operand<'b>, lse: Operand<'b> },
    /// dQ.
    Queries { known: Known<'b>, dq: Operand<'b> },
    /// dK and dV.
    Keys { known: Known<'b>, dk: Operand<'b>, dv: Operand<'b> },
}

impl<'b> Wanted<'b> {
    const fn kernel(&self) -> Kernel {
        match self {
            Self::Forward { .. } => Kernel::Attention,
            Self::Queries { .. } => Kernel::AttentionQueries,
            Self::Keys { .. } => Kernel::AttentionKeys,
        }
    }

    /// The matrices that are computed, one twice where it is the only one.
    const fn results(&self) -> [Operand<'b>; 2] {
        match *self {
            Self::Forward { o, .. } => [o, o],
            Self::Queries { dq, .. } => [dq, dq],
            Self::Keys { dk, dv, .. } => [dk, dv],
        }
    }

    /// The same, with these results; `lse` is for those of forward.
    const fn with(self, [one, other]: [Operand<'b>; 2], lse: Operand<'b>) -> Self {
        match self {
            Self::Forward { .. } => Self::Forward { o: one, lse },
            Self::Queries { known, .. } => Self::Queries { known, dq: one },
            Self::Keys { known, .. } => Self::Keys { known, dk: one, dv: other },
        }
    }

    /// What the kernel binds, in its order.
    fn operands(&self, of: &Attended<'b>) -> Vec<Operand<'b>> {
        let Attended { q, k, v, spans, .. } = *of;
        let inputs = |Known { d_o, lse, dots }| [q, k, v, d_o, spans, lse, dots];
        match *self {
            Self::Forward { o, lse } => vec![q, k, v, spans, o, lse],
            Self::Queries { known, dq } => [&inputs(known)[..], &[dq]].concat(),
            Self::Keys { known, dk, dv } => [&inputs(known)[..], &[dk, dv]].concat(),
        }
    }

    const fn d_o(&self) -> Option<Operand<'b>> {
        match self {
            Self::Forward { .. } => None,
            Self::Queries { known, .. } | Self::Keys { known, .. } => Some(known.d_o),
        }
    }

    fn work(&self, of: &Attended<'_>) -> Work {
        let Heads { heads, kv_heads, dim, .. } = of.heads;
        let (n, keys) = (of.q.at.rows, of.k.at.rows);
        let (scores, sums) = match self {
            Self::Forward { .. } => (1, 1),
            Self::Queries { .. } => (2, 1),
            Self::Keys { .. } => (2, 2),
        };
        let of_queries = Work { dim, rows: n, heads, others: keys, together: 1, scores, sums };
        match self {
            Self::Keys { .. } => {
                let together = heads.checked_div(kv_heads).unwrap_or(0);
                Work { rows: keys, heads: kv_heads, others: n, together, ..of_queries }
            }
            _ => of_queries,
        }
    }
}

/// In how many dispatches, and in how many parts of the other side each.
#[derive(Clone, Copy, Debug)]
struct Deal {
    tiles: Tiles,
    work: Work,
    /// Rows of the other side in a part.
    share: usize,
    parts: usize,
    /// Rows of a dispatch.
    step: usize,
    /// Operations of one.
    flops: usize,
}

impl<T: GpuScalar> Vulkan<T> {
    /// Runs a kernel for all its rows: a part of them at a time, where all would be more than one
    /// submission may hold.
    pub(crate) fn attend(
        &mut self,
        of: &Attended<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<(), VulkanError> {
        let deal = self.plan(of, wanted);
        for first in (0..deal.work.rows).step_by(deal.step) {
            let count = deal.step.min(deal.work.rows - first);
            if deal.parts == 1 {
                self.launch_part(of, wanted, &deal, (first, count))?;
            } else {
                self.in_parts_of_others(of, wanted, &deal, (first, count))?;
            }
        }
        Ok(())
    }

    fn plan(&self, of: &Attended<'_>, wanted: &Wanted<'_>) -> Deal {
        let (work, shared) = (wanted.work(of), &self.recorder.shared);
        let Work { dim, rows, heads, others, .. } = work;
        let tiles = Tiles::of(&shared.info, dim, rows, heads);
        let share = tiles.share(&shared.info, &work).max(1);
        let parts = others.div_ceil(share).max(1);
        let pairs = of.q.at.rows * of.k.at.rows * of.heads.heads;
        let flops = 2 * pairs * dim.max(1) * (work.scores * tiles.blocks + work.sums);
        let limit = usize::try_from(shared.work_limit()).unwrap_or(usize::MAX);
        let dispatches = flops.div_ceil(limit.max(1)).max(1);
        let in_scratch = if parts == 1 { 0 } else { 2 * parts * heads * (dim + 1) * rows };
        let dispatches = dispatches.max(in_scratch.div_ceil(PARTS));
        let step = rows.div_ceil(dispatches).next_multiple_of(tiles.bm).max(1);
        Deal { tiles, work, share, parts, step, flops: flops / dispatches }
    }

    /// Some of the rows.
    fn launch_part(
        &mut self,
        of: &Attended<'_>,
        wanted: &Wanted<'_>,
        deal: &Deal,
        (first, count): (usize, usize),
    ) -> Result<(), VulkanError> {
        let (Attended { heads, q, k, v, .. }, Deal { tiles, work, parts, .. }) = (*of, *deal);
        let [one, other] = wanted.results();
        let push = push::Attention {
            first: first as u32,
            end: (first + count) as u32,
            others: work.others as u32,
            heads: heads.heads as u32,
            kv_heads: heads.kv_heads as u32,
            dim: heads.dim as u32,
            scale: heads.scale as f32,
            share: deal.share as u32,
            parts: parts as u32,
            q: rows(&q),
            k: rows(&k),
            v: rows(&v),
            d_o: rows(&wanted.d_o().unwrap_or(q)),
            r: rows(&one),
            r_too: rows(&other),
        };
        let constants = tiles.constants(q.kind, one.kind);
        let special = Special { kernel: wanted.kernel(), constants };
        let groups = [count.div_ceil(tiles.bm), work.heads, tiles.blocks * parts];
        self.launch(special, &wanted.operands(of), &push, groups, deal.flops)
    }

    /// Some of the rows, with the other side in parts, whose results are then put together.
    fn in_parts_of_others(
        &mut self,
        of: &Attended<'_>,
        wanted: &Wanted<'_>,
        deal: &Deal,
        (first, count): (usize, usize),
    ) -> Result<(), VulkanError> {
        let (heads, parts) = (of.heads, deal.parts);
        let cols = wanted.results()[0].at.cols;
        let side = (parts * count * cols).next_multiple_of(self.apart());
        let sums = (2 * parts * count * heads.heads).next_multiple_of(self.apart());
        let scratch = self.take_scratch(2 * side + sums)?;
        let partial = |be: &Self, offset| {
            let at = Layout::row_major(offset, parts * count, cols);
            be.bind(&scratch, 4, Kind::F32, at)
        };
        let results = [partial(self, 0), partial(self, side)];
        let lse = self.numbers(&scratch, 2 * side, sums);
        self.launch_part(of, &wanted.with(results, lse), deal, (first, count))?;
        match *wanted {
            Wanted::Forward { o, lse: to } => {
                self.merge(heads, parts, (first, count), [lse, results[0]], [o, to])?;
            }
            Wanted::Queries { dq, .. } => {
                self.reduce(1.0, results[0], parts, Store::Replace, dq.rows(first, count))?;
            }
            Wanted::Keys { dk, dv, .. } => {
                self.reduce(1.0, results[0], parts, Store::Replace, dk.rows(first, count))?;
                self.reduce(1.0, results[1], parts, Store::Replace, dv.rows(first, count))?;
            }
        }
        self.scratch = Some(scratch);
        Ok(())
    }

    /// A multiple of this many numbers can be bound on its own.
    fn apart(&self) -> usize {
        (self.recorder.shared.info.align as usize).div_ceil(4)
    }

    fn numbers<'b>(&self, scratch: &'b Block, offset: usize, len: usize) -> Operand<'b> {
        self.bind(scratch, 4, Kind::F32, Layout::row_major(offset, len, 1))
    }

    /// O and lse of some rows, from those of parts of the keys.
    fn merge(
        &mut self,
        heads: Heads,
        parts: usize,
        (first, count): (usize, usize),
        [sums, weighed]: [Operand<'_>; 2],
        [o, lse]: [Operand<'_>; 2],
    ) -> Result<(), VulkanError> {
        let push = push::AttentionMerge {
            first: first as u32,
            rows: count as u32,
            heads: heads.heads as u32,
            dim: heads.dim as u32,
            parts: parts as u32,
            o: rows(&o),
        };
        let (operands, constants) = ([sums, weighed, o, lse], [o.kind as u32]);
        let elements = count * heads.heads * heads.dim.max(1);
        self.run_each(Kernel::AttentionMerge, &constants, &operands, &push, elements)
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
}
