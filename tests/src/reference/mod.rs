//! The mathematics once more, in plain `f64` loops: what devices are compared with. Nothing here is
//! shared with the library.

mod attention;
mod layer;
mod norm;
pub(crate) mod phi;

pub(crate) use attention::Attend;
pub(crate) use layer::Layer;
pub(crate) use norm::normal;

/// −ln softmax(x)[label] of one row of logits.
pub(crate) fn cross_entropy(x: &[f64], label: usize) -> f64 {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + x.iter().map(|x| (x - max).exp()).sum::<f64>().ln() - x[label]
}
