//! What can go wrong, each in one line.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use decora_hub::HubError;
use decora_hub::network::BuildError;

use crate::checkpoint::CheckpointError;
use crate::data::{DataError, Reason, TokenizerError};
use crate::options::UsageError;

/// Why a command ended early.
#[derive(Debug)]
pub enum Error {
    /// A wrong option.
    Usage(UsageError),
    /// The data.
    Data(DataError),
    /// The tokenizer.
    Tokenizer(TokenizerError),
    /// The model's or the adapter's files.
    Hub(HubError),
    /// A checkpoint.
    Checkpoint(CheckpointError),
    /// The network or its device; the text is theirs.
    Network(String),
    /// An option whose value does not fit the model.
    Unfit {
        /// The option.
        option: &'static str,
        /// What was found.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// A request that cannot be answered.
    Request(Reason),
    /// A file or folder that could not be read or written.
    File {
        /// What was tried: "read" or "write".
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder for results that has some.
    Taken {
        /// What is there.
        path: PathBuf,
    },
    /// A step whose loss or gradient is not finite.
    NotFinite {
        /// Which step.
        step: u64,
        /// Loss or norm of the gradient.
        what: &'static str,
        /// What it is.
        found: f64,
        /// The last checkpoint that a step went well from.
        kept: Option<PathBuf>,
    },
    /// Somebody stopped the program before it had written anything.
    Interrupted,
    /// Somebody stopped the program.
    Stopped {
        /// After how many steps.
        step: u64,
        /// Where training goes on.
        kept: PathBuf,
    },
}

impl Error {
    /// Makes a [`Error::File`].
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// Makes a [`Error::Network`].
    pub fn network(e: impl fmt::Display) -> Self {
        Self::Network(e.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(e) => e.fmt(f),
            Self::Data(e) => e.fmt(f),
            Self::Tokenizer(e) => e.fmt(f),
            Self::Hub(e) => e.fmt(f),
            Self::Checkpoint(e) => e.fmt(f),
            Self::Network(text) => f.write_str(text),
            Self::Unfit { option, found, expected } => {
                write!(f, "{option}: found {found}, expected {expected}")
            }
            Self::Request(reason) => reason.fmt(f),
            Self::File { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Taken { path } => write!(
                f,
                "{} is there already: --resume goes on with it, --overwrite begins anew",
                path.display()
            ),
            Self::NotFinite { step, what, found, kept } => {
                write!(f, "step {step}: the {what} is {found}; ")?;
                match kept {
                    Some(path) => {
                        let path = path.display();
                        write!(f, "the last good checkpoint is {path}; try a lower --lr")
                    }
                    None if *step == 1 => {
                        f.write_str("the model is damaged, or --dtype too narrow for it")
                    }
                    None => f.write_str("there is no good checkpoint yet; try a lower --lr"),
                }
            }
            Self::Interrupted => f.write_str("stopped; nothing was written"),
            Self::Stopped { step, kept } => write!(
                f,
                "stopped after step {step}; {} has everything, --resume goes on",
                kept.display()
            ),
        }
    }
}

impl core::error::Error for Error {}

macro_rules! from {
    ($($error:ty => $variant:ident)*) => {
        $(impl From<$error> for Error {
            fn from(e: $error) -> Self {
                Self::$variant(e)
            }
        })*
    };
}

from! {
    UsageError => Usage
    DataError => Data
    TokenizerError => Tokenizer
    HubError => Hub
    CheckpointError => Checkpoint
    Reason => Request
}

impl<E: fmt::Display> From<BuildError<E>> for Error {
    fn from(e: BuildError<E>) -> Self {
        match e {
            BuildError::Hub(e) => Self::Hub(e),
            BuildError::Core(e) => Self::Network(e.to_string()),
        }
    }
}

impl<E: fmt::Display> From<decora::error::Error<E>> for Error {
    fn from(e: decora::error::Error<E>) -> Self {
        Self::network(e)
    }
}
