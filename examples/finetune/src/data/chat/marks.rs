//! Marks in a text that say where something begins and ends.

use core::ops::Range;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::messages::pairs;

/// Where something begins: a character that no text has (Unicode leaves it to private use).
pub(super) const BEGIN: char = '\u{F7A31}';
/// Where it ends.
pub(super) const END: char = '\u{F7A32}';

/// A text that had marks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marked {
    /// Without them.
    pub(super) text: String,
    /// The byte of the first that begins something.
    pub(super) begin: Option<usize>,
    /// The byte of the last that ends something.
    pub(super) end: Option<usize>,
}

impl Marked {
    /// Takes the marks out of a text.
    pub(super) fn read(rendered: &str) -> Self {
        let mut marked = Self::default();
        for c in rendered.chars() {
            let at = marked.text.len();
            match c {
                BEGIN => marked.begin = marked.begin.or(Some(at)),
                END => marked.end = Some(at),
                c => marked.text.push(c),
            }
        }
        marked
    }
}

/// The bytes between marks, in the text without them.
pub(super) fn spans(rendered: &str) -> Vec<Range<usize>> {
    let (mut at, mut begin, mut spans) = (0, None, Vec::new());
    for c in rendered.chars() {
        match c {
            BEGIN => begin = Some(at),
            END => spans.extend(begin.take().map(|begin| begin..at)),
            c => at += c.len_utf8(),
        }
    }
    spans
}

/// The message with marks around what it says, within the white space that a template may trim, if it is
/// the assistant's; and that white space after it.
pub(super) fn marked(message: &Value) -> (Value, String) {
    let content = message.get_attr("content").unwrap_or_default();
    if !super::is_assistant(Some(message)) {
        return (message.clone(), String::new());
    }
    let (content, after) = match content.as_str() {
        Some(text) => around(text),
        None if content.kind() == ValueKind::Seq => parts(&content),
        None => return (message.clone(), String::new()),
    };
    (with(message, "content", &content), after)
}

/// The text with marks, and the white space after them.
fn around(text: &str) -> (Value, String) {
    let inner = text.trim();
    let (before, rest) = text.split_at(text.len() - text.trim_start().len());
    let after = rest.get(inner.len()..).unwrap_or_default();
    (Value::from(format!("{before}{BEGIN}{inner}{END}{after}")), after.to_owned())
}

/// The parts of a content, of which those that are texts have marks.
fn parts(content: &Value) -> (Value, String) {
    let mut last = String::new();
    let part = |part: Value| match part.get_attr("text").unwrap_or_default().as_str() {
        Some(text) => {
            let (text, after) = around(text);
            last = after;
            with(&part, "text", &text)
        }
        None => part,
    };
    let parts: Vec<Value> = content.try_iter().into_iter().flatten().map(part).collect();
    (Value::from(parts), last)
}

/// The map with another value for a key that it has.
fn with(map: &Value, name: &str, new: &Value) -> Value {
    let pairs = pairs(map).into_iter().map(|(key, value)| {
        let value = if key.as_str() == Some(name) { new.clone() } else { value };
        (key, value)
    });
    Value::from_pairs(pairs.collect::<Vec<_>>())
}
