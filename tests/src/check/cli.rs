//! The command line.

use core::cell::Cell;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Once;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, FromArgMatches, Parser};

use super::candidate::{Candidate, Devices, Trialled};
use super::list::list;
use super::output::Output;
use super::run::{Results, run};
use super::table::Table;

const HELP: &str = "\
Every operation is judged by plain loops in f64, and compared element by element with the same on a
reference device, with the very same operands.

Exit status: 0 when something was compared and everything passed, 1 when something failed, 2 for a
wrong option, 3 when the device is not there.";

/// Tries everything that a device of decora promises, and says what it found.
#[derive(Debug, Parser)]
#[command(version, after_help = HELP)]
struct Options {
    /// The backend to try [default: the first]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,

    /// Scalars to try [default: all that the backend has]
    #[arg(long, value_delimiter = ',', value_name = "SCALAR")]
    #[arg(value_parser = ["f32", "f64", "f16", "bf16"])]
    scalar: Vec<String>,

    /// What to compare operations with
    #[arg(long, value_name = "NAME", default_value = "cpu-f64")]
    against: String,

    /// Only properties whose name contains this
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    filter: String,

    /// Prints a line for each shape
    #[arg(long)]
    shapes: bool,

    /// Writes everything, down to the shape, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Writes a test report for CI servers to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Prints the names of all properties, their bounds and the reasons for these, and tries nothing
    #[arg(long)]
    list: bool,
}

/// Why nothing was tried.
enum Refusal {
    Usage(String),
    NoDevice(String),
}

/// The command, with the arguments of the process. The first of the candidates is what is tried
/// where `--backend` does not name another; each can also be what operations are compared with.
pub fn main(candidates: impl IntoIterator<Item = Candidate>) -> ExitCode {
    from(std::env::args_os(), candidates)
}

/// The command with these arguments, the first of them its own name.
pub fn from(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    candidates: impl IntoIterator<Item = Candidate>,
) -> ExitCode {
    let candidates: Vec<Candidate> = candidates.into_iter().collect();
    let options = match parse(args, &candidates) {
        Ok(options) => options,
        Err(e) => {
            // A closed output is no reason to answer otherwise.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    match check(&options, &candidates) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Refusal::Usage(text)) => refuse(2, &text),
        Err(Refusal::NoDevice(text)) => refuse(3, &text),
    }
}

fn refuse(code: u8, text: &str) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::from(code)
}

fn parse(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    candidates: &[Candidate],
) -> Result<Options, clap::Error> {
    let names: Vec<&'static str> = candidates.iter().map(|candidate| candidate.name).collect();
    let mut references = names.clone();
    references.extend(["cpu-f64", "none"]);
    references.dedup();
    let command = Options::command()
        .mut_arg("backend", |arg| arg.value_parser(PossibleValuesParser::new(names)))
        .mut_arg("against", |arg| arg.value_parser(PossibleValuesParser::new(references)));
    Options::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// On standard output. A closed one is no reason to stop.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Whether all went well.
fn check(options: &Options, candidates: &[Candidate]) -> Result<bool, Refusal> {
    if options.list {
        let names = list(&options.filter);
        say(&names);
        return if names.is_empty() { Err(no_match(options)) } else { Ok(true) };
    }
    let files = Files::of(options)?;
    let own = super::cpu_f64();
    let tested = match &options.backend {
        Some(name) => candidates.iter().find(|candidate| candidate.name == name),
        None => candidates.first(),
    };
    let tested = tested.ok_or_else(|| Refusal::Usage("there is no backend to try".into()))?;
    let mut references = candidates.iter().chain([&own]);
    let reference = references.find(|candidate| candidate.name == options.against);
    let devices = open(tested)?;
    let compared = reference.map(open).transpose()?;
    let chosen = chosen(options, tested, &devices, compared.as_ref())?;

    let mut table = Table::new(options.shapes, chosen.len());
    let rows = silently(|| run(&devices, compared.as_ref(), chosen, |row| table.row(row)));
    let (backend, against) = (tested.name.into(), reference.map(|r| r.name.into()));
    let results = Results { backend, device: devices.name.clone(), against, rows };
    say(&format!("{results}\n"));
    Ok(files.write(&results) && results.ok())
}

fn open(candidate: &Candidate) -> Result<Devices, Refusal> {
    candidate.open().map_err(|why| Refusal::NoDevice(format!("{}: {why}", candidate.name)))
}

/// Properties to be tried: at least one.
fn chosen<'d>(
    options: &Options,
    tested: &Candidate,
    devices: &'d Devices,
    reference: Option<&Devices>,
) -> Result<Vec<&'d Trialled>, Refusal> {
    let comparable = |scalar: &str| {
        reference.is_none_or(|r| r.scalars().iter().any(|&has| has == scalar || has == "f64"))
    };
    for wanted in &options.scalar {
        let all = devices.scalars();
        if !all.contains(&wanted.as_str()) {
            let text = format!("{} has no {wanted}, only {}", tested.name, all.join(", "));
            return Err(Refusal::Usage(text));
        }
        if !comparable(wanted) {
            let text = format!("{} has no {wanted} to compare with", options.against);
            return Err(Refusal::Usage(text));
        }
    }
    let asked = |scalar: &str| match options.scalar.is_empty() {
        true => comparable(scalar),
        false => options.scalar.iter().any(|wanted| wanted == scalar),
    };
    let all = devices.properties.iter();
    let all = all.filter(|property| asked(property.scalar));
    let chosen: Vec<_> = all.filter(|property| property.name.contains(&options.filter)).collect();
    if chosen.is_empty() { Err(no_match(options)) } else { Ok(chosen) }
}

fn no_match(options: &Options) -> Refusal {
    let filter = &options.filter;
    Refusal::Usage(format!("no property has a name that contains {filter:?}: nothing to compare"))
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Without what panics of this thread print by themselves: the table says it.
fn silently<T>(run: impl FnOnce() -> T) -> T {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                usual(info);
            }
        }));
    });
    SILENT.set(true);
    let outcome = run();
    SILENT.set(false);
    outcome
}

/// The files that were asked for.
struct Files {
    json: Option<Output>,
    junit: Option<Output>,
}

impl Files {
    fn of(options: &Options) -> Result<Self, Refusal> {
        let at = |path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            let unwritable =
                |e| Refusal::Usage(format!("{} cannot be written: {e}", path.display()));
            Output::at(path).map(Some).map_err(unwritable)
        };
        if options.json.is_some() && options.json == options.junit {
            return Err(Refusal::Usage("--json and --junit name the same file".into()));
        }
        Ok(Self { json: at(&options.json)?, junit: at(&options.junit)? })
    }

    /// Whether all of them are written.
    fn write(self, results: &Results) -> bool {
        let json = self.json.map(|to| to.write(&format!("{:#}\n", results.json())));
        let junit = self.junit.map(|to| to.write(&results.junit()));
        let failed: Vec<_> = [json, junit].into_iter().flatten().filter_map(Result::err).collect();
        failed.iter().for_each(|e| eprintln!("error: results cannot be written: {e}"));
        failed.is_empty()
    }
}
