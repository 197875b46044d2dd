//! How the learning rates were found.

use decora::network::Network;
use indicatif::ProgressBar;

use crate::adapt::Case;
use crate::config::{RATES, Settings, TUNING_SEEDS};
use crate::data::Digits;
use crate::device::{Device, Source};
use crate::error::Error;
use crate::experiment::each;
use crate::report::table::{Table, percent};
use crate::stats::{Summary, mean};

/// Every variant at every rate, on seeds of its own: the new user's accuracy for each method and
/// rate, over all ranks, with a star at the rate to take.
///
/// # Errors
/// As [`crate::experiment::run`].
pub fn tune<B: Network>(
    source: Source<'_, B>,
    digits: &Digits,
    settings: &Settings,
    bar: &ProgressBar,
) -> Result<Table, Error> {
    let seeds: Vec<u64> = TUNING_SEEDS.collect();
    let seeds = each(&seeds, |&seed| {
        let mut device = source.open()?;
        let case = Case::new(&mut device, digits, seed, settings.base_steps)?;
        bar.inc(1);
        rates_of(&mut device, &case, settings, bar)
    })?;
    let mut table = Table::new(["method".to_owned()].into_iter().chain(RATES.map(rate_name)));
    for (row, method) in settings.methods.iter().enumerate() {
        let at = |rate: usize| {
            let of_seed: Vec<f64> =
                seeds.iter().filter_map(|s| s.get(row)?.get(rate)).copied().collect();
            Summary::of(&of_seed)
        };
        let found: Vec<Summary> = (0..RATES.len()).map(at).collect();
        let taken = choice(&found, seeds.len());
        let star = |i| if Some(i) == taken { "*" } else { " " };
        let cells = found.iter().enumerate().map(|(i, s)| format!("{}{}", percent(s), star(i)));
        table.push([method.name().to_owned()].into_iter().chain(cells));
    }
    Ok(table)
}

/// The first, so smallest, rate within one standard error of the highest mean: among rates that
/// cannot be told apart, the one that changes least.
fn choice(found: &[Summary], seeds: usize) -> Option<usize> {
    let best = found.iter().max_by(|a, b| a.mean.total_cmp(&b.mean))?;
    let floor = best.mean - best.sd / (seeds as f64).sqrt();
    found.iter().position(|s| s.mean >= floor)
}

fn rate_name(rate: f64) -> String {
    format!("lr {rate:e} ")
}

/// For each method, for each rate: the mean accuracy over its ranks.
fn rates_of<B: Network>(
    device: &mut Device<'_, B>,
    case: &Case<B>,
    settings: &Settings,
    bar: &ProgressBar,
) -> Result<Vec<Vec<f64>>, Error> {
    let mut all = Vec::new();
    for &method in &settings.methods {
        let mut rates = Vec::new();
        for rate in RATES {
            let mut found = Vec::new();
            for variant in settings.variants().into_iter().filter(|v| v.method == method) {
                bar.set_message(format!("seed {}: {variant}, lr {rate:e}", case.seed));
                found.push(case.accuracy_at(device, variant, rate, settings.steps)?);
                bar.inc(1);
            }
            rates.push(mean(&found));
        }
        all.push(rates);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_rates_that_cannot_be_told_apart_the_smallest_is_taken() {
        let found = [(0.70, 0.02), (0.795, 0.02), (0.80, 0.04), (0.60, 0.1)];
        let found = found.map(|(mean, sd)| Summary { mean, sd });
        assert_eq!(choice(&found, 16), Some(1));
        assert_eq!(choice(&found, 1600), Some(2));
        assert_eq!(choice(&[], 16), None);
    }
}
