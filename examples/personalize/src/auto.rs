//! Which device takes a training step faster: each is tried, with the steps it would take.

use std::time::Instant;

use decora::network::Network;
use decora_vulkan::{Gpu, Settings};

use crate::backend::{Gpus, cpu};
use crate::config::{self, BATCH, Method, Purpose, Variant};
use crate::data::{Digits, Samples};
use crate::error::Error;
use crate::net::Weights;
use crate::session::{Start, Trainer};
use crate::stats::median;
use crate::warp::NEW_USER;

/// Steps before time is taken: the first ones compile kernels and fill caches.
const WARM_UP: usize = 5;
/// Steps that are timed on each device.
const ROUNDS: usize = 40;
/// The rank of the DoRA whose steps they are.
const RANK: usize = 4;

/// A training step, and the reading of its loss.
type Step<'c> = Box<dyn FnMut() -> Result<(), Error> + 'c>;

/// The fastest device, `None` for the CPU, and a line that says why. With `device`, a name or a
/// number, only that one is tried beside the CPU.
///
/// # Errors
/// [`Error::Data`] for too few images. A device that cannot be used is not chosen.
pub fn fastest(digits: &Digits, device: Option<&str>) -> Result<(Option<Gpus>, String), Error> {
    let gpus = match candidates(device) {
        Ok(gpus) => gpus,
        Err(e) => return Ok((None, format!("auto: cpu ({e})"))),
    };
    let weights = Weights::random(&mut config::rng(1, Purpose::Base));
    let split = digits.split(&mut config::rng(1, Purpose::Split))?;
    let samples = Samples::new(digits, &split.samples, &NEW_USER);
    let start = Start {
        weights: &weights,
        spec: Variant::of(Method::Dora, RANK).spec(),
        seed: 1,
        training: config::adaptation(Method::Dora.lr(), WARM_UP + ROUNDS),
        samples: &samples,
        order: config::rng(1, Purpose::Order),
        batch: BATCH,
    };
    let mut steps = vec![step(cpu, &start)];
    steps.extend(gpus.iter().map(|gpus| step(|| gpus.make(), &start)));
    let found = measure(steps);
    let names = gpus.iter().map(|gpus| gpus.hardware().name);
    let names: Vec<String> = core::iter::once("cpu".to_owned()).chain(names).collect();
    let (best, line) = verdict(&names, &found);
    Ok((best.checked_sub(1).and_then(|i| gpus.into_iter().nth(i)), line))
}

/// The Vulkan devices to try: the one that is named, here or in the environment, or all.
fn candidates(device: Option<&str>) -> Result<Vec<Gpus>, Error> {
    let settings = Settings::from_env();
    let count = Gpu::list().map_err(Error::device)?.len();
    if device.is_some() || settings.device.is_some() || count == 0 {
        return Ok(vec![Gpus::open(device)?]);
    }
    let open = |i: usize| Gpus::with(settings.clone().on(i.to_string())).map_err(Error::device);
    (0..count).map(open).collect()
}

fn step<'c, B: Network + 'c>(
    make: impl FnOnce() -> Result<B, Error>,
    start: &Start<'c, B::Scalar>,
) -> Result<Step<'c>, Error> {
    let mut be = make()?;
    let mut trainer = Trainer::new(&mut be, start).map_err(Error::network("auto"))?;
    Ok(Box::new(move || {
        let loss = trainer.step(&mut be).and_then(|()| trainer.net.loss(&mut be));
        loss.map(|_| ()).map_err(Error::network("auto"))
    }))
}

/// The median time of each step in seconds. They take turns, so that whatever else the machine does
/// falls on all of them alike.
fn measure(steps: Vec<Result<Step<'_>, Error>>) -> Vec<Result<f64, Error>> {
    let mut runs: Vec<_> = steps.into_iter().map(|step| (step, Vec::new())).collect();
    for round in 0..WARM_UP + ROUNDS {
        for (step, seconds) in &mut runs {
            let Ok(go) = step else { continue };
            let start = Instant::now();
            match go() {
                Ok(()) if round < WARM_UP => {}
                Ok(()) => seconds.push(start.elapsed().as_secs_f64()),
                Err(e) => *step = Err(e),
            }
        }
    }
    runs.into_iter().map(|(step, seconds)| step.map(|_| median(&seconds))).collect()
}

/// The number of the fastest, the first of equals, and why.
fn verdict(names: &[String], found: &[Result<f64, Error>]) -> (usize, String) {
    let seconds = |i: &usize| found.get(*i).and_then(|f| f.as_ref().ok()).copied();
    let time = |i| seconds(&i).unwrap_or(f64::INFINITY);
    let best = (0..names.len()).min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(0);
    let others = names.iter().zip(found).enumerate().filter(|(i, _)| *i != best);
    let others: String = others
        .map(|(_, (name, found))| match found {
            Ok(seconds) => format!("; {name}: {:.2} ms", seconds * 1e3),
            Err(e) => format!("; {name}: {e}"),
        })
        .collect();
    let name = names.get(best).map_or("cpu", String::as_str);
    (best, format!("auto: {name} ({:.2} ms a step{others})", time(best) * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> [String; 3] {
        ["cpu", "first", "second"].map(str::to_owned)
    }

    #[test]
    fn the_fastest_is_taken_and_all_times_are_told() {
        let (best, line) = verdict(&names(), &[Ok(5e-5), Ok(1.9e-3), Ok(4e-5)]);
        let expected = "auto: second (0.04 ms a step; cpu: 0.05 ms; first: 1.90 ms)";
        assert_eq!((best, line.as_str()), (2, expected));
        let (best, _) = verdict(&names(), &[Ok(1e-3), Ok(1e-3), Ok(1e-3)]);
        assert_eq!(best, 0, "the CPU, when it makes no difference");
    }

    #[test]
    fn a_device_that_fails_is_not_chosen_and_says_why() {
        let failed = || Err(Error::Device("no".to_owned()));
        let (best, line) = verdict(&names(), &[Ok(5e-5), failed(), failed()]);
        let expected = "auto: cpu (0.05 ms a step; first: no; second: no)";
        assert_eq!((best, line.as_str()), (0, expected));
    }
}
