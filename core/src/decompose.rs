//! What a method changes: magnitudes and directions, as the DoRA paper measures them.

use crate::scalar::{Accum, Scalar};

/// ΔM and ΔD between two weights of the same shape (Liu et al. 2024, eq. 3 and 4):
///
/// ΔM = mean of |‖vᵢ‖ − ‖wᵢ‖|, ΔD = mean of 1 − cos(vᵢ, wᵢ), over rows i.
///
/// Rows are pushed one by one, so that neither weight need be whole in memory. Sums in `f64`.
/// A row that is zero in either weight has no direction, and counts as ΔD = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Deviation {
    magnitude: f64,
    direction: f64,
    rows: usize,
}

impl Deviation {
    /// Counts one more row: w before, v after.
    pub fn push<S: Scalar>(&mut self, w: &[S], v: &[S]) {
        let (mut ww, mut vv, mut wv) = (0.0, 0.0, 0.0);
        for (w, v) in w.iter().zip(v) {
            let (w, v) = (w.widen().f64(), v.widen().f64());
            (ww, vv, wv) = (ww + w * w, vv + v * v, wv + w * v);
        }
        let (w, v) = (libm::sqrt(ww), libm::sqrt(vv));
        self.magnitude += (v - w).abs();
        if w > 0.0 && v > 0.0 {
            self.direction += 1.0 - wv / (w * v);
        }
        self.rows += 1;
    }

    /// ΔM.
    #[must_use]
    pub fn magnitude(&self) -> f64 {
        self.magnitude / self.rows.max(1) as f64
    }

    /// ΔD.
    #[must_use]
    pub fn direction(&self) -> f64 {
        self.direction / self.rows.max(1) as f64
    }
}

/// Pearson's correlation of pairs (x, y); `None` when either does not vary or a value is not finite.
#[must_use]
pub fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (mx, my) = pairs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (dx, dy) = (x - mx, y - my);
        (xx, yy, xy) = (xx + dx * dx, yy + dy * dy, xy + dx * dy);
    }
    let r = xy / libm::sqrt(xx * yy);
    r.is_finite().then_some(r)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_row_and_a_doubled_row() {
        let mut d = Deviation::default();
        d.push(&[1.0f32, 0.0], &[0.0, 1.0]);
        d.push(&[3.0f32, 4.0], &[6.0, 8.0]);
        d.push(&[0.0f32, 0.0], &[0.0, 0.0]);
        d.push(&[0.0f32, 2.0], &[0.0, 2.0]);
        assert_eq!((d.magnitude(), d.direction()), (5.0 / 4.0, 1.0 / 4.0));
    }

    #[test]
    fn correlations_known_in_advance() {
        assert_eq!(correlation(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(1.0));
        assert_eq!(correlation(&[(0.0, 1.0), (1.0, 0.0)]), Some(-1.0));
        assert_eq!(correlation(&[(1.0, 1.0), (1.0, 0.0)]), None);
        assert_eq!(correlation(&[]), None);
    }
}
