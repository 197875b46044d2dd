//! A device that counts what it is asked for.

use std::collections::BTreeMap;
use std::fmt;

use decora::backend::Backend;
use decora::buffer::Role;

use crate::wrapper::prelude::*;

/// A device around another that counts calls, arithmetic and bytes by operation: what a training
/// step is made of, as a table.
///
/// ```
/// use decora::backend::{Backend, Store};
/// use decora::buffer::Acc;
/// use decora::mat::{Mat, MatMut};
/// use decora_conformance::trace::Trace;
/// use decora_cpu::Cpu;
///
/// let mut be = Trace::new(Cpu::<f32>::heap());
/// let (a, b) = (be.alloc::<Acc>(6)?, be.alloc::<Acc>(12)?);
/// let mut c = be.alloc::<Acc>(8)?;
/// let (a, b) = (Mat::<_, Acc>::new(&a, 2, 3)?, Mat::<_, Acc>::new(&b, 3, 4)?);
/// let c = MatMut::<_, Acc>::new(&mut c, 2, 4)?;
/// be.gemm(1.0, a, b, Store::Replace, c)?;
/// let count = be.tally().of("gemm");
/// assert_eq!((count.calls, count.flops, count.read, count.written), (1, 48, 72, 32));
/// # Ok::<(), decora_cpu::CpuError>(())
/// ```
#[derive(Debug)]
pub struct Trace<B: Backend> {
    inner: B,
    tally: Tally,
}

/// What one operation took in all its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often it was called.
    pub calls: usize,
    /// Arithmetic, as [`Cost`] counts it.
    pub flops: usize,
    /// Bytes of operands, frozen weights not counted.
    pub read: usize,
    /// Bytes of results.
    pub written: usize,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            flops: self.flops + other.flops,
            read: self.read + other.read,
            written: self.written + other.written,
        }
    }
}

/// Counts by operation. As text: a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<&'static str, Count>,
}

impl Tally {
    /// The count of one operation.
    #[must_use]
    pub fn of(&self, op: &str) -> Count {
        self.counts.get(op).copied().unwrap_or_default()
    }

    /// The sum of all operations.
    #[must_use]
    pub fn total(&self) -> Count {
        self.counts.values().fold(Count::default(), |sum, &count| sum.plus(count))
    }

    fn add(&mut self, Cost { op, flops, read, written }: Cost) {
        let count = self.counts.entry(op).or_default();
        *count = count.plus(Count { calls: 1, flops, read, written });
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["operation", "calls", "flops", "bytes read", "bytes written"];
        let [op, calls, flops, read, written] = heads;
        writeln!(f, "{op:<24} {calls:>8} {flops:>14} {read:>14} {written:>14}")?;
        let total = self.total();
        for (op, count) in self.counts.iter().chain([(&"all", &total)]) {
            let Count { calls, flops, read, written } = count;
            writeln!(f, "{op:<24} {calls:>8} {flops:>14} {read:>14} {written:>14}")?;
        }
        Ok(())
    }
}

impl<B: Backend> Trace<B> {
    /// Counts what `inner` is asked for.
    pub fn new(inner: B) -> Self {
        Self { inner, tally: Tally::default() }
    }

    /// The counts so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Starts to count anew, and gives what was counted.
    pub fn reset(&mut self) -> Tally {
        core::mem::take(&mut self.tally)
    }
}

impl<B: Backend> Wrapper<B> for Trace<B> {
    fn inner(&mut self) -> &mut B {
        &mut self.inner
    }

    fn lower<R: Role>(buf: &B::Buf<R>) -> &B::Buf<R> {
        buf
    }

    fn lower_mut<R: Role>(buf: &mut B::Buf<R>) -> &mut B::Buf<R> {
        buf
    }

    fn before(&mut self, cost: Cost) -> bool {
        self.tally.add(cost);
        true
    }
}

impl<B: Backend> Backend for Trace<B> {
    type Scalar = B::Scalar;
    type Buf<R: Role> = B::Buf<R>;
    type Weight<'w> = B::Weight<'w>;
    type Error = B::Error;

    crate::forward!(alloc write read weight gemm gemm_frozen gemm_adapted frozen_rows frozen_row_sq axpy
        dropout scale_rows row_dot low_rank_row_sq affine affine_grad col_sum gain gain_grad sum_sq adamw sgd);
}

impl<B: Network> Network for Trace<B> {
    crate::forward!(activate activate_grad softmax_cross_entropy squared_error);
}

impl<B: Sequence> Sequence for Trace<B> {
    crate::forward!(gather gather_rows gather_grad normalize normalize_grad normalize_gain_grad
        rotate gate gate_grad attention attention_grad);
}

#[cfg(test)]
mod tests {
    use decora::adapter::Pass;
    use decora::spec::Spec;
    use decora_cpu::Cpu;

    use super::*;
    use crate::ops::{Kind, Stored};
    use crate::rig::Rig;

    /// Products with W, with W and an update, and others, of one forward pass.
    fn products(
        be: &mut Trace<Cpu<'static, f32>>,
        rig: &mut Rig<'_, Trace<Cpu<'static, f32>>>,
    ) -> [usize; 3] {
        be.reset();
        assert!(rig.forward(be, &[0.5; 6], Pass::Eval).is_ok());
        ["gemm_frozen", "gemm_adapted", "gemm"].map(|op| be.tally().of(op).calls)
    }

    #[test]
    fn norms_are_computed_once_for_each_change() {
        let w = Stored::painted(Kind::F32, 4, 3, 1);
        for (spec, changed, unchanged) in
            [(Spec::lora(2, 1.0), [0, 1, 1], [0, 1, 1]), (Spec::dora(2, 1.0), [1, 1, 2], [0, 1, 1])]
        {
            let mut be = Trace::new(Cpu::<f32>::heap());
            let Ok(mut rig) = Rig::new(&mut be, &w, None, spec, 2) else { panic!("{spec:?}") };
            assert!(rig.stir(&mut be).is_ok());
            assert_eq!(products(&mut be, &mut rig), changed, "{spec:?} after a change");
            assert_eq!(products(&mut be, &mut rig), unchanged, "{spec:?} without one");
            assert_eq!(be.tally().of("frozen_row_sq"), Count::default(), "once for ever");
        }
    }

    #[test]
    fn a_table_ends_with_the_sum() {
        let mut be = Trace::new(Cpu::<f32>::heap());
        let buf = be.alloc::<Acc>(3).map(|_| be.alloc::<Index>(2));
        assert!(buf.is_ok());
        let text = be.tally().to_string();
        let last = text.lines().last().map(|l| l.split_whitespace().collect::<Vec<_>>());
        assert_eq!(last, Some(vec!["all", "2", "0", "0", "20"]), "{text}");
    }
}
