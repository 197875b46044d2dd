//! C = α·A·B: which kernel, in which tiles, and in how many parts.

use decora::backend::Store;
use decora::mat::Layout;

use crate::error::VulkanError;
use crate::kernel::Kernel;
use crate::pipelines::{Kind, Special};
use crate::push;
use crate::reduction::adds;
use crate::select::{DeviceInfo, DeviceKind};
use crate::vulkan::{GpuScalar, Operand, Vulkan};

/// Tiles below which smaller ones are taken, so that there is work for all of a GPU.
const FEW: usize = 32;
/// Invocations that keep a large GPU busy: with fewer, long sums are split.
const BUSY: usize = 1 << 17;
/// The same for a CPU.
const BUSY_CPU: usize = 1 << 10;
/// The shortest part of a split sum.
const PART: usize = 256;
/// The most numbers in the parts of a split product.
const PARTS: usize = 1 << 22;

/// Bytes of shared memory that large tiles of cooperative matrices take.
const COOPERATIVE: u32 = 25 << 10;

/// How one product is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) kernel: Kernel,
    /// Rows and columns of C that one group computes.
    pub(crate) tile: (usize, usize),
    /// Constants of the kernel from number 4 on.
    pub(crate) constants: Vec<u32>,
    /// Invocations in a group.
    pub(crate) lanes: u32,
    /// Parts of the sum.
    pub(crate) splits: usize,
}

/// BM, BN, BK and TM, TN of the tiled kernels: a group computes BM·BN elements in steps of BK, an
/// invocation TM·TN of them.
type Tiles = (usize, usize, usize, usize, usize);

const SQUARE: Tiles = (64, 64, 16, 4, 4);
const TALL: Tiles = (64, 16, 8, 4, 4);
const WIDE: Tiles = (16, 64, 8, 4, 4);
const SMALL: Tiles = (16, 16, 32, 2, 2);
const MIDDLE: Tiles = (32, 32, 16, 4, 4);
const LARGE: Tiles = (128, 128, 16, 8, 8);

impl Plan {
    /// The plan for C `(m, n)` from a sum of k terms; `portable` forbids all but the portable kernel.
    pub(crate) fn of(
        info: &DeviceInfo,
        portable: bool,
        kinds: [Kind; 2],
        (m, n, k): (usize, usize, usize),
    ) -> Self {
        let large = m.min(n) >= 96 && m.div_ceil(128) * n.div_ceil(128) >= FEW;
        let plan = match matrices(info, kinds) {
            Some(shape) if large && info.shared >= COOPERATIVE => {
                Self::cooperative(info, shape, 64)
            }
            Some(shape) if m >= 16 && n >= 16 => Self::cooperative(info, shape, 32),
            _ if large && !portable && Self::fits(info, LARGE) => {
                Self::tiled(Kernel::GemmSubgroup, LARGE, info)
            }
            _ => Self::tiled(Kernel::Gemm, Self::tiles(info, m, n), info),
        };
        let groups = m.div_ceil(plan.tile.0) * n.div_ceil(plan.tile.1);
        let room = PARTS / (m * n).max(1);
        let busy = if info.kind == DeviceKind::Cpu { BUSY_CPU } else { BUSY };
        let wanted = busy / plan.lanes as usize / groups.max(1);
        // A step for each term, and one for each tile of eight or more.
        let needed = (k + k / 8).div_ceil(info.steps);
        let splits = wanted.min(k / PART).min(room).max(needed).max(1);
        Self { splits, ..plan }
    }

    fn tiles(info: &DeviceInfo, m: usize, n: usize) -> Tiles {
        let many = m.div_ceil(64) * n.div_ceil(64) >= FEW;
        match (m <= 16, n <= 16) {
            (true, true) => SMALL,
            (false, true) => TALL,
            (true, false) => WIDE,
            (false, false) if many && Self::fits(info, SQUARE) => SQUARE,
            (false, false) => MIDDLE,
        }
    }

    fn fits(info: &DeviceInfo, (bm, bn, bk, tm, tn): Tiles) -> bool {
        let shared = 4 * (bm + bn + 8) * bk;
        info.shared as usize >= shared && info.invocations as usize >= (bm / tm) * (bn / tn)
    }

