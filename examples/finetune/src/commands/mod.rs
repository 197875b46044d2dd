//! What each command does.

mod eval;
mod generate;
mod logits;
mod merge;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::device;
use crate::error::Error;
use crate::inspect::inspect;
use crate::options::{Request, Task, parse};
use crate::stop::{self, Stop};
use crate::train::train;

/// Does what the arguments say; the first is the program's name.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let answer = match parse(arguments) {
        Ok(Request::Text(text)) => Ok(text),
        Ok(Request::Task(task)) => run(&task),
        Err(e) => Err(e.into()),
    };
    match answer {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        // Nobody reads any more.
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(e) => {
            // Whoever closed standard error does not want it.
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::from(status(&e))
        }
    }
}

fn status(e: &Error) -> u8 {
    match e {
        Error::Usage(_) => 2,
        Error::Stopped { .. } | Error::Interrupted => stop::STATUS,
        _ => 1,
    }
}

fn run(task: &Task) -> Result<String, Error> {
    match task {
        Task::Eval(options) => eval::run(options),
        Task::Logits(options) => logits::run(options),
        Task::Train(options) => train(options.as_ref().clone(), &Stop::listen()),
        Task::Generate(options) => generate::run(options),
        Task::Merge(options) => merge::run(options, &Stop::listen()),
        Task::Inspect(options) => inspect(&options.path),
        Task::Devices => Ok(device::list()),
    }
}

/// A text to standard output. Whoever closed it does not want it.
fn say(text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        let _ = writeln!(io::stdout(), "{text}");
    }
}
