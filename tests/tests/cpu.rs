//! The suite on the CPU backend: portable and fast, in every scalar, and watched for writes behind
//! the ends of buffers.

use decora::scalar::{Element, Scalar};
use decora::sequence::Sequence;
use decora::{bf16, f16};
use decora_conformance::report::Report;
use decora_conformance::strict::Strict;
use decora_conformance::{
    against, each_of_backend, each_of_network, each_of_sequence, gradients, ops, suite,
};
use decora_cpu::Cpu;

suite!(portable_f32, || Cpu::<f32>::heap());
suite!(portable_f64, || Cpu::<f64>::heap());
suite!(portable_f16, || Cpu::<f16>::heap());
suite!(portable_bf16, || Cpu::<bf16>::heap());
suite!(fast_f32, || Cpu::<f32, _>::fast());
suite!(fast_f64, || Cpu::<f64, _>::fast());
suite!(fast_bf16, || Cpu::<bf16, _>::fast());
suite!(strict_f32, || Strict::new(Cpu::<f32>::heap()));

gradients!(gradients_portable, || Cpu::<f64>::heap());
gradients!(gradients_fast, || Cpu::<f64, _>::fast());
gradients!(gradients_strict, || Strict::new(Cpu::<f64>::heap()));

/// All properties in one list: what a backend author prints.
#[test]
fn the_whole_suite_as_a_table() {
    use decora_conformance::suite::{backend, network, sequence};
    let make = || Cpu::<f32>::heap();
    let reports = [backend(&make), network(&make), sequence(&make)].concat();
    println!("{}", decora_conformance::report::HEADER);
    reports.iter().for_each(|report| println!("{report}"));
    reports.iter().for_each(Report::assert_ok);
}

/// A device over memory that holds something else already.
fn used<S: Scalar>() -> Cpu<'static, S> {
    Cpu::new(vec![S::Accum::store(f64::NAN); 1 << 19].leak())
}

#[test]
fn an_arena_keeps_the_contract_for_memory() {
    fn memory<S: Scalar>() {
        ops::alloc(&used::<S>).assert_ok();
        ops::write(&used::<S>).assert_ok();
        ops::read(&used::<S>).assert_ok();
        ops::weight(&used::<S>).assert_ok();
    }
    memory::<f32>();
    memory::<f64>();
    memory::<f16>();
    memory::<bf16>();
}

macro_rules! table {
    ($module:ident: $($property:ident)*) => {
        &[$($module::$property as against::Property<_>),*]
    };
}

/// Every operation in half precision and in `f32`, element by element with the same in `f64`.
#[test]
fn operations_agree_with_those_in_f64() {
    fn agree<S: Scalar>() {
        fn all<B: Sequence>() -> Vec<against::Property<B>> {
            let of_backend: &[against::Property<B>] = each_of_backend!([table]);
            let of_network: &[against::Property<B>] = each_of_network!([table]);
            let of_sequence: &[against::Property<B>] = each_of_sequence!([table]);
            [of_backend, of_network, of_sequence].concat()
        }
        for (reference, tested) in all::<Cpu<f64>>().into_iter().zip(all::<Cpu<S>>()) {
            let numbers = against::record::<S, _>(reference, &|| Cpu::heap());
            numbers.report().assert_ok();
            let report = against::compare(tested, &|| Cpu::heap(), &numbers);
            report.assert_ok();
            assert!(report.against.is_some_and(|worst| worst.share <= 1.0), "{report}");
            assert!(report.shapes.iter().all(|shape| shape.worst.share <= report.worst.share));
        }
    }
    agree::<f32>();
    agree::<f16>();
    agree::<bf16>();
}
