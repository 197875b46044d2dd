//! What is asked for, as a line of standard input.

use minijinja::Value;
use serde::Deserialize;

use super::Sampling;
use crate::data::{Reason, Tokens};
use crate::error::Error;
use crate::options::Generate;

/// What is to be continued.
#[derive(Clone, Debug)]
pub enum Input {
    /// A text.
    Text(String),
    /// A conversation.
    Messages(Vec<Value>),
    /// Tokens.
    Ids(Vec<u32>),
}

/// A text to continue, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The text.
    pub input: Input,
    /// With which adapter; `None`: the first.
    pub adapter: Option<String>,
    /// The most tokens of the answer.
    pub max_tokens: usize,
    /// How each is chosen.
    pub sampling: Sampling,
}

#[derive(Debug, Deserialize)]
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
    /// The request that the options make of `input`.
    #[must_use]
    pub fn new(options: &Generate, input: Input) -> Self {
        let Generate { temperature, top_p, seed, max_tokens, .. } = *options;
        let sampling = Sampling { temperature, top_p, seed };
        Self { input, adapter: None, max_tokens, sampling }
    }

    /// The request for a text.
    #[must_use]
    pub fn of_text(options: &Generate, prompt: &str) -> Self {
        Self::new(options, text(options, prompt.to_owned()))
    }

    /// The request of a line: a JSON object, or else a text; what it does not say is as in the options.
    ///
    /// # Errors
    /// [`Error::Request`] for an object with other keys or values.
    pub fn parse(options: &Generate, line: &str) -> Result<Self, Error> {
        if !line.trim_start().starts_with('{') {
            return Ok(Self::of_text(options, line));
        }
        let line: Line = serde_json::from_str(line).map_err(|e| Reason::Json(e.to_string()))?;
        let input = match (line.prompt, line.messages, line.input_ids) {
            (Some(prompt), None, None) => text(options, prompt),
            (None, Some(messages), None) => Input::Messages(messages),
            (None, None, Some(ids)) => Input::Ids(ids),
            _ => return Err(wrong("prompt", "one of prompt, messages and input_ids")),
        };
        let of_options = Self::new(options, input);
        let sampling = Sampling {
            temperature: line.temperature.unwrap_or(options.temperature),
            top_p: line.top_p.unwrap_or(options.top_p),
            seed: line.seed.unwrap_or(options.seed),
        };
        let max_tokens = line.max_tokens.unwrap_or(options.max_tokens);
        Self { adapter: line.adapter, max_tokens, sampling, ..of_options }.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        let Sampling { temperature, top_p, .. } = self.sampling;
        match () {
            () if !(temperature.is_finite() && temperature >= 0.0) => {
                Err(wrong("temperature", "a number from 0"))
            }
            () if !(top_p > 0.0 && top_p <= 1.0) => {
                Err(wrong("top_p", "a number above 0, at most 1"))
            }
            () if self.max_tokens == 0 => Err(wrong("max_tokens", "a whole number from 1")),
            () => Ok(self),
        }
    }

    /// The tokens to continue.
    ///
    /// # Errors
    /// [`Error::Request`] for a text without a tokenizer, or a conversation without a chat template.
    pub fn tokens(&self, tokens: Option<&Tokens>) -> Result<Vec<u32>, Error> {
        let known = || tokens.ok_or(Reason::NoTokenizer);
        Ok(match &self.input {
            Input::Ids(ids) => ids.clone(),
            Input::Text(text) => known()?.encode(text, true, usize::MAX)?.ids,
            Input::Messages(messages) => {
                let text = known()?.chat()?.render(messages, &Value::UNDEFINED, true)?;
                known()?.encode(&text, false, usize::MAX)?.ids
            }
        })
    }
}

/// A text, through the chat template where the options say so.
fn text(options: &Generate, text: String) -> Input {
    match options.chat {
        true => Input::Messages(vec![Value::from_iter([("role", "user"), ("content", &*text)])]),
        false => Input::Text(text),
    }
}

fn wrong(key: &'static str, expected: &'static str) -> Error {
    Reason::Kind { key, expected }.into()
}
