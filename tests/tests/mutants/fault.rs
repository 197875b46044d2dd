//! What can be wrong with a device.

/// What a device does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing: what shows that the others are caught for their fault.
    Nothing,
    /// The operation of this name is answered, and not done.
    Skips(&'static str),
    /// Memory comes with a 1 in it.
    DirtyMemory,
    /// The operation of this name reads an output that it is to replace: a NaN there stays.
    KeepsOld(&'static str),
    /// gemm takes the strides of a square A the wrong way round.
    SwapsStrides,
    /// gemm leaves out the last step of long sums.
    ShortSum,
    /// `gemm_frozen` computes W·Aᵀ for square W where A·Wᵀ is asked for.
    SwapsSides,
    /// affine leaves out b.
    ForgetsBias,
    /// `affine_grad` multiplies by g twice.
    GainTwice,
    /// `row_dot` writes one element more than there are rows: i ≤ m where i < m is meant.
    WritesBehind,
    /// `low_rank_row_sq` leaves out what is quadratic in B.
    ForgetsSquare,
    /// `scale_rows` writes one element more than the last row has.
    LoosensBound,
    /// axpy drops digits that do not fit an activation, where it should round.
    Truncates,
    /// dropout does not scale what it keeps.
    ForgetsScale,
    /// dropout uses half of the seed.
    HalfTheSeed,
    /// `frozen_rows` begins with row 0, always.
    ForgetsFirst,
    /// adamw does not clip.
    ForgetsClip,
    /// `scale_rows` accepts what does not fit.
    AcceptsMisfits,
    /// `col_sum` comes out another way on every other device.
    Undecided,
    /// Numbers beyond the last row of a table, or position, are taken for the last.
    NearestRow,
    /// `gather_grad` keeps what the last row with a number gives, not the sum.
    OverwritesRepeats,
    /// Norms leave out ε.
    ForgetsEps,
    /// Norms leave the mean in.
    AlwaysRms,
    /// rotate turns columns 2j and 2j + 1 as a pair, not those a half apart.
    PairsNeighbours,
    /// rotate turns ahead, always.
    TurnsAhead,
    /// gate computes φ(U)⊙G.
    SwapsGate,
    /// Attention sees all keys up to the end.
    IgnoresStart,
    /// Attention sees the key at the end as well.
    SeesEnd,
    /// Head h of a query sees head h mod `kv_heads` of a key.
    HeadsInTurn,
    /// attention gives sums as powers of 2.
    LogTwo,
    /// attention computes exp(score), and not exp(score − max).
    ForgetsMax,
    /// `attention_grad` leaves the scale out of dK.
    ForgetsScaleOfKeys,
    /// `attention_grad` keeps what the last of the heads that share keys gives, not the sum.
    LastHeadOnly,
}
