//! What can be wrong with a folder, a file or a tensor: which one, what was found, what was expected.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why something cannot be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubError {
    /// A file or folder cannot be read or written.
    Io {
        /// "read", "write", ...
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not the JSON it should be.
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A setting is missing, wrong, or not supported.
    Setting {
        /// In which file.
        path: PathBuf,
        /// The key, with dots between levels.
        key: String,
        /// Its value; "nothing" when it is not there.
        found: String,
        /// What it can be.
        expected: String,
    },
    /// A file of tensors is damaged.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A tensor is not as it should be: of another shape or format, there twice, or not finite.
    Tensor {
        /// In which file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A tensor that is needed is not there.
    Missing {
        /// The file or folder that should have it.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
    },
    /// A tensor that belongs to nothing.
    Unexpected {
        /// In which file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
        /// What is expected instead.
        expected: String,
    },
}

impl HubError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn setting(
        path: &Path,
        key: impl Into<String>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        let (key, expected) = (key.into(), expected.into());
        Self::Setting { path: path.to_path_buf(), key, found: found.to_string(), expected }
    }

    pub(crate) fn damaged(
        path: &Path,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self::Damaged { path: path.to_path_buf(), found, expected }
    }

    pub(crate) fn tensor(
        path: &Path,
        tensor: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (tensor, found, expected) = (tensor.into(), found.into(), expected.into());
        Self::Tensor { path: path.to_path_buf(), tensor, found, expected }
    }

    /// Whether a file could not be written because no space is left.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } if is_full(source) => {
                write!(
                    f,
                    "cannot {action} {}: the disk is full, make space and try again",
                    at(path)
                )
            }
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", at(path))
            }
            Self::Json { path, message } => write!(f, "{}: {message}", at(path)),
            Self::Setting { path, key, found, expected } => {
                write!(f, "{}: {key}: found {found}, expected {expected}", at(path))
            }
            Self::Damaged { path, found, expected } => {
                write!(f, "{}: found {found}, expected {expected}", at(path))
            }
            Self::Tensor { path, tensor, found, expected } => {
                write!(f, "{}: {tensor}: found {found}, expected {expected}", at(path))
            }
            Self::Missing { path, tensor } => {
                write!(f, "{}: found no tensor {tensor}, expected one", at(path))
            }
            Self::Unexpected { path, tensor, expected } => {
                write!(f, "{}: found tensor {tensor}, expected {expected}", at(path))
            }
        }
    }
}

fn at(path: &Path) -> std::path::Display<'_> {
    path.display()
}

impl core::error::Error for HubError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
