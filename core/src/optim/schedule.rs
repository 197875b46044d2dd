//! How the learning rate changes from step to step.

use crate::scalar::{Accum, cosine_squared};

/// A factor on the learning rate for each step, counted from 0; as in Hugging Face's
/// `get_scheduler`, where a warm-up starts at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Schedule {
    /// 1.
    #[default]
    Constant,
    /// Linear warm-up to 1, then 1.
    WarmUp {
        /// Steps until 1.
        warmup: u64,
    },
    /// Linear warm-up to 1, then a straight line to 0 at `total`.
    Linear {
        /// Steps until 1.
        warmup: u64,
        /// Steps until 0.
        total: u64,
    },
    /// Linear warm-up to 1, then half a cosine to 0 at `total`.
    Cosine {
        /// Steps until 1.
        warmup: u64,
        /// Steps until 0.
        total: u64,
    },
}

impl Schedule {
    /// The factor at `step`.
    #[must_use]
    pub fn factor<A: Accum>(&self, step: u64) -> A {
        let (warmup, total) = match *self {
            Self::Constant => return A::whole(1),
            Self::WarmUp { warmup } => (warmup, u64::MAX),
            Self::Linear { warmup, total } | Self::Cosine { warmup, total } => (warmup, total),
        };
        if step < warmup {
            return share(step, warmup);
        }
        let length = total.saturating_sub(warmup).max(1);
        let passed = share(length.min(step - warmup), length);
        match self {
            Self::Linear { .. } => A::whole(1) - passed,
            Self::Cosine { .. } => cosine_squared(passed),
            _ => A::whole(1),
        }
    }
}

/// n of so many steps; of more than 2³² are counted 2³².
fn share<A: Accum>(n: u64, of: u64) -> A {
    let whole = |n: u64| A::whole(u32::try_from(n).unwrap_or(u32::MAX));
    whole(n) / whole(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors<const N: usize>(schedule: Schedule) -> [f64; N] {
        core::array::from_fn(|step| schedule.factor(step as u64))
    }

    #[test]
    fn they_rise_and_fall_as_their_names_say() {
        assert_eq!(factors(Schedule::Constant), [1.0; 3]);
        assert_eq!(factors(Schedule::WarmUp { warmup: 2 }), [0.0, 0.5, 1.0, 1.0]);
        let linear = Schedule::Linear { warmup: 1, total: 5 };
        assert_eq!(factors(linear), [0.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
        let cosine = factors::<6>(Schedule::Cosine { warmup: 1, total: 5 });
        assert_eq!((cosine[1], cosine[5]), (1.0, 0.0));
        assert!((cosine[3] - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_warm_up_longer_than_the_run_never_divides_by_zero() {
        assert_eq!(Schedule::Linear { warmup: 0, total: 0 }.factor::<f64>(0), 1.0);
        assert_eq!(Schedule::Cosine { warmup: 9, total: 3 }.factor::<f64>(9), 1.0);
    }
}