    fn tiled(kernel: Kernel, (bm, bn, bk, tm, tn): Tiles, info: &DeviceInfo) -> Self {
        let constants = [bm, bn, bk, tm, tn].map(|c| c as u32);
        let constants = [&constants[..], &[info.subgroup]].concat();
        let lanes = ((bm / tm) * (bn / tn)) as u32;
        Self { kernel, tile: (bm, bn), constants, lanes, splits: 1 }
    }

    /// Four subgroups, two by two, each with as many matrices as make `side` rows and columns.
    fn cooperative(info: &DeviceInfo, (m, n, k): (u32, u32, u32), side: u32) -> Self {
        let (along_m, along_n) = (side / m, side / n);
        let bk = 32 / k * k;
        let constants =
            vec![2 * side, 2 * side, bk, 1, 1, info.subgroup, m, n, k, along_m, along_n];
        let (side, lanes) = (2 * side as usize, 4 * info.subgroup);
        Self { kernel: Kernel::GemmCoop, tile: (side, side), constants, lanes, splits: 1 }
    }
}

/// The shape of cooperative matrices for operands of these types, if the device has one.
fn matrices(info: &DeviceInfo, kinds: [Kind; 2]) -> Option<(u32, u32, u32)> {
    let shapes = match kinds {
        [Kind::F16, Kind::F16] => &info.f16_matrices,
        [Kind::Bf16, Kind::Bf16] => &info.bf16_matrices,
        _ => return None,
    };
    let usable = |&&(m, n, k): &&(u32, u32, u32)| {
        [m, n, k].iter().all(|side| 32 % side == 0 && side % 8 == 0)
    };
    let enough = info.invocations >= 4 * info.subgroup;
    shapes.iter().filter(usable).max_by_key(|(m, n, k)| m * n * k).copied().filter(|_| enough)
}

impl<T: GpuScalar> Vulkan<T> {
    /// C = α·A·B, or the same added to C. Shapes were checked.
    pub(crate) fn product(
        &mut self,
        alpha: f32,
        a: Operand<'_>,
        b: Operand<'_>,
        store: Store,
        c: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let ((m, n), k) = (c.at.shape(), a.at.cols);
        if m == 0 || n == 0 {
            return Ok(());
        }
        let shared = &self.recorder.shared;
        let portable = shared.settings.limits.portable_only;
        let plan = Plan::of(&shared.info, portable, [a.kind, b.kind], (m, n, k));
        let flops = 2 * m * n * k.max(1);
        if plan.splits > 1 {
            return self.split_product(&plan, alpha, a, b, store, c);
        }
        let limit = usize::try_from(shared.work_limit()).unwrap_or(usize::MAX);
        let parts = flops.div_ceil(limit.max(1));
        let rows = m.div_ceil(parts).next_multiple_of(plan.tile.0);
        for first in (0..m).step_by(rows) {
            let rows = rows.min(m - first);
            let (a, c) = (a.rows(first, rows), c.rows(first, rows));
            self.multiply(&plan, alpha, a, b, store, c, 0)?;
        }
        Ok(())
    }

