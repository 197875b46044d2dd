//! The suite can fail: each of these devices is wrong in one way, and is caught.

mod fault;
mod mutant;
mod queue;
mod sequence;

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use decora::backend::{Backend, Store};
use decora::buffer::Acc;
use decora::mat::{Mat, MatMut};
use decora::scalar::Scalar;
use decora::{bf16, f16};
use decora_conformance::against::{self, Property};
use decora_conformance::strict::Strict;
use decora_conformance::{
    each_of_backend, each_of_network, each_of_sequence, gradient, invariants, ops,
};
use decora_cpu::Cpu;

use fault::Fault;
use mutant::Mutant;
use queue::{Missing, Queue};

macro_rules! table {
    ($module:ident: $($property:ident)*) => {
        vec![$((stringify!($property), $module::$property as Property<Mutant<f32>>)),*]
    };
}

/// Every property that belongs to a method.
fn properties() -> Vec<(&'static str, Property<Mutant<f32>>)> {
    [each_of_backend!([table]), each_of_network!([table]), each_of_sequence!([table])].concat()
}

fn failed<T: Scalar>(property: Property<Mutant<T>>, fault: Fault) -> bool {
    !property(&|| Mutant::with(fault)).ok()
}

#[test]
fn without_a_fault_nothing_is_caught() {
    for (name, property) in properties() {
        assert!(!failed(property, Fault::Nothing), "{name}: a sound device is refused");
    }
}

/// No property passes when its operation is never done. What `alloc` and `weight` give cannot be
/// left out.
#[test]
fn an_operation_that_is_never_done() {
    for (name, property) in properties() {
        if !matches!(name, "alloc" | "weight") {
            assert!(failed(property, Fault::Skips(name)), "{name} is never done");
        }
    }
}

#[test]
fn each_fault_is_caught_by_the_property_of_its_operation() {
    let caught: [(Fault, Property<Mutant<f32>>); 24] = [
        (Fault::DirtyMemory, ops::alloc),
        (Fault::KeepsOld("gemm"), ops::gemm),
        (Fault::KeepsOld("gemm_frozen"), ops::gemm_frozen),
        (Fault::KeepsOld("gemm_adapted"), ops::gemm_adapted),
        (Fault::KeepsOld("axpy"), ops::axpy),
        (Fault::KeepsOld("dropout"), ops::dropout),
        (Fault::KeepsOld("row_dot"), ops::row_dot),
        (Fault::KeepsOld("affine"), ops::affine),
        (Fault::KeepsOld("col_sum"), ops::col_sum),
        (Fault::SwapsStrides, ops::gemm),
        (Fault::ShortSum, ops::gemm),
        (Fault::SwapsSides, ops::gemm_frozen),
        (Fault::SwapsSides, ops::gemm_adapted),
        (Fault::ForgetsBias, ops::affine),
        (Fault::GainTwice, ops::affine_grad),
        (Fault::WritesBehind, ops::row_dot),
        (Fault::ForgetsSquare, ops::low_rank_row_sq),
        (Fault::LoosensBound, ops::scale_rows),
        (Fault::ForgetsScale, ops::dropout),
        (Fault::HalfTheSeed, ops::dropout),
        (Fault::ForgetsFirst, ops::frozen_rows),
        (Fault::ForgetsClip, ops::adamw),
        (Fault::AcceptsMisfits, ops::scale_rows),
        (Fault::Undecided, ops::col_sum),
    ];
    for (fault, property) in caught {
        assert!(failed(property, fault), "{fault:?} is not caught");
    }
}

#[test]
fn each_fault_on_sequences_is_caught_by_the_property_of_its_operation() {
    let caught: [(Fault, Property<Mutant<f32>>); 29] = [
        (Fault::KeepsOld("gather"), ops::gather),
        (Fault::KeepsOld("gather_rows"), ops::gather_rows),
        (Fault::KeepsOld("gather_grad"), ops::gather_grad),
        (Fault::KeepsOld("normalize_grad"), ops::normalize_grad),
        (Fault::KeepsOld("normalize_gain_grad"), ops::normalize_gain_grad),
        (Fault::NearestRow, ops::gather),
        (Fault::NearestRow, ops::gather_rows),
        (Fault::NearestRow, ops::gather_grad),
        (Fault::NearestRow, ops::rotate),
        (Fault::OverwritesRepeats, ops::gather_grad),
        (Fault::ForgetsEps, ops::normalize),
        (Fault::ForgetsEps, ops::normalize_grad),
        (Fault::ForgetsEps, ops::normalize_gain_grad),
        (Fault::AlwaysRms, ops::normalize),
        (Fault::AlwaysRms, ops::normalize_grad),
        (Fault::AlwaysRms, ops::normalize_gain_grad),
        (Fault::ForgetsBias, ops::normalize),
        (Fault::PairsNeighbours, ops::rotate),
        (Fault::TurnsAhead, ops::rotate),
        (Fault::SwapsGate, ops::gate),
        (Fault::IgnoresStart, ops::attention),
        (Fault::IgnoresStart, ops::attention_grad),
        (Fault::SeesEnd, ops::attention),
        (Fault::SeesEnd, ops::attention_grad),
        (Fault::HeadsInTurn, ops::attention),
        (Fault::LogTwo, ops::attention),
        (Fault::ForgetsMax, ops::attention),
        (Fault::ForgetsScaleOfKeys, ops::attention_grad),
        (Fault::LastHeadOnly, ops::attention_grad),
    ];
    for (fault, property) in caught {
        assert!(failed(property, fault), "{fault:?} is not caught");
    }
}

