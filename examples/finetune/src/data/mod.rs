//! Data: files of JSON lines, each an example in one of five formats.
//!
//! | keys | what is learned |
//! |---|---|
//! | `messages` | what the assistant says, through the tokenizer's chat template; see [`chat`] |
//! | `prompt`, `completion` | the completion, and that the text ends there |
//! | `text` | all of it, and that it ends there |
//! | `text`, `label` | the class; for classifiers |
//! | `input_ids`, `labels` | the labels; aligned with the ids, −100 does not count |

pub mod chat;
mod encode;
mod error;
mod line;
mod pack;
mod tokens;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

pub use encode::{Encoder, Example, Goal, IGNORED, Labels};
pub use error::{DataError, Reason};
pub use line::{Label, Line};
pub use pack::{Row, apart, pack};
pub use tokens::{Encoded, TokenizerError, Tokens};

use crate::words::count;

/// Examples, and what was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// In the order of the files.
    pub examples: Vec<Example>,
    /// What was read.
    pub count: Count,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    /// Lines that are not blank.
    pub lines: usize,
    /// Lines that cannot be used.
    pub bad: usize,
    /// Examples that lost tokens beyond the context.
    pub cut: usize,
    /// The first line that cannot be used: which, and why.
    pub first_bad: Option<(PathBuf, usize, Reason)>,
}

impl Dataset {
    /// Reads files. With `skip`, lines that cannot be used are counted; else the first one is an error.
    ///
    /// # Errors
    /// [`DataError`]; [`DataError::Nothing`] also when all lines were skipped.
    pub fn load(paths: &[PathBuf], encoder: &Encoder, skip: bool) -> Result<Self, DataError> {
        let mut dataset = Self::default();
        for path in paths {
            let before = dataset.count.lines;
            dataset.append(path, encoder, skip)?;
            if dataset.count.lines == before {
                return Err(DataError::Empty { path: path.clone() });
            }
        }
        if dataset.examples.is_empty() {
            let path = paths.first().cloned().unwrap_or_default();
            let first = dataset.count.first_bad.map(|(_, line, reason)| (line, reason));
            return Err(DataError::Nothing { path, lines: dataset.count.lines, first });
        }
        Ok(dataset)
    }

    fn append(&mut self, path: &Path, encoder: &Encoder, skip: bool) -> Result<(), DataError> {
        let file_error = |source| DataError::File { path: path.to_owned(), source };
        let file = BufReader::new(File::open(path).map_err(file_error)?);
        for (i, bytes) in file.split(b'\n').enumerate() {
            let (bytes, line) = (bytes.map_err(file_error)?, i + 1);
            let bytes =
                bytes.strip_prefix("\u{FEFF}".as_bytes()).filter(|_| i == 0).unwrap_or(&bytes);
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            self.count.lines += 1;
            match example(bytes, encoder) {
                Ok((example, cut)) => {
                    self.examples.push(example);
                    self.count.cut += usize::from(cut);
                }
                Err(reason) if skip => {
                    self.count.bad += 1;
                    self.count.first_bad.get_or_insert((path.to_owned(), line, reason));
                }
                Err(reason) => {
                    return Err(DataError::Line { path: path.to_owned(), line, reason });
                }
            }
        }
        Ok(())
    }

    /// The number of tokens of each example.
    #[must_use]
    pub fn lengths(&self) -> Vec<usize> {
        self.examples.iter().map(|example| example.ids.len()).collect()
    }
}

fn example(bytes: &[u8], encoder: &Encoder) -> Result<(Example, bool), Reason> {
    let no_text = |e: core::str::Utf8Error| Reason::Json(format!("the line is no UTF-8: {e}"));
    let text = core::str::from_utf8(bytes).map_err(no_text)?;
    encoder.example(Line::parse(text)?)
}

impl core::fmt::Display for Count {
    /// What was left out; nothing where nothing was.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some((path, line, reason)) = &self.first_bad {
            let (bad, lines) = (self.bad, count(self.lines, "line"));
            write!(f, "{bad} of {lines} left out; {}, line {line}: {reason}", path.display())?;
        }
        if self.bad > 0 && self.cut > 0 {
            f.write_str("; ")?;
        }
        if self.cut > 0 {
            write!(f, "{} cut off at the context", count(self.cut, "example"))?;
        }
        Ok(())
    }
}
