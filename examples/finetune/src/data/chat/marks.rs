//! Marks in a text that say where something begins and ends.

use core::ops::Range;

use minijinja::Value;

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
/// the assistant's.
pub(super) fn marked(message: &Value) -> Value {
    let content = message.get_attr("content").unwrap_or_default();
    let (true, Some(content)) = (super::is_assistant(Some(message)), content.as_str()) else {
        return message.clone();
    };
    let inner = content.trim();
    let start = content.len() - content.trim_start().len();
    let (before, rest) = content.split_at(start);
    let after = rest.get(inner.len()..).unwrap_or_default();
    let content = Value::from(format!("{before}{BEGIN}{inner}{END}{after}"));
    let keys = message.try_iter().into_iter().flatten();
    let pairs = keys.map(|key| {
        let is_content = key.as_str() == Some("content");
        let value = message.get_item(&key).unwrap_or_default();
        (key, if is_content { content.clone() } else { value })
    });
    Value::from_pairs(pairs.collect::<Vec<_>>())
}
