//! A device that measures how long the operations of another take.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use decora_conformance::forward;
use decora_conformance::wrapper::prelude::*;

/// Calls, seconds and arithmetic, by operation and by how much arithmetic a call takes.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    all: BTreeMap<(&'static str, usize), (usize, f64)>,
    now: Option<((&'static str, usize), Instant)>,
}

impl Parts {
    /// Forgets all so far.
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    /// An operation begins. What is waited for between two is counted for the first.
    fn next(&mut self, op: &'static str, flops: usize) {
        self.end();
        self.now = Some(((op, flops), Instant::now()));
    }

    /// A step ends, and its last operation: what is waited for until the next step is nobody's.
    pub(crate) fn end(&mut self) {
        if let Some((last, begun)) = self.now.take() {
            let (calls, seconds) = self.all.entry(last).or_default();
            *calls += 1;
            *seconds += begun.elapsed().as_secs_f64();
        }
    }

    /// A table of what so many steps took, the longest first.
    pub(crate) fn table(&self, steps: usize) -> String {
        let steps = steps.max(1) as f64;
        let mut rows: Vec<_> = self.all.iter().collect();
        rows.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
        let total: f64 = rows.iter().map(|(_, (_, seconds))| seconds).sum();
        let mut text = format!("{:.1} ms a step\n", 1e3 * total / steps);
        text += "operation                  MFLOP   calls        ms  GFLOP/s\n";
        for ((op, flops), (calls, seconds)) in rows {
            let arithmetic = *flops as f64 * *calls as f64;
            text += &format!(
                "{op:<24} {:>7.1} {:>7.0} {:>9.2} {:>8.1}\n",
                *flops as f64 * 1e-6,
                *calls as f64 / steps,
                1e3 * seconds / steps,
                arithmetic / seconds * 1e-9,
            );
        }
        text
    }
}

/// A device around another that measures its operations.
#[derive(Debug)]
pub(crate) struct Timed<B> {
    inner: B,
    parts: Rc<RefCell<Parts>>,
}

impl<B> Timed<B> {
    pub(crate) fn new(inner: B, parts: Rc<RefCell<Parts>>) -> Self {
        Self { inner, parts }
    }
}

impl<B: Backend> Wrapper<B> for Timed<B> {
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
        self.parts.borrow_mut().next(cost.op, cost.flops);
        true
    }
}

impl<B: Backend> Backend for Timed<B> {
    type Scalar = B::Scalar;
    type Buf<R: Role> = B::Buf<R>;
    type Weight<'w> = B::Weight<'w>;
    type Error = B::Error;

    forward!(alloc write read weight gemm gemm_frozen gemm_adapted frozen_rows frozen_row_sq axpy
        dropout scale_rows row_dot low_rank_row_sq affine affine_grad col_sum gain gain_grad sum_sq adamw sgd);
}

impl<B: Network> Network for Timed<B> {
    forward!(activate activate_grad softmax_cross_entropy squared_error);
}

impl<B: Sequence> Sequence for Timed<B> {
    forward!(gather gather_rows gather_grad normalize normalize_grad normalize_gain_grad
        rotate gate gate_grad attention attention_grad);
}
