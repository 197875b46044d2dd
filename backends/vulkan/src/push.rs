//! Push constants: the arguments of the kernels, word for word as the shaders declare them.

use bytemuck::{Pod, Zeroable};
use decora::mat::Layout;

/// A matrix whose columns are adjacent: element (i, j) at `off + i·rs + j`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct Rows {
    pub(crate) off: u32,
    pub(crate) rs: u32,
}

/// A matrix: element (i, j) at `off + i·rs + j·cs`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct View {
    pub(crate) off: u32,
    pub(crate) rs: u32,
    pub(crate) cs: u32,
}

impl Rows {
    /// The layout of a matrix whose first element is number `off` of what is bound.
    pub(crate) fn of(off: u32, at: Layout) -> Self {
        Self { off, rs: at.rs as u32 }
    }
}

impl View {
    /// As [`Rows::of`].
    pub(crate) fn of(off: u32, at: Layout) -> Self {
        Self { off, rs: at.rs as u32, cs: at.cs as u32 }
    }
}

macro_rules! push {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* })*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Pod, Zeroable)]
            pub(crate) struct $name { $(pub(crate) $field: $type),* }
        )*
    };
}

push! {
    /// A `(m, k)`, B `(k, n)`, C `(m, n)`; the sum in parts of `k_split`, each `split_stride` after
    /// the one before it.
    Gemm {
        m: u32, n: u32, k: u32, alpha: f32, a: View, b: View, c: View,
        add: u32, k_split: u32, split_stride: u32
    }
    Reduce { rows: u32, cols: u32, splits: u32, stride: u32, alpha: f32, z: View, add: u32 }
    Total { len: u32, alpha: f32, add: u32 }
    Axpy { rows: u32, cols: u32, x: Rows, y: Rows, alpha: f32, add: u32 }
    Dropout {
        rows: u32, cols: u32, x: Rows, y: Rows, scale: f32, add: u32,
        threshold: u32, seed_lo: u32, seed_hi: u32
    }
    ScaleRows { rows: u32, cols: u32, d: Rows, c: Rows }
    RowDot { rows: u32, cols: u32, a: Rows, b: Rows, alpha: f32, add: u32, to: u32 }
    Affine { rows: u32, cols: u32, z: Rows, y: Rows, add: u32, has_g: u32, has_b: u32 }
    AffineGrad { rows: u32, cols: u32, z: Rows, dy: Rows, rows_per_block: u32 }
    ColSum { rows: u32, cols: u32, x: Rows, rows_per_block: u32 }
    Gain { len: u32 }
    GainGrad { len: u32, add: u32 }
    SumSq { len: u32, per_group: u32 }
    Adamw {
        len: u32, beta1: f32, beta2: f32, eps: f32, decay: f32, rate: f32, root: f32,
        max: f32, clip: u32
    }
    Sgd { len: u32, rate: f32, momentum: f32, decay: f32, max: f32, clip: u32, has_u: u32 }
    Activate { rows: u32, cols: u32, y: Rows }
    ActivateGrad { rows: u32, cols: u32, kept: Rows, dy: Rows }
    SoftmaxCrossEntropy { rows: u32, cols: u32, x: Rows, scale: f32 }
    SquaredError { rows: u32, cols: u32, x: Rows, t: Rows, scale: f32, per_group: u32 }
    Gather {
        rows: u32, cols: u32, w: Rows, y: Rows, first: u32, count: u32, total: u32, add: u32,
        clear: u32
    }
    Occurrences { len: u32 }
    GatherGrad { rows: u32, cols: u32, count: u32, dy: Rows, table: Rows }
    Normalize { rows: u32, cols: u32, x: Rows, y: Rows, layer: u32, eps: f32, has_beta: u32 }
    NormalizeGrad {
        rows: u32, cols: u32, x: Rows, dy: Rows, dx: Rows, layer: u32, eps: f32, add: u32
    }
    Moments { rows: u32, cols: u32, x: Rows, layer: u32, eps: f32 }
    NormalizeGainGrad { rows: u32, cols: u32, x: Rows, dy: Rows, rows_per_block: u32 }
    Rotate {
        rows: u32, pairs: u32, half_head: u32, places: u32, x: Rows, table: Rows, turn: f32
    }
    Gate { rows: u32, cols: u32, g: Rows, u: Rows, y: Rows }
    GateGrad { rows: u32, cols: u32, dy: Rows, g: Rows, u: Rows }
    AttentionDots { rows: u32, heads: u32, dim: u32, o: Rows, d_o: Rows }
    /// For the rows `first` to `end` of the side that is dealt out to workgroups, and all of the other side,
    /// in parts of `share` rows; R and what there is beside it are the results.
    Attention {
        first: u32, end: u32, others: u32, heads: u32, kv_heads: u32, dim: u32, scale: f32,
        share: u32, parts: u32, q: Rows, k: Rows, v: Rows, d_o: Rows, r: Rows, r_too: Rows
    }
    AttentionMerge { first: u32, rows: u32, heads: u32, dim: u32, parts: u32, o: Rows }
}