    /// Sums in parts, side by side, and adds these up.
    fn split_product(
        &mut self,
        plan: &Plan,
        alpha: f32,
        a: Operand<'_>,
        b: Operand<'_>,
        store: Store,
        c: Operand<'_>,
    ) -> Result<(), VulkanError> {
        let (m, n) = c.at.shape();
        let scratch = self.take_scratch(plan.splits * m * n)?;
        let parts = self.partial(&scratch, plan.splits * m * n);
        let first = Operand { at: Layout::row_major(0, m, n), ..parts };
        self.multiply(plan, 1.0, a, b, Store::Replace, first, m * n)?;
        self.reduce(alpha, parts, plan.splits, store, c)?;
        self.scratch = Some(scratch);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one argument for each letter of the formula")]
    fn multiply(
        &mut self,
        plan: &Plan,
        alpha: f32,
        a: Operand<'_>,
        b: Operand<'_>,
        store: Store,
        c: Operand<'_>,
        split_stride: usize,
    ) -> Result<(), VulkanError> {
        let ((m, n), k) = (c.at.shape(), a.at.cols);
        let view = |o: Operand<'_>| push::View::of(o.off, o.at);
        let push = push::Gemm {
            m: m as u32,
            n: n as u32,
            k: k as u32,
            alpha,
            a: view(a),
            b: view(b),
            c: view(c),
            add: adds(store),
            k_split: k.div_ceil(plan.splits).max(1) as u32,
            split_stride: split_stride as u32,
        };
        let kinds = [plan.lanes, a.kind as u32, b.kind as u32, c.kind as u32];
        let special =
            Special { kernel: plan.kernel, constants: [&kinds, &plan.constants[..]].concat() };
        let groups = [n.div_ceil(plan.tile.1), m.div_ceil(plan.tile.0), plan.splits];
        self.launch(special, &[a, b, c], &push, groups, 2 * m * n * k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::tests::device;

    const SINGLE: [Kind; 2] = [Kind::F32; 2];
    const HALF: [Kind; 2] = [Kind::F16; 2];

    fn kernel(kinds: [Kind; 2], sides: (usize, usize, usize)) -> (Kernel, (usize, usize)) {
        let plan = Plan::of(&device("GPU", DeviceKind::Discrete), false, kinds, sides);
        (plan.kernel, plan.tile)
    }

    #[test]
    fn tiles_follow_the_shape() {
        assert_eq!(kernel(SINGLE, (4096, 4096, 4096)), (Kernel::GemmSubgroup, (128, 128)));
        assert_eq!(kernel(SINGLE, (4096, 16, 4096)), (Kernel::Gemm, (64, 16)));
        assert_eq!(kernel(SINGLE, (16, 4096, 4096)), (Kernel::Gemm, (16, 64)));
        assert_eq!(kernel(SINGLE, (16, 16, 4096)), (Kernel::Gemm, (16, 16)));
        assert_eq!(kernel(SINGLE, (100, 100, 100)), (Kernel::Gemm, (32, 32)));
    }

    #[test]
    fn matrices_are_for_halves_alone() {
        assert_eq!(kernel(HALF, (4096, 4096, 4096)), (Kernel::GemmCoop, (128, 128)));
        assert_eq!(kernel(HALF, (100, 100, 100)), (Kernel::GemmCoop, (64, 64)));
        assert_eq!(kernel(HALF, (4096, 8, 4096)).0, Kernel::Gemm);
        assert_eq!(kernel([Kind::F16, Kind::F32], (4096, 4096, 64)).0, Kernel::GemmSubgroup);
        assert_eq!(kernel([Kind::F16, Kind::Bf16], (100, 100, 100)).0, Kernel::Gemm);
    }

    #[test]
    fn long_sums_with_few_results_are_split() {
        let splits =
            |sides| Plan::of(&device("GPU", DeviceKind::Discrete), true, SINGLE, sides).splits;
        assert_eq!(splits((16, 16, 4096)), 16);
        assert_eq!(splits((16, 16, 300)), 1);
        assert_eq!(splits((4096, 4096, 4096)), 1);
        assert_eq!(splits((0, 16, 4096)), 16);
    }

    #[test]
    fn sums_are_as_long_as_loops_may_be() {
        let mut cpu = device("llvmpipe", DeviceKind::Cpu);
        cpu.steps = 65_535;
        let splits = |k| Plan::of(&cpu, true, SINGLE, (4096, 4096, k)).splits;
        assert_eq!([50_000, 70_000, 140_000].map(splits), [1, 2, 3]);
    }

    #[test]
    fn what_a_plan_takes_is_there() {
        let mut small = device("phone", DeviceKind::Integrated);
        (small.shared, small.invocations) = (16 << 10, 128);
        for sides in [(4096, 4096, 64), (4096, 16, 64), (16, 16, 64), (100, 100, 64)] {
            for kinds in [SINGLE, HALF] {
                let plan = Plan::of(&small, false, kinds, sides);
                let fits = plan.kernel == Kernel::GemmCoop || plan.lanes <= small.invocations;
                assert!(fits, "{sides:?}: {plan:?}");
            }
        }
    }
}
