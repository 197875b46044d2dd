//! Which token follows.

use decora::init::Rng;

use crate::error::Error;

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// T: tokens are drawn with probabilities softmax(logits/T); 0: the most probable one is taken.
    pub temperature: f64,
    /// p: from the most probable ones alone, as many as it takes to have p of all (nucleus sampling,
    /// Holtzman et al. 2020).
    pub top_p: f64,
    /// Decides the draws.
    pub seed: u64,
}

impl Sampling {
    /// A token.
    ///
    /// # Errors
    /// [`Error::Network`] for logits that are not finite.
    pub fn choose(&self, logits: &[f32], rng: &mut Rng) -> Result<u32, Error> {
        if logits.iter().any(|x| !x.is_finite()) {
            let text = "the logits are not finite: the model or its adapter is damaged, or --dtype too narrow";
            return Err(Error::network(text));
        }
        let mut order: Vec<usize> = (0..logits.len()).collect();
        let logit = |i: &usize| logits.get(*i).copied().unwrap_or(f32::NEG_INFINITY);
        if self.temperature == 0.0 {
            // Of equals the first.
            let best = order.into_iter().reduce(|a, b| if logit(&b) > logit(&a) { b } else { a });
            return Ok(best.unwrap_or_default() as u32);
        }
        order.sort_by(|a, b| logit(b).total_cmp(&logit(a)));
        let largest = order.first().map_or(0.0, logit);
        let weight = |i: &usize| (f64::from(logit(i) - largest) / self.temperature).exp();
        let weights: Vec<f64> = order.iter().map(weight).collect();
        let kept = nucleus(&weights, self.top_p);
        let drawn = rng.unit() * kept.iter().sum::<f64>();
        let mut sum = 0.0;
        let place = kept.iter().position(|weight| {
            sum += weight;
            sum > drawn
        });
        let place = place.unwrap_or(kept.len().saturating_sub(1));
        Ok(order.get(place).copied().unwrap_or_default() as u32)
    }
}

/// The first weights, as many as it takes to have the share `p` of all: at least one.
fn nucleus(weights: &[f64], p: f64) -> &[f64] {
    let (mut sum, enough) = (0.0, p * weights.iter().sum::<f64>());
    let last = weights.iter().position(|weight| {
        sum += weight;
        sum >= enough
    });
    weights.get(..=last.unwrap_or(weights.len().saturating_sub(1))).unwrap_or(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sampling: Sampling) -> [usize; 4] {
        let logits = [0.2f32, 0.4, 0.1, 0.3].map(f32::ln);
        let (mut counts, mut rng) = ([0; 4], Rng::new(sampling.seed));
        for _ in 0..10_000 {
            counts[sampling.choose(&logits, &mut rng).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn tokens_come_as_often_as_they_are_probable() {
        let found = counts(Sampling { temperature: 1.0, top_p: 1.0, seed: 3 });
        for (found, expected) in found.iter().zip([2000usize, 4000, 1000, 3000]) {
            assert!(found.abs_diff(expected) < 150, "{found}, {expected}");
        }
        // p² of each, of their sum 0.3.
        let found = counts(Sampling { temperature: 0.5, top_p: 1.0, seed: 3 });
        for (found, expected) in found.iter().zip([1333usize, 5333, 333, 3000]) {
            assert!(found.abs_diff(expected) < 150, "{found}, {expected}");
        }
    }

    #[test]
    fn a_share_keeps_the_most_probable_alone() {
        let found = counts(Sampling { temperature: 1.0, top_p: 0.65, seed: 3 });
        assert_eq!((found[0], found[2]), (0, 0), "0.4 and 0.3 have it");
        assert!(found[1].abs_diff(5714) < 150 && found[3] > 0, "{found:?}");
        assert_eq!(counts(Sampling { temperature: 9.0, top_p: 0.01, seed: 3 }), [0, 10_000, 0, 0]);
    }

    #[test]
    fn without_a_temperature_the_first_of_the_most_probable() {
        let greedy = Sampling { temperature: 0.0, top_p: 1.0, seed: 0 };
        assert_eq!(greedy.choose(&[1.0, 3.0, 3.0], &mut Rng::new(0)).unwrap(), 1);
        let error = greedy.choose(&[f32::NAN, 1.0], &mut Rng::new(0)).unwrap_err();
        assert!(error.to_string().contains("not finite"));
    }
}
