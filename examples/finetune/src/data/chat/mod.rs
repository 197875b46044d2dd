//! Chat templates: conversations as text, as transformers' `apply_chat_template` renders them, and which
//! parts of that text the assistant says.
//!
//! A template may mark what the assistant says with `{% generation %}`. Else both ends of a turn are
//! looked for, each in two ways:
//!
//! 1. Where the template is *prefix-stable*, the conversation up to the turn, with a generation prompt,
//!    renders to a beginning of the whole text, which ends where the turn begins; and the conversation
//!    with the turn to one that ends where it ends, after the tokens that end it.
//! 2. Where it is not (it removes the reasoning of earlier turns, say), the whole is rendered once more
//!    with a mark at that end of the turn's content. If nothing else changes, the turn ends there, and
//!    the white space that its content ends with, and special tokens that follow at once, belong to it. It begins after the last generation prompt
//!    before its end, or where there is none, at the mark.
//!
//! A turn that neither finds makes the line unusable, with [`Reason::Place`].

mod environment;
mod json;
mod marks;
mod messages;
mod time;

use core::ops::Range;

use minijinja::{Environment, Value};

use super::error::Reason;
use environment::NAME;
use marks::{Marked, marked};

/// A conversation as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// All of it.
    pub text: String,
    /// What the assistant says, in order.
    pub answers: Vec<Answer>,
}

/// A part of a text that the assistant says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it is.
    pub bytes: Range<usize>,
    /// Whether it lacks the special tokens that end a turn.
    pub open: bool,
}

/// A chat template, and the special tokens that it may name.
#[derive(Clone, Debug)]
pub struct Chat {
    environment: Environment<'static>,
    marking: Environment<'static>,
    tokens: Vec<(String, Value)>,
    generation: bool,
}

impl Chat {
    /// Compiles a template. `tokens` are variables such as `bos_token`.
    ///
    /// # Errors
    /// The line and the reason, where it is no template.
    pub fn new(template: &str, tokens: Vec<(String, Value)>) -> Result<Self, String> {
        Ok(Self {
            environment: environment::plain(template)?,
            marking: environment::marking(template)?,
            tokens,
            generation: environment::has_generation(template),
        })
    }

    /// The conversation as text; with `prompt`, up to where the assistant's next turn begins.
    ///
    /// # Errors
    /// [`Reason::Template`], with the template's own words if it raises an exception.
    pub fn render(
        &self,
        messages: &[Value],
        tools: &Value,
        prompt: bool,
    ) -> Result<String, Reason> {
        self.with(&self.environment, messages, tools, prompt)
    }

    fn with(
        &self,
        environment: &Environment<'_>,
        messages: &[Value],
        tools: &Value,
        prompt: bool,
    ) -> Result<String, Reason> {
        let tools = if tools.is_undefined() { Value::from(()) } else { tools.clone() };
        let mut variables = vec![
            ("messages".to_owned(), Value::from_iter(messages.iter().map(messages::prepared))),
            ("tools".to_owned(), tools),
            ("documents".to_owned(), Value::from(())),
            ("add_generation_prompt".to_owned(), Value::from(prompt)),
        ];
        variables.extend(self.tokens.iter().cloned());
        let template = environment.get_template(NAME).map_err(|e| refused(&e))?;
        template.render(Value::from_pairs(variables)).map_err(|e| refused(&e))
    }

    /// The conversation as text, and what of it the assistant says.
    ///
    /// # Errors
    /// [`Reason`]; [`Reason::Place`] for an answer whose place cannot be told.
    pub fn conversation(&self, messages: &[Value], tools: &Value) -> Result<Rendered, Reason> {
        let text = self.render(messages, tools, false)?;
        if self.generation {
            let marked = self.with(&self.marking, messages, tools, false)?;
            let answers = marks::spans(&marked);
            let closed = |bytes| Answer { bytes, open: false };
            return Ok(Rendered { text, answers: answers.into_iter().map(closed).collect() });
        }
        let assistant = (0..messages.len()).filter(|&i| is_assistant(messages.get(i)));
        let answers = assistant.map(|i| self.answer(messages, i, tools, &text));
        let answers = answers.collect::<Result<_, _>>()?;
        Ok(Rendered { text, answers })
    }

    /// Where message `i` is in the text: each end by the conversation up to it, else by a mark or by
    /// the words that open a turn.
    fn answer(
        &self,
        messages: &[Value],
        i: usize,
        tools: &Value,
        text: &str,
    ) -> Result<Answer, Reason> {
        let start = self.prefix(messages.get(..i), tools, true, text);
        let end = self.prefix(messages.get(..=i), tools, false, text);
        let marks = match (start, end) {
            (Some(_), Some(_)) => Marked::default(),
            _ => self.marks(messages, i, tools, text)?,
        };
        let open = end.is_none();
        let end = end.or(marks.end);
        let start = start.or_else(|| self.after_opening(messages, tools, text.get(..end?)?));
        match (start.or(marks.begin), end) {
            (Some(start), Some(end)) if start <= end => Ok(Answer { bytes: start..end, open }),
            _ => Err(Reason::Place { message: i }),
        }
    }

    /// The length of a part of the conversation, if it is a beginning of `text`. A template may refuse
    /// a part, one without a user say: then it is none.
    fn prefix(
        &self,
        part: Option<&[Value]>,
        tools: &Value,
        prompt: bool,
        text: &str,
    ) -> Option<usize> {
        let part = self.render(part?, tools, prompt).ok()?;
        text.starts_with(&part).then_some(part.len())
    }

    /// The end of the last generation prompt in `text`.
    fn after_opening(&self, messages: &[Value], tools: &Value, text: &str) -> Option<usize> {
        let closed = self.render(messages, tools, false).ok()?;
        let opened = self.render(messages, tools, true).ok()?;
        let opening = opened.strip_prefix(&closed).filter(|opening| !opening.is_empty())?;
        Some(text.rfind(opening)? + opening.len())
    }

    /// Where marks around the content of message `i` are, if they change nothing else.
    fn marks(
        &self,
        messages: &[Value],
        i: usize,
        tools: &Value,
        text: &str,
    ) -> Result<Marked, Reason> {
        let (message, after) = messages.get(i).map(marked).unwrap_or_default();
        let one = |(j, m): (usize, &Value)| if i == j { message.clone() } else { m.clone() };
        let with_marks: Vec<Value> = messages.iter().enumerate().map(one).collect();
        let mut found = Marked::read(&self.render(&with_marks, tools, false)?);
        if found.text != text {
            return Err(Reason::Place { message: i });
        }
        // White space that is left at the end of a content stands before the tokens that end the turn.
        let left = |&end: &usize| text.get(end..).is_some_and(|rest| rest.starts_with(&after));
        found.end = found.end.filter(left).map(|end| end + after.len()).or(found.end);
        Ok(found)
    }
}

fn is_assistant(message: Option<&Value>) -> bool {
    let role = message.and_then(|m| m.get_attr("role").ok());
    role.as_ref().and_then(|r| r.as_str()) == Some("assistant")
}

/// The template's own words where it raises an exception, else the engine's.
fn refused(e: &minijinja::Error) -> Reason {
    let text = e.detail().map_or_else(|| e.kind().to_string(), str::to_owned);
    let line = e.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
    Reason::Template(text + &line)
}

#[cfg(test)]
mod tests;
