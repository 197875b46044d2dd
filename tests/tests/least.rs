//! A device that implements only what it must: default bodies keep the contract.

use decora_conformance::wrapper::prelude::*;
use decora_conformance::{forward, invariants, ops};
use decora_cpu::{Cpu, CpuError};

type Host = Cpu<'static, f32>;

/// The CPU without what has a default body.
#[derive(Debug)]
struct Least(Host);

fn least() -> Least {
    Least(Cpu::heap())
}

impl Wrapper<Host> for Least {
    fn inner(&mut self) -> &mut Host {
        &mut self.0
    }

    fn lower<R: Role>(buf: &Self::Buf<R>) -> &Self::Buf<R> {
        buf
    }

    fn lower_mut<R: Role>(buf: &mut Self::Buf<R>) -> &mut Self::Buf<R> {
        buf
    }
}

impl Backend for Least {
    type Scalar = f32;
    type Buf<R: Role> = <Host as Backend>::Buf<R>;
    type Weight<'w> = <Host as Backend>::Weight<'w>;
    type Error = CpuError;

    forward!(alloc write read weight gemm gemm_frozen frozen_rows frozen_row_sq axpy dropout
        scale_rows row_dot affine affine_grad col_sum gain gain_grad sum_sq adamw sgd);
}

#[test]
fn norms_of_an_update() {
    ops::low_rank_row_sq(&least).assert_ok();
    invariants::factored_norm(&least).assert_ok();
}
