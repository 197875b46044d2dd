//! Frozen weights, read in place: rows, squared norms, and what picks the kernel by the format.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::{row, row_mut};
use crate::products::Operand;

/// Calls the same generic code on the elements of whatever format a weight has.
macro_rules! each_format {
    ($format:expr, $data:ident => $call:expr) => {
        match $format {
            ::decora::frozen::Format::Bf16($data) => $call,
            ::decora::frozen::Format::F16($data) => $call,
            ::decora::frozen::Format::F32($data) => $call,
            ::decora::frozen::Format::F64($data) => $call,
            _ => return Err(crate::error::CpuError::Format),
        }
    };
}
pub(crate) use each_format;

/// Cᵢ = W₍first+i₎.
pub(crate) fn frozen_rows<A: Accum, E: Element>(
    w: Operand<'_, E>,
    first: usize,
    c: &mut [A],
    at: Layout,
) {
    for i in 0..at.rows {
        for (c, &w) in row_mut(c, at, i).iter_mut().zip(row(w.data, w.at, first + i)) {
            *c = w.load();
        }
    }
}

/// sqᵢ = Σⱼ Wᵢⱼ².
pub(crate) fn frozen_row_sq<A: Accum, E: Element>(w: Operand<'_, E>, sq: &mut [A]) {
    for (i, sq) in sq.iter_mut().enumerate().take(w.at.rows) {
        let line = row(w.data, w.at, i).iter();
        *sq = line.fold(A::default(), |sum, &w| sum + w.load::<A>() * w.load::<A>());
    }
}
