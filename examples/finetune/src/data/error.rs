//! What can be wrong with data, by file and line.

use core::fmt;
use std::io;
use std::path::PathBuf;

/// Classes whose names are told.
const NAMED: usize = 8;

/// Keys of formats that others use, and what to write instead.
const FOREIGN: [(&str, &str); 4] = [
    ("instruction", "write instruction and input as the prompt, and output as the completion"),
    ("conversations", "write them as messages, with role and content"),
    ("question", "write the question as the prompt, and the answer as the completion"),
    ("chosen", "write prompt and chosen as prompt and completion: preferences are not learned"),
];

/// Why data cannot be used.
#[derive(Debug)]
pub enum DataError {
    /// A file that cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that cannot be used.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        reason: Reason,
    },
    /// A file without lines.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Files of which no line can be used.
    Nothing {
        /// The first file.
        path: PathBuf,
        /// Lines that were looked at.
        lines: usize,
        /// Why the first one cannot be used, and its number.
        first: Option<(usize, Reason)>,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Line { path, line, reason } => {
                write!(f, "{}, line {line}: {reason}", path.display())
            }
            Self::Empty { path } => {
                write!(f, "{}: empty, expected a JSON object on each line", path.display())
            }
            Self::Nothing { path, lines, first } => {
                write!(f, "{}: none of {lines} lines can be used", path.display())?;
                match first {
                    Some((line, reason)) => write!(f, "; line {line}: {reason}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl core::error::Error for DataError {}

/// Why a line cannot be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No JSON, or no object; the text is the parser's.
    Json(String),
    /// An object without the keys of any format.
    Format {
        /// Its keys.
        keys: Vec<String>,
    },
    /// A value of another kind than its key needs.
    Kind {
        /// The key.
        key: &'static str,
        /// What is needed.
        expected: &'static str,
    },
    /// A format that this kind of model is not trained with.
    Model {
        /// The format.
        format: &'static str,
        /// The formats to use instead.
        expected: &'static str,
    },
    /// A text for a model without a tokenizer.
    NoTokenizer,
    /// The tokenizer cannot read the text.
    Tokenizer(String),
    /// Messages for a tokenizer without a chat template.
    NoTemplate,
    /// The chat template cannot render the messages.
    Template(String),
    /// The chat template renders an answer differently when it is followed by other messages, so that
    /// its place cannot be told.
    Place {
        /// The message, from 0.
        message: usize,
    },
    /// A token id that the model does not have.
    Token {
        /// The id.
        id: i64,
        /// Where it stands.
        at: &'static str,
        /// How many ids there are.
        vocabulary: usize,
    },
    /// Lists that must be of one length and are not.
    Lengths {
        /// Ids.
        ids: usize,
        /// The others.
        found: usize,
        /// Which.
        what: &'static str,
    },
    /// A class that the model does not have.
    Class {
        /// The class.
        found: String,
        /// The names of those that it has.
        classes: Vec<String>,
    },
    /// Fewer than two tokens, or no label left that counts.
    NothingToTrain,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(text) => write!(f, "no JSON object: {text}"),
            Self::Format { keys } => {
                write!(
                    f,
                    "found the keys {keys:?}, expected messages, prompt and completion, text, text and \
                     label, or input_ids and labels"
                )?;
                let has = |key: &str| keys.iter().any(|found| found == key);
                let known = FOREIGN.iter().find(|(key, _)| has(key));
                known.map_or(Ok(()), |(_, instead)| write!(f, "; {instead}"))
            }
            Self::Kind { key, expected } => write!(f, "{key:?}: expected {expected}"),
            Self::Model { format, expected } => {
                write!(f, "{format} does not fit this model, which takes {expected}")
            }
            Self::NoTokenizer => f.write_str(
                "the model's folder has no tokenizer.json: give input_ids and labels instead, or make it \
                 with AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers",
            ),
            Self::Tokenizer(text) => write!(f, "the tokenizer cannot read the text: {text}"),
            Self::NoTemplate => f.write_str(
                "the tokenizer has no chat template: give prompt and completion, or put \
                 chat_template.jinja into the model's folder",
            ),
            Self::Template(text) => write!(f, "the chat template refuses the messages: {text}"),
            Self::Place { message } => write!(
                f,
                "the chat template renders message {message} differently when others follow: split \
                 the conversation, or give prompt and completion"
            ),
            Self::Token { id, at, vocabulary } => {
                write!(
                    f,
                    "{at}: found token {id}, but the model has tokens 0 to {}",
                    vocabulary.saturating_sub(1)
                )
            }
            Self::Lengths { ids, found, what } => {
                write!(f, "found {ids} input_ids and {found} {what}, expected as many")
            }
            Self::Class { found, classes } => {
                let last = classes.len().saturating_sub(1);
                write!(f, "label: found {found}, but the model has the classes 0 to {last}: ")?;
                let named = classes.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>();
                let more = if classes.len() > NAMED { ", ..." } else { "" };
                write!(f, "{}{more}", named.join(", "))
            }
            Self::NothingToTrain => f.write_str(
                "no token is left to train on: all labels are -100, or cut off by --context, or \
                 there are fewer than two tokens",
            ),
        }
    }
}
