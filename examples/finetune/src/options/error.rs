//! What can be wrong with a command line.

use core::fmt;
use std::io;
use std::path::PathBuf;

/// Why a command line is refused.
#[derive(Debug)]
pub enum UsageError {
    /// An option, value or command that clap refuses; its text, on one line.
    Options(String),
    /// Two options that do not go together.
    Pair {
        /// The one.
        option: &'static str,
        /// The other.
        with: &'static str,
    },
    /// A file of options that cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of options that is no TOML.
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A key that is no option of the command.
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The option that resembles it most, if any does.
        nearest: Option<String>,
    },
    /// A value of a kind that no option takes.
    Kind {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it holds.
        found: &'static str,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(text) => f.write_str(text),
            Self::Pair { option, with } => write!(f, "{option} does not go with {with}"),
            Self::Unreadable { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Syntax { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::UnknownKey { path, key, nearest } => {
                write!(f, "{}: unknown key {key:?}", path.display())?;
                match nearest {
                    Some(name) => write!(f, "; is {name:?} meant?"),
                    None => f.write_str("; keys are the options that `decora train --help` lists"),
                }
            }
            Self::Kind { path, key, found } => {
                write!(f, "{}: {key:?} is {found}, which no option takes", path.display())
            }
        }
    }
}

impl core::error::Error for UsageError {}
