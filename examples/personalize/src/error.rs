//! What can go wrong, each in one line.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::data::DataError;
use crate::peft::PeftError;

/// Why a run ended early.
#[derive(Debug)]
pub enum Error {
    /// The images are not what they should be.
    Data(DataError),
    /// There is no such device, or it cannot be used; the text is the backend's.
    Device(String),
    /// A file could not be read or written.
    File {
        /// What was tried: "read" or "write".
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The library or the device refused; the text is theirs.
    Network {
        /// What was being done.
        what: String,
        /// The error, as text: device errors need not leave their thread.
        message: String,
    },
    /// An adapter's files are not what they should be.
    Peft(PeftError),
    /// A plot could not be drawn.
    Plot(String),
    /// An option that makes no sense.
    Usage(String),
    /// What was computed twice differs.
    Unequal {
        /// What was compared.
        what: String,
        /// The difference that was found.
        found: f64,
        /// The largest that is allowed.
        expected: f64,
    },
}

impl Error {
    /// For `map_err` where a file is opened, read or written.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }

    /// For `map_err` where a device is opened.
    pub fn device<E: fmt::Display>(e: E) -> Self {
        Self::Device(e.to_string())
    }

    /// For `map_err` on the library's errors.
    pub fn network<E: fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |e| Self::Network { what, message: e.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(e) => e.fmt(f),
            Self::File { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Network { what, message } => write!(f, "{what}: {message}"),
            Self::Peft(e) => e.fmt(f),
            Self::Plot(message) => write!(f, "plot: {message}"),
            Self::Device(message) | Self::Usage(message) => f.write_str(message),
            Self::Unequal { what, found, expected } => {
                write!(f, "{what}: found a difference of {found:e}, expected at most {expected:e}")
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Data(e) => Some(e),
            Self::File { source, .. } => Some(source),
            Self::Peft(e) => Some(e),
            Self::Device(_)
            | Self::Network { .. }
            | Self::Plot(_)
            | Self::Usage(_)
            | Self::Unequal { .. } => None,
        }
    }
}

impl From<DataError> for Error {
    fn from(e: DataError) -> Self {
        Self::Data(e)
    }
}

impl From<PeftError> for Error {
    fn from(e: PeftError) -> Self {
        Self::Peft(e)
    }
}
