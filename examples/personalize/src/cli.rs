//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use decora::network::Network;
use decora_cpu::Cpu;
use indicatif::{ProgressBar, ProgressStyle};

use crate::adapt::Case;
use crate::config::{Method, RATES, Settings, TUNING_SEEDS, Variant};
use crate::data::Digits;
use crate::error::Error;
use crate::experiment::{self, SeedOutcome};
use crate::net::{self, WIDTHS};
use crate::peft::{self, Adapter};
use crate::report::{ADAPTER, Images, Report, Saved, tables};
use crate::{files, tune};

const EXAMPLES: &str = "\
Examples:
  personalize                            everything, 20 seeds, report in ./report
  personalize --quick                    a look at everything in a few seconds
  personalize --method dora,lora --rank 2,4 --seeds 5 --report out
  personalize --data my-digits.bin       other digits, in the format of data/make.py
  personalize --tune                     how the learning rates were found

Exit status: 0 when all went well, 1 when something failed, 2 for a wrong option.";

/// Adapts a network that reads handwritten digits to a new user, with DoRA, LoRA, full fine-tuning
/// and magnitudes alone, side by side: prints a table and writes a report.
#[derive(Debug, Parser)]
#[command(name = "personalize", version, after_help = EXAMPLES)]
struct Options {
    /// Methods to compare [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "METHOD")]
    method: Vec<Method>,

    /// Ranks of LoRA and DoRA [default: 1,2,4,8; with --quick: 1,4]
    #[arg(long, value_delimiter = ',', value_name = "RANK")]
    rank: Vec<usize>,

    /// Runs seeds 1 to N [default: 20; with --quick: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,

    /// Steps of adaptation [default: 300; with --quick: 150]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=100_000))]
    steps: Option<u32>,

    /// Folder for report.json, the plots, index.html and the adapter
    #[arg(long, value_name = "DIR", default_value = "report")]
    report: PathBuf,

    /// Digits to use instead of those in the program, in the format of data/make.py
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Fewer seeds, ranks and steps
    #[arg(long)]
    quick: bool,

    /// Prints the accuracy at each learning rate, on seeds of its own, and writes no report
    #[arg(long)]
    tune: bool,
}

impl Options {
    fn settings(&self) -> Settings {
        let mut settings = if self.quick { Settings::quick() } else { Settings::full() };
        if !self.method.is_empty() {
            settings.methods.clone_from(&self.method);
            settings.methods.sort_unstable();
            settings.methods.dedup();
        }
        if !self.rank.is_empty() {
            settings.ranks.clone_from(&self.rank);
            settings.ranks.sort_unstable();
            settings.ranks.dedup();
        }
        settings.seeds = self.seeds.unwrap_or(settings.seeds);
        settings.steps = self.steps.map_or(settings.steps, |steps| steps as usize);
        settings
    }

    fn digits(&self) -> Result<Digits, Error> {
        match &self.data {
            Some(path) => Digits::load(path),
            None => Ok(Digits::embedded()?),
        }
    }
}

/// Does what the arguments say; the first is the program's name.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(e) if e.use_stderr() => {
            complain(&one_line(&e.to_string()));
            return ExitCode::from(2);
        }
        Err(help) => {
            say(&help.to_string());
            return ExitCode::SUCCESS;
        }
    };
    match run(&options, &Cpu::<f32>::heap) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            complain(&format!("error: {e}"));
            ExitCode::from(if matches!(e, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// The first paragraph of clap's message, on one line.
fn one_line(message: &str) -> String {
    let first = message.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    format!("{} (see --help)", words.join(" "))
}

fn run<B: Network>(options: &Options, make: &(impl Fn() -> B + Sync)) -> Result<(), Error> {
    let settings = options.settings();
    check_ranks(&settings)?;
    let digits = options.digits()?;
    if options.tune {
        let runs = TUNING_SEEDS.count() * (1 + RATES.len() * settings.variants().len());
        let bar = progress(runs);
        let table = tune::tune(make, &digits, &settings, &bar)?;
        bar.finish_and_clear();
        say(&table.to_string());
        return Ok(());
    }
    files::writable(&options.report).map_err(Error::file("write", &options.report))?;
    let runs = settings.seeds as usize * (1 + settings.variants().len()) + settings.ranks.len();
    let bar = progress(runs);
    let report = measure(&settings, &digits, make, &options.report, &bar)?;
    bar.set_message("report");
    let page = report.write(&options.report, &digits)?;
    bar.finish_and_clear();
    show(&report, &page);
    Ok(())
}

/// `Ok` when the layer with the fewest rows or columns, and so every layer, admits every rank.
fn check_ranks(settings: &Settings) -> Result<(), Error> {
    let layers = WIDTHS.iter().zip(&WIDTHS[1..]);
    let Some((&inputs, &out)) = layers.min_by_key(|(a, b)| (*a).min(*b)) else { return Ok(()) };
    for variant in settings.variants() {
        let check = variant.spec().check::<decora::error::ShapeError>(out, inputs);
        check.map_err(|e| Error::Usage(format!("--rank: layer {inputs} to {out}: {e}")))?;
    }
    Ok(())
}

fn measure<B: Network>(
    settings: &Settings,
    digits: &Digits,
    make: &(impl Fn() -> B + Sync),
    dir: &Path,
    bar: &ProgressBar,
) -> Result<Report, Error> {
    let seeds: Vec<u64> = (1..=settings.seeds).collect();
    let outcomes = experiment::run(make, digits, settings, &seeds, bar)?;
    let mut be = make();
    let case = Case::new(&mut be, digits, 1, settings.base_steps)?;
    let timings = experiment::time(make, &case, settings, bar)?;
    let saved = save(&mut be, &case, settings, &outcomes, dir)?;
    let images = Images {
        all: digits.len(),
        train: digits.len() - case.samples.len() - case.user.len(),
        samples: case.samples.len(),
        test: case.user.len(),
    };
    Ok(Report::new(settings, images, outcomes, timings, saved))
}

/// Saves the first seed's DoRA adapter, or else its LoRA adapter, in PEFT's format; loads it, and
/// makes sure that it is the same.
fn save<B: Network>(
    be: &mut B,
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
    let adapter = Adapter::new(config, run.tensors.clone())?;
    let dir = dir.join(ADAPTER);
    peft::save(&dir, &adapter)?;
    let loaded = peft::load(&dir)?;
    loaded.fits(&case.base.shapes())?;
    let y = case.outputs_with(be, run.variant, &run.tensors);
    let y = y.map_err(Error::network(run.variant.to_string()))?;
    case.reload(be, run.variant, loaded.tensors(), &run.tensors, &y)?;
    Ok(Some(Saved { variant: run.variant, seed }))
}

fn show(report: &Report, page: &Path) {
    say(&tables::results(&report.figures).to_string());
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

/// A line to standard output. Whoever closed it does not want it.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end_matches('\n'));
    let _ = writeln!(io::stdout());
}

/// A line to standard error.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
