//! The choice of the next token.

use decora::init::Rng;

use crate::evaluate::most;

/// The next token by its logits. With a temperature T, token i has probability softmax(logits/T)ᵢ, and
/// the choice is among the most probable ones that together have at least `top_p` (Holtzman et al. 2020);
/// with T = 0 it is the most probable one.
pub fn sample(logits: &[f32], temperature: f64, top_p: f64, rng: &mut Rng) -> u32 {
    if temperature <= 0.0 {
        return most(logits.iter().copied());
    }
    let largest = logits.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
    let weight = |&x: &f32| (f64::from(x - largest) / temperature).exp();
    let mut all: Vec<(u32, f64)> = (0..).zip(logits.iter().map(weight)).collect();
    let total: f64 = all.iter().map(|(_, weight)| weight).sum();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let within = all.iter().take_while(|(_, weight)| {
        let taken = sum < top_p * total;
        sum += weight;
        taken
    });
    let count = within.count().max(1);
    all.truncate(count);
    let share = all.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut left = rng.unit::<f64>() * share;
    let chosen = all.iter().find(|(_, weight)| {
        left -= weight;
        left < 0.0
    });
    chosen.or(all.last()).map_or(0, |(token, _)| *token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_temperature_the_most_probable_is_taken() {
        let mut rng = Rng::new(1);
        assert_eq!(sample(&[0.0, 3.0, 3.0, -1.0], 0.0, 1.0, &mut rng), 1);
    }

    #[test]
    fn tokens_come_as_often_as_they_are_probable() {
        let logits = [1.0f32, 0.0, 2.0];
        let mut rng = Rng::new(7);
        let mut count = [0u32; 3];
        for _ in 0..20_000 {
            count[sample(&logits, 0.5, 1.0, &mut rng) as usize] += 1;
        }
        let weights = logits.map(|x| f64::from(2.0 * x).exp());
        let total: f64 = weights.iter().sum();
        for (count, weight) in count.iter().zip(weights) {
            let (found, expected) = (f64::from(*count) / 20_000.0, weight / total);
            assert!((found - expected).abs() < 0.01, "{found}, expected {expected}");
        }
    }

    #[test]
    fn top_p_leaves_out_what_is_improbable() {
        let mut rng = Rng::new(3);
        // Probabilities 0.66, 0.24, 0.09.
        let logits = [1.0f32, 0.0, 2.0];
        let mut chosen =
            |top_p| (0..500).map(|_| sample(&logits, 1.0, top_p, &mut rng)).collect::<Vec<_>>();
        assert!(chosen(0.6).iter().all(|&token| token == 2));
        let two = chosen(0.8);
        assert!(two.contains(&0) && !two.contains(&1));
        assert!(chosen(1.0).contains(&1));
    }
}
