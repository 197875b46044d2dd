//! In which tiles attention goes through its rows.

use crate::pipelines::Kind;
use crate::select::{DeviceInfo, DeviceKind};

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

/// Numbers of a row that scores take at a time.
const DEEP: usize = 16;
/// Invocations that keep a large GPU, or a CPU, busy: with fewer, the other side is dealt out in parts.
const BUSY: usize = 1 << 17;
const BUSY_CPU: usize = 1 << 10;
/// The fewest rows of such a part.
const PART: usize = 256;
/// Steps left for loops that do not go through the other side.
const SPARE: usize = 1 << 12;

/// How the rows of one side are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiles {
    pub(crate) lanes: u32,
    /// Rows of a workgroup, and of an invocation.
    pub(crate) bm: usize,
    tm: usize,
    /// Rows of the other side that scores, and that sums take at a time.
    bn: usize,
    bl: usize,
    /// Columns of an invocation in the sums.
    td: usize,
    /// How often scores are computed, each time for other columns.
    pub(crate) blocks: usize,
}

impl Tiles {
    /// For `rows` rows of `heads` heads of `dim` numbers each.
    pub(crate) fn of(info: &DeviceInfo, dim: usize, rows: usize, heads: usize) -> Self {
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
        let Self { lanes, bm, bn, bl, td, .. } = *self;
        let theirs = (DEEP * (bn + 1)).max(bl * td * WIDE);
        4 * (DEEP * (bm + 1) + theirs + bm * (bn + 1) + lanes as usize + bm)
    }

    /// Constants of the kernels: types of operands and of results, and these tiles.
    pub(crate) fn constants(&self, operands: Kind, results: Kind) -> Vec<u32> {
        let tiles = [self.tm, self.bn, self.bl, self.td].map(|c| c as u32);
        [&[self.lanes, operands as u32], &tiles[..], &[results as u32]].concat()
    }

    /// The most steps of loops that an invocation takes for a tile of rows of the other side, in one head,
    /// with so many products of the size of scores, and of sums.
    fn steps(&self, dim: usize, scores: usize, sums: usize) -> usize {
        let Self { lanes, bm, bn, bl, td, .. } = *self;
        let lanes = lanes as usize;
        let of_scores = dim.div_ceil(DEEP) * (1 + (bn * DEEP).div_ceil(lanes) + DEEP);
        let of_sums = bn / bl * (1 + (bl * td * WIDE).div_ceil(lanes) + bl);
        let softened = 2 * (bn * bm).div_ceil(lanes) + lanes.div_ceil(bm);
        1 + scores * of_scores + softened + sums * of_sums
    }

    /// How many rows of the other side a workgroup takes, of `others`: all, or a part, where there are few
    /// workgroups, or where an invocation would take more steps than the device lets it. `heads` of the
    /// other side share one of this side.
    pub(crate) fn share(&self, info: &DeviceInfo, of: &Work) -> usize {
        let groups = of.rows.div_ceil(self.bm) * of.heads * self.blocks;
        let busy = if info.kind == DeviceKind::Cpu { BUSY_CPU } else { BUSY };
        let wanted = busy / self.lanes as usize / groups.max(1);
        let parts = wanted.min(of.others / PART).max(1);
        let steps = self.steps(of.dim, of.scores, of.sums) * of.together.max(1);
        let most = info.steps.saturating_sub(SPARE) / steps;
        let most = most.max(1).saturating_mul(self.bn);
        of.others.div_ceil(parts).next_multiple_of(self.bn).min(most)
    }
}

/// What the workgroups of a kernel share out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Numbers in a head.
    pub(crate) dim: usize,
    /// Rows and heads of the side that is dealt out.
    pub(crate) rows: usize,
    pub(crate) heads: usize,
    /// Rows of the other side, and its heads for each of this side.
    pub(crate) others: usize,
    pub(crate) together: usize,
    /// Products of the size of scores: for each block of columns, and for all blocks together.
    pub(crate) scores: usize,
    pub(crate) sums: usize,
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

    /// Forward, of heads of 64.
    fn share(info: &DeviceInfo, rows: usize, others: usize, together: usize) -> usize {
        let work = Work { dim: 64, rows, heads: 9, others, together, scores: 1, sums: 1 };
        Tiles::of(info, 64, rows, 9).share(info, &work)
    }

    #[test]
    fn few_queries_share_out_their_keys() {
        let gpu = device("GPU", DeviceKind::Discrete);
        assert_eq!(share(&gpu, 1, 4096, 1), 256);
        assert_eq!(share(&gpu, 1, 300, 1), 320);
        assert_eq!(share(&gpu, 4096, 4096, 1), 4096);
        assert_eq!(share(&gpu, 4096, 1 << 20, 1), 1 << 20);
    }

    #[test]
    fn an_invocation_takes_no_more_steps_than_it_may() {
        let mut cpu = device("llvmpipe", DeviceKind::Cpu);
        cpu.steps = 65_535;
        assert!((8_000..16_000).contains(&share(&cpu, 4096, 1 << 20, 1)));
        assert!(share(&cpu, 4096, 1 << 20, 64) < 300);
        assert_eq!(share(&cpu, 4096, 4096, 1), 4096);
    }
}