#[test]
fn faults_show_in_adapters_and_gradients_too() {
    let caught: [(Fault, Property<Mutant<f64>>); 12] = [
        (Fault::ForgetsBias, invariants::merged_is_forward),
        (Fault::Skips("affine_grad"), invariants::exact_is_orthogonal),
        (Fault::ForgetsFirst, invariants::merged_is_forward),
        (Fault::KeepsOld("gemm"), invariants::micro_batches),
        (Fault::ForgetsSquare, invariants::factored_norm),
        (Fault::GainTwice, gradient::layer_gradient),
        (Fault::ForgetsBias, gradient::mlp_gradient),
        (Fault::OverwritesRepeats, gradient::table_gradient),
        (Fault::AlwaysRms, gradient::normalize_gradient),
        (Fault::TurnsAhead, gradient::rotate_gradient),
        (Fault::SwapsGate, gradient::gate_gradient),
        (Fault::ForgetsScaleOfKeys, gradient::attention_gradient),
    ];
    for (fault, property) in caught {
        assert!(failed(property, fault), "{fault:?} is not caught");
    }
}

/// An activation is the nearest one to the result, not the next towards 0.
#[test]
fn digits_that_are_dropped() {
    fn dropped<T: Scalar>() {
        assert!(!failed::<T>(ops::axpy, Fault::Nothing), "{}: rounding is refused", T::NAME);
        assert!(failed::<T>(ops::axpy, Fault::Truncates), "{}: truncation is not caught", T::NAME);
    }
    dropped::<f16>();
    dropped::<bf16>();
}

/// The panic of an operation that wrote behind a buffer.
fn guarded(fault: Fault, run: impl Fn(&mut Strict<Mutant<f32>>)) -> String {
    let mut be = Strict::new(Mutant::with(fault));
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&mut be))) else { return String::new() };
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

/// A vector, or a matrix, of exactly its length: only the guard behind it can tell.
#[test]
fn a_write_behind_a_buffer_is_caught_by_its_guard() {
    let dot = |be: &mut Strict<Mutant<f32>>| {
        let (Ok(a), Ok(mut out)) = (be.alloc::<Acc>(6), be.alloc::<Acc>(3)) else { return };
        let a = Mat { buf: &a, at: decora::mat::Layout::row_major(0, 3, 2) };
        assert!(be.row_dot(1.0, a, a, Store::Replace, &mut out).is_ok());
    };
    let scale = |be: &mut Strict<Mutant<f32>>| {
        let (Ok(d), Ok(mut c)) = (be.alloc::<Acc>(3), be.alloc::<Acc>(6)) else { return };
        let d = Mat { buf: &d, at: decora::mat::Layout::row_major(0, 3, 1) };
        let c = MatMut { buf: &mut c, at: decora::mat::Layout::row_major(0, 3, 2) };
        assert!(be.scale_rows(d, c).is_ok());
    };
    let text = guarded(Fault::WritesBehind, dot);
    assert!(text.contains("row_dot wrote 0.0 at 3 of a buffer of 3 elements"), "{text}");
    let text = guarded(Fault::LoosensBound, scale);
    assert!(text.contains("scale_rows wrote 0.5 at 6 of a buffer of 6 elements"), "{text}");
    assert_eq!((guarded(Fault::Nothing, dot), guarded(Fault::Nothing, scale)), Default::default());
}

/// A queue keeps the contract with all of its barriers, and is caught without one of them.
#[test]
fn a_barrier_that_is_missing() {
    let operations: [Property<Queue>; 5] =
        [ops::alloc, ops::write, ops::read, ops::gemm, ops::axpy];
    for property in operations {
        property(&|| Queue::without(Missing::Nothing)).assert_ok();
    }
    let caught = |property: Property<Queue>, missing| !property(&|| Queue::without(missing)).ok();
    for missing in [Missing::ReadAfterWrite, Missing::WriteAfterRead, Missing::WriteAfterWrite] {
        assert!(caught(ops::read, missing), "{missing:?} is not caught");
    }
    assert!(caught(ops::gemm, Missing::ReadAfterWrite), "operands that have not landed");
}

/// A second opinion that is wrong, or about something else, is not agreed with.
#[test]
fn a_reference_that_is_wrong() {
    let sound = || Cpu::<f32>::heap();
    let reference = |fault| {
        let numbers = against::record::<f32, _>(ops::affine, &|| Mutant::<f64>::with(fault));
        against::compare(ops::affine, &sound, &numbers)
    };
    reference(Fault::Nothing).assert_ok();
    let report = reference(Fault::ForgetsBias);
    let worst = report.against.map_or(0.0, |worst| worst.share);
    assert!(!report.ok() && report.worst.share <= 1.0 && worst > 1.0, "{report}");
    assert!(report.failures.iter().any(|text| text.contains("reference")), "{report:?}");

    let other = against::record::<f32, _>(ops::axpy, &|| Cpu::<f64>::heap());
    assert!(!against::compare(ops::affine, &sound, &other).ok(), "numbers of another property");
}

/// The comparison sees what plain loops see: here a device that drops digits.
#[test]
fn a_fault_shows_against_a_reference() {
    let numbers = against::record::<f16, _>(ops::axpy, &|| Cpu::<f64>::heap());
    let report = against::compare(ops::axpy, &|| Mutant::<f16>::with(Fault::Truncates), &numbers);
    assert!(report.against.is_some_and(|worst| worst.share > 1.0), "{report}");
}
