//! From a line to an example: tokens, and what is learned of them.

use core::ops::Range;

use minijinja::Value;

use super::chat::{Answer, Rendered};
use super::error::Reason;
use super::line::{Label, Line};
use super::tokens::{Encoded, Tokens};

/// The label of a row that does not count.
pub const IGNORED: u32 = u32::MAX;
/// The label in files of a token that does not count.
const MASKED: i64 = -100;

/// What a model learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The next token.
    NextToken,
    /// The class of a text; the names of all, in order.
    Class(Vec<String>),
}

/// A sequence of tokens, and what is learned of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Tokens.
    pub ids: Vec<u32>,
    /// The kind of segment of each; empty: all 0.
    pub types: Vec<u32>,
    /// What is learned.
    pub labels: Labels,
}

/// What is learned of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// For each token the next one, or [`IGNORED`].
    Next(Vec<u32>),
    /// The class of the whole.
    Class(u32),
}

impl Example {
    /// How many labels count.
    #[must_use]
    pub fn counted(&self) -> usize {
        match &self.labels {
            Labels::Next(labels) => labels.iter().filter(|&&label| label != IGNORED).count(),
            Labels::Class(_) => 1,
        }
    }
}

/// What lines are for.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// The tokenizer, where the model has one.
    pub tokens: Option<Tokens>,
    /// What the model learns.
    pub goal: Goal,
    /// How many tokens the model has.
    pub vocabulary: usize,
    /// The most tokens of an example.
    pub context: usize,
    /// Whether prompts, and what users say, count.
    pub with_prompt: bool,
}

impl Encoder {
    /// The example that a line is, and whether tokens were cut off.
    ///
    /// # Errors
    /// [`Reason`].
    pub fn example(&self, line: Line) -> Result<(Example, bool), Reason> {
        match (&self.goal, line) {
            (Goal::NextToken, Line::Messages { messages, tools }) => self.chat(&messages, &tools),
            (Goal::NextToken, Line::Pair { prompt, completion }) => {
                let start = if self.with_prompt { 0 } else { prompt.len() };
                let text = prompt + &completion;
                self.text(&text, start)
            }
            (Goal::NextToken, Line::Text(text)) => self.text(&text, 0),
            (Goal::NextToken, Line::Ids { ids, labels }) => self.ids(&ids, labels.as_deref()),
            (Goal::Class(names), Line::Labelled { text, pair, label }) => {
                let tokens = self.tokens()?;
                let encoded = tokens.encode_pair(&text, pair.as_deref(), true, self.context)?;
                self.known(&encoded.ids)?;
                let labels = Labels::Class(class(names, &label)?);
                let Encoded { ids, types, cut, .. } = encoded;
                Ok((Example { ids, types, labels }, cut))
            }
            (Goal::Class(names), Line::LabelledIds { ids, mut types, label }) => {
                let labels = Labels::Class(class(names, &label)?);
                if !types.is_empty() && types.len() != ids.len() {
                    let (ids, found, what) = (ids.len(), types.len(), "token_type_ids");
                    return Err(Reason::Lengths { ids, found, what });
                }
                let (ids, cut) = self.checked(&ids)?;
                types.truncate(ids.len());
                Ok((Example { ids, types, labels }, cut))
            }
            (goal, line) => Err(unfit(goal, &line)),
        }
    }

    fn tokens(&self) -> Result<&Tokens, Reason> {
        self.tokens.as_ref().ok_or(Reason::NoTokenizer)
    }

    /// A text of which everything from byte `start` on is learned, and that it ends there.
    fn text(&self, text: &str, start: usize) -> Result<(Example, bool), Reason> {
        let tokens = self.tokens()?;
        let mut encoded = tokens.encode(text, true, usize::MAX)?;
        if let Some(eos) = tokens.eos.filter(|eos| encoded.ids.last() != Some(eos)) {
            encoded.ids.push(eos);
            encoded.offsets.push(text.len()..text.len() + 1);
        }
        self.next_token(encoded, core::slice::from_ref(&(start..usize::MAX)), start == 0)
    }

    fn chat(&self, messages: &[Value], tools: &Value) -> Result<(Example, bool), Reason> {
        let tokens = self.tokens()?;
        let chat = tokens.chat(tools)?;
        if self.with_prompt {
            let text = chat.render(messages, tools, false)?;
            let encoded = tokens.encode(&text, false, usize::MAX)?;
            return self.next_token(encoded, &[], true);
        }
        let Rendered { text, answers } = chat.conversation(messages, tools)?;
        let encoded = tokens.encode(&text, false, usize::MAX)?;
        let bytes = answers.into_iter().map(|answer| closed(tokens, &encoded, answer));
        let bytes: Vec<_> = bytes.collect();
        self.next_token(encoded, &bytes, false)
    }

