//! What can be wrong with a checkpoint.

use core::fmt;
use std::io;
use std::path::PathBuf;

/// Why training cannot go on from a checkpoint, or cannot write one.
#[derive(Debug)]
pub enum CheckpointError {
    /// A file or folder that could not be read or written.
    File {
        /// What was tried: "read" or "write".
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder without a checkpoint.
    None {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is not what it should be.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A run with other settings, data or model.
    Other {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        what: String,
        /// In the checkpoint.
        then: String,
        /// Now.
        now: String,
    },
    /// A parameter that is not in the checkpoint, or of another size there.
    Parameter {
        /// The file.
        path: PathBuf,
        /// The parameter.
        name: String,
        /// Numbers in the checkpoint; `None`: it is not there.
        found: Option<usize>,
        /// Numbers in the network.
        expected: usize,
    },
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::None { path } => {
                write!(f, "{}: found no checkpoint; train without --resume", path.display())
            }
            Self::Damaged { path, reason } => {
                write!(
                    f,
                    "{}: {reason}; remove the folder to go on from an earlier one",
                    path.display()
                )
            }
            Self::Other { path, what, then, now } => write!(
                f,
                "{}: {what} was {then} and is {now}; use what it was, or --overwrite to begin anew",
                path.display()
            ),
            Self::Parameter { path, name, found, expected } => {
                write!(f, "{}: {name}: ", path.display())?;
                match found {
                    Some(found) => write!(f, "found {found} numbers, expected {expected}"),
                    None => f.write_str("not found"),
                }
            }
        }
    }
}

impl core::error::Error for CheckpointError {}
