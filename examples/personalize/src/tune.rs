//! How the learning rates were found.

use decora::network::Network;
use indicatif::ProgressBar;

use crate::adapt::Case;
use crate::config::{RATES, Settings, TUNING_SEEDS};
use crate::data::Digits;
use crate::error::Error;
use crate::experiment::each;
use crate::report::table::{Table, percent};
use crate::stats::{Summary, mean};

/// Every variant at every rate, on seeds of its own: the new user's accuracy for each method and
/// rate, over all ranks, with a star at the highest.
///
/// # Errors
/// As [`crate::experiment::run`].
pub fn tune<B: Network>(
    make: &(impl Fn() -> B + Sync),
    digits: &Digits,
    settings: &Settings,
    bar: &ProgressBar,
) -> Result<Table, Error> {
    let seeds = each(&TUNING_SEEDS, |&seed| {
        let mut be = make();
        let case = Case::new(&mut be, digits, seed, settings.base_steps)?;
        bar.inc(1);
        rates_of(&mut be, &case, settings, bar)
    })?;
    let mut table = Table::new(["method".to_owned()].into_iter().chain(RATES.map(rate_name)));
    for (row, method) in settings.methods.iter().enumerate() {
        let at = |rate: usize| {
            let of_seed: Vec<f64> =
                seeds.iter().filter_map(|s| s.get(row)?.get(rate)).copied().collect();
            Summary::of(&of_seed)
        };
        let found: Vec<Summary> = (0..RATES.len()).map(at).collect();
        let best = found.iter().map(|s| s.mean).fold(f64::NEG_INFINITY, f64::max);
        let cell =
            |s: &Summary| format!("{}{}", percent(s), if s.mean == best { "*" } else { " " });
        table.push([method.name().to_owned()].into_iter().chain(found.iter().map(cell)));
    }
    Ok(table)
}

fn rate_name(rate: f64) -> String {
    format!("lr {rate:e} ")
}

/// For each method, for each rate: the mean accuracy over its ranks.
fn rates_of<B: Network>(
    be: &mut B,
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
                found.push(case.adapt(be, variant, rate, settings.steps)?.accuracy.user);
                bar.inc(1);
            }
            rates.push(mean(&found));
        }
        all.push(rates);
    }
    Ok(all)
}
