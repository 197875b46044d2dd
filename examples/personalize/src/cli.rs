//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::auto;
use crate::backend::{self, Backend, Gpus, Hardware};
use crate::config::{Method, Settings};
use crate::data::Digits;
use crate::device::Source;
use crate::error::Error;
use crate::task::Task;

const EXAMPLES: &str = "\
Examples:
  personalize                            everything, 20 seeds, report in ./report
  personalize --quick                    a look at everything in a few seconds
  personalize --method dora,lora --rank 2,4 --seeds 5 --report out
  personalize --data my-digits.bin       other digits, in the format of data/make.py
  personalize --tune                     how the learning rates were found
  personalize --devices                  what there is to compute on
  personalize --backend auto             on whichever is the fastest

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

    /// What computes
    #[arg(long, value_enum, value_name = "BACKEND", default_value_t)]
    backend: Backend,

    /// Vulkan device, by the number or a part of the name that --devices shows [default: what
    /// DECORA_DEVICE says, or else the fastest kind there is]
    #[arg(long, value_name = "NAME|NUMBER")]
    device: Option<String>,

    /// Lists what there is to compute on, and ends
    #[arg(long)]
    devices: bool,

    /// Steps between two copies of a run, from which it goes on should its device be lost; 0: none,
    /// it begins again
    #[arg(long, value_name = "N", default_value_t = 50)]
    shadow: u64,

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

    /// The Vulkan device to use; `None` for the CPU.
    fn gpus(&self, digits: &Digits) -> Result<Option<Gpus>, Error> {
        let device = self.device.as_deref();
        match self.backend {
            Backend::Cpu if device.is_some() => {
                let message = "--device: goes with --backend vulkan or --backend auto";
                Err(Error::Usage(message.to_owned()))
            }
            Backend::Cpu => Ok(None),
            Backend::Vulkan => Gpus::open(device).map(Some),
            Backend::Auto => {
                let (gpus, why) = auto::fastest(digits, device)?;
                complain(&why);
                Ok(gpus)
            }
        }
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
    match run(&options) {
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

/// Does it on the device that the options ask for.
fn run(options: &Options) -> Result<(), Error> {
    if options.devices {
        say(&backend::devices());
        return Ok(());
    }
    let task = Task {
        settings: options.settings(),
        digits: options.digits()?,
        tune: options.tune,
        report: options.report.clone(),
    };
    task.check()?;
    match options.gpus(&task.digits)? {
        None => task.run(Hardware::cpu(), Source::new(&backend::cpu, options.shadow)),
        Some(gpus) => task.run(gpus.hardware(), Source::new(&|| gpus.make(), options.shadow)),
    }
}

/// A line to standard output. Whoever closed it does not want it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end_matches('\n'));
    let _ = writeln!(io::stdout());
}

/// A line to standard error.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
