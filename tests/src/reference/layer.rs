//! One adapted layer.

use decora::backend::Dropout;
use decora::param::Slot;
use decora::spec::{Spec, Update};

use crate::ops::keeps;

/// A linear layer W `(out, in)`, b with its adapter: y = (x − x̃)·Wᵀ + g⊙(x̃·Vᵀ) + b.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) out: usize,
    pub(crate) inputs: usize,
    pub(crate) w: Vec<f64>,
    /// The frozen bias.
    pub(crate) bias: Option<Vec<f64>>,
    pub(crate) spec: Spec,
    /// What is trained.
    pub(crate) params: Vec<(Slot, Vec<f64>)>,
}

impl Layer {
    /// The trained numbers of one kind; empty when there are none.
    pub(crate) fn param(&self, slot: Slot) -> &[f64] {
        self.params.iter().find(|(s, _)| *s == slot).map_or(&[], |(_, values)| values)
    }

    /// Vᵢⱼ, and the sum of the absolute values of what it is made of.
    pub(crate) fn v(&self, i: usize, j: usize) -> (f64, f64) {
        let (r, w) = (self.spec.rank(), self.w[i * self.inputs + j]);
        match self.spec.update {
            Update::Dense => {
                let v = self.param(Slot::Weight)[i * self.inputs + j];
                (v, v.abs())
            }
            Update::LowRank { .. } => {
                let (a, b) = (self.param(Slot::LoraA), self.param(Slot::LoraB));
                let root = if self.spec.rslora { (r as f64).sqrt() } else { r as f64 };
                let s = self.spec.alpha / root;
                let terms = (0..r).map(|k| s * b[i * r + k] * a[k * self.inputs + j]);
                terms.fold((w, w.abs()), |(v, sum), t| (v + t, sum + t.abs()))
            }
            _ => (w, w.abs()),
        }
    }

    /// ‖Vᵢ‖, and the sum of the squares of what V is made of.
    pub(crate) fn norm(&self, i: usize) -> (f64, f64) {
        let squares = (0..self.inputs).map(|j| self.v(i, j));
        let (sq, sum) =
            squares.fold((0.0, 0.0), |(sq, sum), (v, size)| (sq + v * v, sum + size * size));
        (sq.sqrt(), sum)
    }

    /// gᵢ = mᵢ/nᵢ: 1 without a magnitude, and for a row that is zero.
    pub(crate) fn gain(&self, i: usize, n: f64) -> f64 {
        let row = &self.w[i * self.inputs..][..self.inputs];
        let zero = row.iter().all(|&w| w == 0.0) || n == 0.0;
        if zero || !self.spec.magnitude { 1.0 } else { self.param(Slot::Magnitude)[i] / n }
    }

    /// The norms of all rows of V.
    pub(crate) fn norms(&self) -> Vec<f64> {
        (0..self.out).map(|i| self.norm(i).0).collect()
    }

    /// y, `(rows, out)`, with `norms` in place of those of V.
    pub(crate) fn forward(&self, x: &[f64], norms: &[f64], drop: Option<Dropout>) -> Vec<f64> {
        let trained = self.param(Slot::Bias);
        let bias = if trained.is_empty() { self.bias.as_deref() } else { Some(trained) };
        let mut y = Vec::new();
        for (t, x) in x.chunks(self.inputs).enumerate() {
            for (i, &n) in norms.iter().enumerate() {
                let g = self.gain(i, n);
                let terms = x.iter().enumerate().map(|(j, &x)| {
                    let seen = masked(drop, t * self.inputs + j, x);
                    (x - seen) * self.w[i * self.inputs + j] + g * seen * self.v(i, j).0
                });
                y.push(terms.sum::<f64>() + bias.map_or(0.0, |b| b[i]));
            }
        }
        y
    }

    /// How much larger than n² its terms are, plus 1: what a rounding in ‖V‖² counts for in g.
    pub(crate) fn condition(&self, i: usize) -> f64 {
        let (n, sum) = self.norm(i);
        if self.spec.magnitude && n > 0.0 { 1.0 + sum / (n * n) } else { 1.0 }
    }

    /// The sum of the absolute values of all that y[t, i] is made of, without dropout.
    pub(crate) fn size(&self, x: &[f64], t: usize, i: usize) -> f64 {
        let g = self.gain(i, self.norm(i).0).abs() * self.condition(i);
        let row = &x[t * self.inputs..][..self.inputs];
        let sum: f64 = row.iter().enumerate().map(|(j, x)| x.abs() * self.v(i, j).1).sum();
        g * sum + self.bias.as_ref().map_or(0.0, |b| b[i].abs())
    }
}

/// x̃ = mask⊙x/(1 − p).
fn masked(drop: Option<Dropout>, index: usize, x: f64) -> f64 {
    match drop {
        Some(drop) if keeps(drop, index as u32) => x / (1.0 - drop.p),
        Some(_) => 0.0,
        None => x,
    }
}
