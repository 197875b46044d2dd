//! What PyTorch and PEFT computed, computed again. `golden/make.py` made the files and describes
//! every tensor in them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod file;
mod functions;
mod layer;
mod peft;
mod sequence;
mod train;
mod vectors;

use decora::scalar::{Accum, Element};

/// Fails unless every element is within `bound`·max|expected| of the expected one.
#[track_caller]
fn close<E: Element>(what: &str, found: &[E], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let largest = expected.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let f = f.load::<f64>();
        let error = (f - e).abs() / largest;
        assert!(error <= bound, "{what}[{i}]: found {f}, expected {e}, relative error {error:.1e}");
    }
}

/// The numbers in a backend's own type.
fn to<A: Accum>(x: &[f64]) -> Vec<A> {
    x.iter().map(|&x| A::of(x)).collect()
}
