//! Devices that are lost during a run: the outcomes are those of a run that kept its device.

mod common;

use core::sync::atomic::{AtomicU32, Ordering};

use common::has_vulkan;
use decora_vulkan::{Faults, Gpu, Settings as Open, Vulkan};
use indicatif::ProgressBar;
use personalize::adapt::Outcome;
use personalize::backend::Gpus;
use personalize::config::{Method, Settings};
use personalize::data::Digits;
use personalize::device::Source;
use personalize::error::Error;
use personalize::experiment::{SeedOutcome, run};

fn settings() -> Settings {
    let methods = vec![Method::Full, Method::Dora];
    Settings { methods, ranks: vec![2], seeds: 1, steps: 12, base_steps: 30, timed: 1 }
}

fn outcome(source: Source<'_, Vulkan<f32>>) -> Result<(Vec<f64>, Vec<Outcome>), Error> {
    let (digits, bar) = (Digits::embedded()?, ProgressBar::hidden());
    let outcomes = run(source, &digits, &settings(), &[1], &bar)?;
    let accuracies = |o: &SeedOutcome| [o.base.user, o.base.old];
    let base = outcomes.iter().flat_map(accuracies).collect();
    Ok((base, outcomes.into_iter().flat_map(|o| o.runs).collect()))
}

fn lost_at(submission: u64) -> Open {
    let mut faults = Faults::default();
    faults.lose_at = Some(submission);
    Open::from_env().with_faults(faults)
}

fn open(settings: Open) -> Result<Gpu, Error> {
    Gpu::with(settings).map_err(Error::device)
}

#[test]
fn a_run_ends_the_same_wherever_its_device_is_lost() -> Result<(), Error> {
    if !has_vulkan() {
        return Ok(());
    }
    let sound = open(Open::from_env())?;
    let make = || Vulkan::new(&sound).map_err(Error::device);
    let expected = outcome(Source::new(&make, 5))?;
    let submissions = sound.submissions();
    for shadow in [5, 0] {
        // Each tenth of the run, and not always at the same point of a step.
        for at in (1..10).map(|tenth| 1 + tenth * submissions / 10 + tenth % 3) {
            let (faulty, made) = (open(lost_at(at))?, AtomicU32::new(0));
            let make = || {
                let gpu = if made.fetch_add(1, Ordering::Relaxed) == 0 { &faulty } else { &sound };
                Vulkan::new(gpu).map_err(Error::device)
            };
            let found = outcome(Source::new(&make, shadow))?;
            assert!(found == expected, "lost at {at} of {submissions}, shadow {shadow}");
            // Without shadows there are fewer submissions, and the last ones may not come.
            let made = made.load(Ordering::Relaxed);
            assert!(made == 2 || (shadow == 0 && made == 1), "{made} devices");
        }
    }
    Ok(())
}

#[test]
fn a_device_is_opened_again_as_often_as_it_takes_but_not_for_ever() -> Result<(), Error> {
    if !has_vulkan() {
        return Ok(());
    }
    let gpus = Gpus::with(Open::from_env()).map_err(Error::device)?;
    let expected = outcome(Source::new(&|| gpus.make(), 5))?;
    let sound = open(Open::from_env())?;
    let make = || Vulkan::new(&sound).map_err(Error::device);
    outcome(Source::new(&make, 5))?;
    let twice = Gpus::with(lost_at(sound.submissions() * 2 / 5)).map_err(Error::device)?;
    assert!(outcome(Source::new(&|| twice.make(), 5))? == expected, "lost more than once");
    let always = Gpus::with(lost_at(4)).map_err(Error::device)?;
    let error = outcome(Source::new(&|| always.make(), 5)).err().map(|e| e.to_string());
    let error = error.unwrap_or_default();
    assert!(error.starts_with("base network: the device was lost"), "{error}");
    Ok(())
}
