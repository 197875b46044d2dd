//! All seeds: every method on each, on as many threads as there are cores.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use decora::network::Network;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::adapt::{Accuracy, Case, Outcome};
use crate::config::{Method, Settings, Variant};
use crate::data::Digits;
use crate::device::{Device, Source};
use crate::error::Error;
use crate::net::NetResult;
use crate::session::Trainer;
use crate::stats::median;

/// What came out for one seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeedOutcome {
    /// Which.
    pub seed: u64,
    /// Without adaptation.
    pub base: Accuracy,
    /// Of each variant, in the order of [`Settings::variants`].
    pub runs: Vec<Outcome>,
}

/// How long steps take, for one rank.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// The rank.
    pub rank: usize,
    /// The median time of a step of each method, in microseconds.
    pub micros: Vec<(Method, f64)>,
    /// The median, over pairs of neighbouring steps, of DoRA's time divided by LoRA's.
    pub dora_over_lora: Option<f64>,
}

/// Trains, adapts and measures for each of `seeds`. `bar` moves once for each run.
///
/// # Errors
/// The first error of any seed.
pub fn run<B: Network>(
    source: Source<'_, B>,
    digits: &Digits,
    settings: &Settings,
    seeds: &[u64],
    bar: &ProgressBar,
) -> Result<Vec<SeedOutcome>, Error> {
    each(seeds, |&seed| {
        let mut device = source.open()?;
        bar.set_message(format!("seed {seed}: base network"));
        let case = Case::new(&mut device, digits, seed, settings.base_steps)?;
        let base = case.unadapted(&mut device)?;
        bar.inc(1);
        let adapt = |variant: Variant| {
            bar.set_message(format!("seed {seed}: {variant}"));
            let outcome = case.adapt(&mut device, variant, variant.method.lr(), settings.steps);
            bar.inc(1);
            outcome
        };
        let runs = settings.variants().into_iter().map(adapt).collect::<Result<_, _>>()?;
        Ok(SeedOutcome { seed, base, runs })
    })
}

/// `f` of each item, in order, on as many threads as there are cores.
///
/// # Errors
/// The error of the first item that has one.
pub fn each<I: Sync, T: Send>(
    items: &[I],
    f: impl Fn(&I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((i, item)) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            items.get(i).map(|item| (i, item))
        } {
            let result = f(item);
            let failed = result.is_err();
            done.push((i, result));
            if failed {
                break;
            }
        }
        done
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let mut all = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|h| h.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    all.sort_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, result)| result).collect()
}

/// Times steps of all methods, rank by rank, alone on the machine: the methods take turns, so that
/// whatever else the machine does falls on all of them alike.
///
/// # Errors
/// [`Error::Network`].
pub fn time<B: Network>(
    device: &mut Device<'_, B>,
    case: &Case<B>,
    settings: &Settings,
    bar: &ProgressBar,
) -> Result<Vec<Timing>, Error> {
    let time = |&rank: &usize| {
        bar.set_message(format!("step times, r={rank}"));
        let what = format!("step times, r={rank}");
        let timing = device.run(&what, |be| time_rank(be, case, settings, rank));
        bar.inc(1);
        timing
    };
    settings.ranks.iter().map(time).collect()
}

fn time_rank<B: Network>(
    be: &mut B,
    case: &Case<B>,
    settings: &Settings,
    rank: usize,
) -> NetResult<Timing, B> {
    let mut runs = Vec::new();
    for &method in &settings.methods {
        let start = case.start(Variant::of(method, rank), method.lr(), settings.timed);
        let run = Trainer::new(be, &start)?;
        runs.push((method, run, Vec::with_capacity(settings.timed)));
    }
    for round in 0..settings.timed {
        for turn in 0..runs.len() {
            // Every other round in reverse, so that nobody always follows the same neighbour.
            let turn = if round % 2 == 0 { turn } else { runs.len() - 1 - turn };
            let Some((_, run, micros)) = runs.get_mut(turn) else { continue };
            let start = Instant::now();
            run.step(be)?;
            run.net.loss(be)?;
            micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    let of = |method| runs.iter().find(|(m, ..)| *m == method).map(|(_, _, t)| t.as_slice());
    let ratio = of(Method::Dora)
        .zip(of(Method::Lora))
        .map(|(dora, lora)| median(&dora.iter().zip(lora).map(|(d, l)| d / l).collect::<Vec<_>>()));
    let micros = runs.iter().map(|(method, _, t)| (*method, median(t))).collect();
    Ok(Timing { rank, micros, dora_over_lora: ratio })
}
