//! The kernels: which shader, which bindings, which push constants.

use crate::hazard::Access;
use crate::push;

/// The SPIR-V of one kernel.
#[derive(Debug)]
pub(crate) enum Code {
    /// For devices with 16-bit storage, and for those without, where every element is a word.
    Storage {
        /// With it.
        halves: &'static [u8],
        /// Without it.
        words: &'static [u8],
    },
    /// By the type of half-precision operands.
    Matrices {
        /// f16.
        f16: &'static [u8],
        /// bf16.
        bf16: &'static [u8],
    },
}

macro_rules! spirv {
    ($stem:literal, $variant:literal) => {
        include_bytes!(concat!("../shaders/spv/", $stem, ".", $variant, ".spv"))
    };
}

macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident $stem:literal $code:ident [$($access:ident)*] $push:ty;)*) => {
        /// A kernel, named after its shader.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Kernel { $($(#[$doc])* $name),* }

        impl Kernel {
            /// Every kernel.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The file name of its shader, and its name in profiles.
            pub(crate) const fn stem(self) -> &'static str {
                match self { $(Self::$name => $stem),* }
            }

            /// What it does to each of its bindings.
            pub(crate) const fn bindings(self) -> &'static [Access] {
                match self { $(Self::$name => &[$(kernels!(@access $access)),*]),* }
            }

            /// Bytes of its push constants.
            pub(crate) const fn push(self) -> usize {
                match self { $(Self::$name => size_of::<$push>()),* }
            }

            pub(crate) const fn code(self) -> Code {
                match self { $(Self::$name => kernels!(@code $code $stem)),* }
            }
        }
    };
    (@access read) => { Access::Read };
    (@access write) => { Access::Write };
    (@code storage $stem:literal) => {
        Code::Storage { halves: spirv!($stem, "halves"), words: spirv!($stem, "words") }
    };
    (@code matrices $stem:literal) => {
        Code::Matrices { f16: spirv!($stem, "f16"), bf16: spirv!($stem, "bf16") }
    };
}

kernels! {
    /// Y = φ(Y).
    Activate "activate" storage [write] push::Activate;
    /// dY = dY⊙φ'.
    ActivateGrad "activate_grad" storage [read write] push::ActivateGrad;
    /// One AdamW update.
    Adamw "adamw" storage [read write write write read] push::Adamw;
    /// Y = g⊙Z + b.
    Affine "affine" storage [read read read write] push::Affine;
    /// dY = g⊙dY, and partial sums of dY⊙Z.
    AffineGrad "affine_grad" storage [read read write write] push::AffineGrad;
    /// O and lse.
    Attention "attention" storage [read read read read write write] push::Attention;
    /// D = Σ dO⊙O.
    AttentionDots "attention_dots" storage [read read write] push::AttentionDots;
    /// dK and dV.
    AttentionKeys "attention_keys" storage
        [read read read read read read read write write] push::Attention;
    /// O and lse, from those of parts of the keys.
    AttentionMerge "attention_merge" storage [read read write write] push::AttentionMerge;
    /// dQ.
    AttentionQueries "attention_queries" storage
        [read read read read read read read write] push::Attention;
    /// Y = α·X.
    Axpy "axpy" storage [read write] push::Axpy;
    /// Partial sums of columns.
    ColSum "col_sum" storage [read write] push::ColSum;
    /// Y = mask⊙X/(1 − p).
    Dropout "dropout" storage [read write] push::Dropout;
    /// n and g.
    Gain "gain" storage [read read write write write] push::Gain;
    /// dm and c.
    GainGrad "gain_grad" storage [read read read read write write] push::GainGrad;
    /// Y = φ(G)⊙U.
    Gate "gate" storage [read read write] push::Gate;
    /// dG and dU.
    GateGrad "gate_grad" storage [read write write] push::GateGrad;
    /// Rows of a table, or of a part of it.
    Gather "gather" storage [read read write] push::Gather;
    /// Sums of rows, added to those of a table.
    GatherGrad "gather_grad" storage [read read read write] push::GatherGrad;
    /// C = α·A·B on any device.
    Gemm "gemm" storage [read read write] push::Gemm;
    /// C = α·A·B with cooperative matrices.
    GemmCoop "gemm_coop" matrices [read read write] push::Gemm;
    /// C = α·A·B in large tiles, arranged by subgroups.
    GemmSubgroup "gemm_subgroup" storage [read read write] push::Gemm;
    /// Mean and 1/√(mean square + ε) of each row.
    Moments "moments" storage [read write] push::Moments;
    /// Y = γ⊙X̂ + β.
    Normalize "normalize" storage [read read read write] push::Normalize;
    /// Partial sums of dY⊙X̂.
    NormalizeGainGrad "normalize_gain_grad" storage
        [read read read write] push::NormalizeGainGrad;
    /// dX of a normalisation.
    NormalizeGrad "normalize_grad" storage [read read read write] push::NormalizeGrad;
    /// Which ids are equal.
    Occurrences "occurrences" storage [read write] push::Occurrences;
    /// Sums of partial results, element by element.
    Reduce "reduce" storage [read write] push::Reduce;
    /// Heads turned by their positions.
    Rotate "rotate" storage [write read read] push::Rotate;
    /// outᵢ = α·Σₖ Aᵢₖ·Bᵢₖ.
    RowDot "row_dot" storage [read read write] push::RowDot;
    /// C = diag(d)·C.
    ScaleRows "scale_rows" storage [read write] push::ScaleRows;
    /// One SGD update.
    Sgd "sgd" storage [read write write read] push::Sgd;
    /// The loss of each row, and its gradient.
    SoftmaxCrossEntropy "softmax_cross_entropy" storage [write read write] push::SoftmaxCrossEntropy;
    /// Partial sums of (X − T)², and their gradient.
    SquaredError "squared_error" storage [write read write] push::SquaredError;
    /// Partial sums of x².
    SumSq "sum_sq" storage [read write] push::SumSq;
    /// The sum of a vector.
    Total "total" storage [read write] push::Total;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_constants_fit_every_device() {
        let large: Vec<_> = Kernel::ALL.iter().filter(|k| k.push() > 128).collect();
        assert!(large.is_empty(), "Vulkan promises 128 bytes: {large:?}");
    }

    #[test]
    fn every_kernel_writes_something() {
        let idle = |k: &&Kernel| !k.bindings().contains(&Access::Write);
        assert_eq!(Kernel::ALL.iter().find(idle), None);
    }
}
