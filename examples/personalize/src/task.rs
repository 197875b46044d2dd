//! What the program does once it knows on what.

use std::path::{Path, PathBuf};

use decora::network::Network;
use decora_hub::files;
use indicatif::{ProgressBar, ProgressStyle};

use crate::adapt::Case;
use crate::backend::Hardware;
use crate::cli::say;
use crate::config::{Method, RATES, Settings, TUNING_SEEDS, Variant};
use crate::data::Digits;
use crate::device::{Device, Source};
use crate::error::Error;
use crate::experiment::{self, SeedOutcome};
use crate::net::{self, WIDTHS};
use crate::peft::{self, Adapter};
use crate::report::{ADAPTER, Images, Report, Saved, tables};
use crate::tune;

/// What is asked for, the device left open.
#[derive(Clone, Debug)]
pub struct Task {
    /// Methods, ranks, seeds and steps.
    pub settings: Settings,
    /// The images.
    pub digits: Digits,
    /// Whether learning rates are compared, instead of a report.
    pub tune: bool,
    /// The report's folder.
    pub report: PathBuf,
}

impl Task {
    /// `Ok` when no rank is more than the layer with the fewest rows or columns has.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self) -> Result<(), Error> {
        let most = WIDTHS.iter().min().copied().unwrap_or_default();
        let ranks = self.settings.variants().into_iter().filter_map(|variant| variant.rank);
        for rank in ranks {
            if !(1..=most).contains(&rank) {
                return Err(Error::Usage(format!("--rank: found {rank}, expected 1 to {most}")));
            }
        }
        Ok(())
    }

    /// Does it on devices of `source`, which the report calls `hardware`.
    ///
    /// # Errors
    /// Whatever goes wrong first.
    pub fn run<B: Network>(&self, hardware: Hardware, source: Source<'_, B>) -> Result<(), Error> {
        let Self { settings, digits, report, .. } = self;
        if self.tune {
            let runs = TUNING_SEEDS.count() * (1 + RATES.len() * settings.variants().len());
            let bar = progress(runs);
            let table = tune::tune(source, digits, settings, &bar)?;
            bar.finish_and_clear();
            say(&table.to_string());
            return Ok(());
        }
        files::writable(report).map_err(Error::file("write", report))?;
        let runs = settings.seeds as usize * (1 + settings.variants().len()) + settings.ranks.len();
        let bar = progress(runs);
        let measured = self.measure(hardware, source, &bar)?;
        bar.set_message("report");
        let page = measured.write(report, digits)?;
        bar.finish_and_clear();
        show(&measured, &page);
        Ok(())
    }

    fn measure<B: Network>(
        &self,
        hardware: Hardware,
        source: Source<'_, B>,
        bar: &ProgressBar,
    ) -> Result<Report, Error> {
        let Self { settings, digits, report, .. } = self;
        let seeds: Vec<u64> = (1..=settings.seeds).collect();
        let outcomes = experiment::run(source, digits, settings, &seeds, bar)?;
        let mut device = source.open()?;
        let case = Case::new(&mut device, digits, 1, settings.base_steps)?;
        let timings = experiment::time(&mut device, &case, settings, bar)?;
        let saved = save(&mut device, &case, settings, &outcomes, report)?;
        let images = Images {
            all: digits.len(),
            train: digits.len() - case.samples.len() - case.user.len(),
            samples: case.samples.len(),
            test: case.user.len(),
        };
        Ok(Report::new(settings, hardware, images, outcomes, timings, saved))
    }
}

/// Saves the first seed's DoRA adapter, or else its LoRA adapter, in PEFT's format; loads it, and
/// makes sure that it is the same.
fn save<B: Network>(
    device: &mut Device<'_, B>,
    case: &Case<B>,
    settings: &Settings,
    outcomes: &[SeedOutcome],
    dir: &Path,
) -> Result<Option<Saved>, Error> {
    let rank = settings.shown_rank();
    let variants = [Method::Dora, Method::Lora].map(|method| Variant::of(method, rank));
    let runs = || outcomes.iter().flat_map(|o| o.runs.iter().map(|run| (o.seed, run)));
    let find = |v: Variant| runs().find(|(_, run)| run.variant == v);
    let Some((seed, run)) = variants.into_iter().find_map(find) else { return Ok(None) };
    let modules = (0..case.base.layers.len()).map(net::module).collect();
    let dora = run.variant.method == Method::Dora;
    let config = peft::Config::new(rank, Method::alpha(rank), dora, modules);
    let base = case.fingerprint()?;
    let adapter = Adapter::new(config, run.tensors.clone())?.of_base(Some(base));
    let dir = dir.join(ADAPTER);
    peft::save(&dir, &adapter)?;
    let loaded = peft::load(&dir)?;
    loaded.check_base(base)?;
    loaded.fits(&case.base.shapes())?;
    let y = case.outputs_with(device, run.variant, &run.tensors)?;
    case.reload(device, run.variant, loaded.tensors(), &run.tensors, &y)?;
    Ok(Some(Saved { variant: run.variant, seed }))
}

fn show(report: &Report, page: &Path) {
    say(&tables::results(report).to_string());
    if !report.figures.clouds.is_empty() {
        say(&tables::deviations(&report.figures).to_string());
    }
    for finding in &report.findings {
        say(&format!("{}: {}\n", finding.title, finding.text));
    }
    say(&format!("Report: {}", page.display()));
}

fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len}  {eta:>4}  {msg}");
    let bar = ProgressBar::new(runs as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
