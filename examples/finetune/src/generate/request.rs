//! What somebody wants a model to go on with.

use minijinja::Value;
use serde::{Deserialize, Serialize};

use crate::data::Reason;
use crate::options::Generate;

/// How an answer is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to continue.
    pub prompt: Prompt,
    /// The adapter's name; `None`: the one that is in use.
    pub adapter: Option<String>,
    /// Tokens to generate at most.
    pub max_tokens: usize,
    /// Spread of the choice among tokens; 0: always the most probable.
    pub temperature: f64,
    /// Tokens are chosen among the most probable that have this share together.
    pub top_p: f64,
    /// Decides the choices.
    pub seed: u64,
}

/// What to continue.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A text, as it is.
    Text(String),
    /// A conversation, through the chat template.
    Messages(Vec<Value>),
    /// Tokens, which are answered by tokens.
    Ids(Vec<u32>),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The tokens, for a prompt of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<u32>>,
    /// The adapter that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Tokens of the answer.
    pub tokens: usize,
    /// Whether it came to its end; else it has the most tokens that it may.
    pub ended: bool,
}

/// A line of requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: Option<String>,
    messages: Option<Vec<Value>>,
    input_ids: Option<Vec<u32>>,
    adapter: Option<String>,
    max_tokens: Option<usize>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<u64>,
}

impl Request {
    /// The request of the command line, if it has one.
    #[must_use]
    pub fn of_options(options: &Generate) -> Option<Self> {
        let prompt = match &options.prompt {
            Some(prompt) => text(prompt, options),
            None if options.ids.is_empty() => return None,
            None => Prompt::Ids(options.ids.clone()),
        };
        Some(Self::new(prompt, options))
    }

    /// The request for what follows a prompt, with what the options say.
    #[must_use]
    pub const fn new(prompt: Prompt, options: &Generate) -> Self {
        Self {
            prompt,
            adapter: None,
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            seed: options.seed,
        }
    }

    /// The request of a line: an object, or else a text.
    ///
    /// # Errors
    /// [`Reason`] for an object that is no request.
    pub fn of_line(line: &str, options: &Generate) -> Result<Self, Reason> {
        if !line.trim_start().starts_with('{') {
            return Ok(Self::new(text(line, options), options));
        }
        let line: Line = serde_json::from_str(line).map_err(|e| Reason::Json(e.to_string()))?;
        let range = |key, expected| Err(Reason::Kind { key, expected });
        if line.temperature.is_some_and(|t| !(t.is_finite() && t >= 0.0)) {
            return range("temperature", "a number from 0");
        }
        if line.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return range("top_p", "a number above 0, at most 1");
        }
        if line.max_tokens == Some(0) {
            return range("max_tokens", "a whole number from 1");
        }
        let prompt = match (line.prompt, line.messages, line.input_ids) {
            (Some(prompt), None, None) => text(&prompt, options),
            (None, Some(messages), None) => Prompt::Messages(messages),
            (None, None, Some(ids)) => Prompt::Ids(ids),
            _ => return range("prompt", "one of prompt, messages and input_ids"),
        };
        let base = Self::new(prompt, options);
        Ok(Self {
            adapter: line.adapter,
            max_tokens: line.max_tokens.unwrap_or(base.max_tokens),
            temperature: line.temperature.unwrap_or(base.temperature),
            top_p: line.top_p.unwrap_or(base.top_p),
            seed: line.seed.unwrap_or(base.seed),
            ..base
        })
    }
}

/// A text to continue, or what a user says.
fn text(text: &str, options: &Generate) -> Prompt {
    match options.chat {
        true => Prompt::Messages(vec![Value::from_pairs([("role", "user"), ("content", text)])]),
        false => Prompt::Text(text.to_owned()),
    }
}