    /// An example of tokens, of which those count that are in `spans` of the text: those that share a
    /// byte with one, and with `all` also those that are not in the text.
    fn next_token(
        &self,
        encoded: Encoded,
        spans: &[Range<usize>],
        all: bool,
    ) -> Result<(Example, bool), Reason> {
        let Encoded { mut ids, offsets, .. } = encoded;
        let cut = ids.len() > self.context;
        ids.truncate(self.context);
        self.known(&ids)?;
        let within = |token: &Range<usize>| {
            spans.iter().any(|span| token.start < span.end && span.start < token.end)
        };
        let trained = offsets.iter().map(|token| all || within(token));
        let aligned =
            ids.iter().zip(trained).map(|(&id, trained)| if trained { id } else { IGNORED });
        let labels = shifted(aligned);
        counted(Example { ids, types: Vec::new(), labels: Labels::Next(labels) }, cut)
    }

    fn ids(&self, ids: &[i64], labels: Option<&[i64]>) -> Result<(Example, bool), Reason> {
        let labels = labels.unwrap_or(ids);
        if labels.len() != ids.len() {
            let (ids, found, what) = (ids.len(), labels.len(), "labels");
            return Err(Reason::Lengths { ids, found, what });
        }
        let (ids, cut) = self.checked(ids)?;
        let label = |&label: &i64| match label {
            MASKED => Ok(IGNORED),
            label => self.token(label, "labels"),
        };
        let aligned = labels.iter().map(label).collect::<Result<Vec<_>, _>>()?;
        let labels = shifted(aligned.into_iter().take(ids.len()));
        counted(Example { ids, types: Vec::new(), labels: Labels::Next(labels) }, cut)
    }

    /// Ids as numbers of tokens that the model has, and whether some were cut off.
    fn checked(&self, ids: &[i64]) -> Result<(Vec<u32>, bool), Reason> {
        let known = ids.iter().map(|&id| self.token(id, "input_ids"));
        let mut known = known.collect::<Result<Vec<_>, _>>()?;
        if known.is_empty() {
            return Err(Reason::NothingToTrain);
        }
        known.truncate(self.context);
        Ok((known, ids.len() > self.context))
    }

    fn token(&self, id: i64, at: &'static str) -> Result<u32, Reason> {
        let known = u32::try_from(id).ok().filter(|&id| (id as usize) < self.vocabulary);
        known.ok_or(Reason::Token { id, at, vocabulary: self.vocabulary })
    }

    fn known(&self, ids: &[u32]) -> Result<(), Reason> {
        let at = "tokenizer.json (is it this model's?)";
        ids.iter().try_for_each(|&id| self.token(i64::from(id), at).map(|_| ()))
    }
}

/// The bytes of an answer, with the special tokens that follow it at once if it lacks them.
fn closed(tokens: &Tokens, encoded: &Encoded, answer: Answer) -> Range<usize> {
    let Answer { mut bytes, open } = answer;
    for (&id, offset) in encoded.ids.iter().zip(&encoded.offsets) {
        if open && offset.start == bytes.end && !offset.is_empty() && tokens.is_special(id) {
            bytes.end = offset.end;
        }
    }
    bytes
}

/// Labels that stand at the tokens before theirs.
fn shifted(aligned: impl Iterator<Item = u32>) -> Vec<u32> {
    aligned.skip(1).chain(core::iter::once(IGNORED)).collect()
}

fn counted(example: Example, cut: bool) -> Result<(Example, bool), Reason> {
    if example.counted() == 0 { Err(Reason::NothingToTrain) } else { Ok((example, cut)) }
}

fn class(names: &[String], label: &Label) -> Result<u32, Reason> {
    let number = match label {
        Label::Number(n) => usize::try_from(*n).ok().filter(|&n| n < names.len()),
        Label::Name(name) => names.iter().position(|n| n == name),
    };
    let found = || match label {
        Label::Number(n) => n.to_string(),
        Label::Name(name) => format!("{name:?}"),
    };
    let number = number.and_then(|n| u32::try_from(n).ok());
    number.ok_or_else(|| Reason::Class { found: found(), classes: names.to_vec() })
}

fn unfit(goal: &Goal, line: &Line) -> Reason {
    let format = match line {
        Line::Messages { .. } => "messages",
        Line::Pair { .. } => "prompt and completion",
        Line::Text(_) => "text without label",
        Line::Labelled { .. } => "text and label",
        Line::Ids { .. } => "input_ids and a list of labels",
        Line::LabelledIds { .. } => "input_ids and a label",
    };
    let expected = match goal {
        Goal::NextToken => {
            "messages, prompt and completion, text, or input_ids and a list of labels"
        }
        Goal::Class(_) => "text and label, or input_ids and label",
    };
    Reason::Model { format, expected }
}
