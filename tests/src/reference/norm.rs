//! Normalisations of one row.

use decora::sequence::{Norm, NormKind};

/// x̂ of one row.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    /// x̂.
    pub(crate) hat: Vec<f64>,
    /// What each x̂ is the difference of, in absolute value: r·(|x| + mean |x|).
    pub(crate) size: Vec<f64>,
    /// r = 1/√(mean square + ε).
    pub(crate) inverse: f64,
}

/// x̂ of one row.
pub(crate) fn normal(norm: Norm, x: &[f64]) -> Normal {
    let mean_of = |sum: f64| sum / x.len() as f64;
    let (mean, shift) = match norm.kind {
        NormKind::Layer => (mean_of(x.iter().sum()), mean_of(x.iter().map(|x| x.abs()).sum())),
        NormKind::Rms => (0.0, 0.0),
    };
    let square = mean_of(x.iter().map(|x| (x - mean) * (x - mean)).sum());
    let inverse = 1.0 / (square + norm.eps).sqrt();
    let hat = x.iter().map(|x| (x - mean) * inverse).collect();
    Normal { hat, size: x.iter().map(|x| (x.abs() + shift) * inverse).collect(), inverse }
}
