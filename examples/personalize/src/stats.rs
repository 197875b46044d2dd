//! Means, spreads, and what can be said of differences.

use serde::{Serialize, Serializer};

/// The mean; 0 of nothing.
#[must_use]
pub fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

/// The sample standard deviation (n − 1); 0 of fewer than two.
#[must_use]
pub fn sd(x: &[f64]) -> f64 {
    let m = mean(x);
    let sum: f64 = x.iter().map(|x| (x - m) * (x - m)).sum();
    (sum / x.len().saturating_sub(1).max(1) as f64).sqrt()
}

/// The median; 0 of nothing.
#[must_use]
pub fn median(x: &[f64]) -> f64 {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half), sorted.len() % 2) {
        (Some(upper), 1) => *upper,
        (Some(upper), _) => f64::midpoint(*upper, sorted[half - 1]),
        (None, _) => 0.0,
    }
}

/// Mean and standard deviation over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation.
    pub sd: f64,
}

impl Summary {
    /// Of these numbers.
    #[must_use]
    pub fn of(x: &[f64]) -> Self {
        Self { mean: mean(x), sd: sd(x) }
    }
}

/// A difference between two methods, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// The mean difference.
    pub mean: f64,
    /// Half the width of its 95 % confidence interval, by Student's t; `None` for one seed.
    pub margin: Option<f64>,
    /// Seeds in which the first is higher.
    pub wins: usize,
    /// Seeds in which the second is higher.
    pub losses: usize,
    /// All seeds.
    pub seeds: usize,
}

impl Paired {
    /// Of first minus second, in the same order of seeds.
    #[must_use]
    pub fn of(first: &[f64], second: &[f64]) -> Self {
        let d: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        let count = |sign: f64| d.iter().filter(|d| **d * sign > 0.0).count();
        let margin = (d.len() > 1).then(|| student(d.len() - 1) * sd(&d) / (d.len() as f64).sqrt());
        Self { mean: mean(&d), margin, wins: count(1.0), losses: count(-1.0), seeds: d.len() }
    }

    /// Whether the confidence interval leaves out 0.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.margin.is_some_and(|margin| self.mean.abs() > margin)
    }
}

/// The 97.5 % quantile of Student's t. Beyond 30 degrees of freedom by the first terms of its
/// expansion (Abramowitz & Stegun 26.7.5), which are exact to 3 digits there.
fn student(freedom: usize) -> f64 {
    const T: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    let z = 1.959_964;
    let far = z + (z * z * z + z) / (4.0 * freedom.max(1) as f64);
    T.get(freedom.max(1) - 1).copied().unwrap_or(far)
}

/// Slope and intercept of the least-squares line y = slope·x + intercept; `None` when x does not
/// vary.
#[must_use]
pub fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (mx, my) = (mean(&x), mean(&y));
    let xx: f64 = x.iter().map(|x| (x - mx) * (x - mx)).sum();
    let xy: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let slope = xy / xx;
    slope.is_finite().then_some((slope, my - slope * mx))
}

/// Six significant digits: what files keep of single measurements.
fn rounded(x: f64) -> f64 {
    let digits = 5 - x.abs().max(f64::MIN_POSITIVE).log10().floor() as i32;
    let unit = 10f64.powi(digits.min(300));
    if x.is_finite() { (x * unit).round() / unit } else { x }
}

/// Writes a number with six significant digits.
///
/// # Errors
/// What the writer answers.
pub fn short<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
    rounded(*x).serialize(s)
}

/// Writes numbers with six significant digits.
///
/// # Errors
/// What the writer answers.
pub fn all_short<S: Serializer>(x: &[f64], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(x.iter().map(|x| rounded(*x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_known_in_advance() {
        let x = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!((mean(&x), median(&x)), (5.0, 4.5));
        assert!((sd(&x) - (32.0f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!((mean(&[]), sd(&[1.0]), median(&[]), median(&[3.0])), (0.0, 0.0, 0.0, 3.0));
        assert_eq!(line(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some((2.0, 1.0)));
        assert_eq!(line(&[(1.0, 1.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn six_digits_are_kept() {
        assert_eq!(
            [0.123_456_78, -98_765.432_1, 0.0, 1e-310].map(rounded)[..3],
            [0.123_457, -98_765.4, 0.0]
        );
    }

    #[test]
    fn a_paired_difference_and_its_interval() {
        let p = Paired::of(&[1.0, 2.0, 3.0], &[0.0, 0.0, 0.0]);
        assert_eq!((p.mean, p.wins, p.losses), (2.0, 3, 0));
        assert!(p.margin.is_some_and(|m| (m - 4.303 / 3.0f64.sqrt()).abs() < 1e-12));
        assert!(!p.is_clear(), "2 ± 2.48 has 0 in it");
        assert!((student(60) - 2.000).abs() < 5e-4);
    }
}
