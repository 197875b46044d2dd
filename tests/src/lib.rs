//! The suite that decides whether a device keeps the contract of `decora`: the traits
//! [`Backend`](decora::backend::Backend) and [`Network`](decora::network::Network).
//!
//! # For those who write a backend
//!
//! 1. Implement `Backend` for a type of your own: a device, its buffers, its frozen weights and
//!    its errors. Begin with `alloc`, `write`, `read` and `gemm`; leave the others `todo!()`.
//! 2. Let the suite run in a test file of your crate. Every property is a test of its own, with the
//!    name of the method it is about, so that `cargo test gemm` shows how far you are:
//!
//!    ```
//!    # use decora_cpu::Cpu;
//!    // tests/conformance.rs; the closure makes a fresh device
//!    decora_conformance::suite!(mine_f32, || Cpu::<f32>::heap());
//!    decora_conformance::suite!(mine_f16, || Cpu::<decora::f16>::heap());
//!    ```
//!
//! 3. A failure names the operation, the case (shapes, views, roles), the element, what was found,
//!    what was expected, and the bound. On a target without a test harness, call the properties
//!    yourself: they are functions that answer with a [`Report`](report::Report).
//!
//!    ```
//!    # use decora_cpu::Cpu;
//!    let report = decora_conformance::ops::gemm(&|| Cpu::<f32>::heap());
//!    println!("{}\n{report}", decora_conformance::report::HEADER);
//!    assert!(report.ok());
//!    ```
//!
//! 4. Run it once more round [`Strict`](strict::Strict), which watches what lies behind every
//!    buffer, and, if your device has `f64`, add `gradients!(mine, || device)`.
//! 5. [`Trace`](trace::Trace) counts what a training step asks of the device: where to look when
//!    it is slow.
//!
//! # What is tried
//!
//! - Every method ([`ops`]), in sizes of one, primes, around tiles of 4, 16 and 64, tall, wide and
//!   empty; products with any strides. Inputs are painted, so that swapped indices show; gaps in
//!   them are NaN. Outputs hold NaN before [`Store::Replace`](decora::backend::Store), and what
//!   lies around them must stay as it was. Vectors lie in longer buffers. What does not fit must be
//!   refused with nothing written. Everything runs on two fresh devices and must come out the same,
//!   bit for bit.
//! - What holds for adapters whatever the device ([`invariants`]).
//! - Gradients against central differences ([`gradient`]).
//!
//! Results are compared with plain loops in `f64`, never with another backend, and within the bounds
//! of one table ([`tolerance`]).
#![forbid(unsafe_code)]

mod expected;
mod forward;
mod forward_whole;
pub mod gradient;
pub mod invariants;
pub mod ops;
pub mod paint;
mod reference;
pub mod report;
mod rig;
pub mod strict;
pub mod suite;
pub mod tolerance;
pub mod trace;
mod trial;
pub mod wrapper;

pub use trial::Make;
