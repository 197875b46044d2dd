//! The formats of a line, told apart by their keys.

use minijinja::Value;
use minijinja::value::ValueKind;
use serde::Deserialize;

use super::error::Reason;

/// What a line holds.
#[derive(Clone, Debug)]
pub enum Line {
    /// A conversation, and the tools that the assistant may use.
    Messages {
        /// Objects with a role and a content.
        messages: Vec<Value>,
        /// As the chat template takes them; undefined where there are none.
        tools: Value,
    },
    /// A text, and how it goes on.
    Pair {
        /// What is given.
        prompt: String,
        /// What is learned.
        completion: String,
    },
    /// A text that is learned.
    Text(String),
    /// A text to classify.
    Labelled {
        /// The text.
        text: String,
        /// A second one, where two are compared.
        pair: Option<String>,
        /// Its class.
        label: Label,
    },
    /// Tokens, and what is learned: labels are aligned with the tokens, −100 does not count.
    Ids {
        /// Tokens.
        ids: Vec<i64>,
        /// Labels; without any, the tokens.
        labels: Option<Vec<i64>>,
    },
    /// Tokens to classify.
    LabelledIds {
        /// Tokens.
        ids: Vec<i64>,
        /// The kind of segment of each; without any, 0.
        types: Vec<u32>,
        /// Their class.
        label: Label,
    },
}

/// A class, by its number or its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// Its number.
    Number(i64),
    /// Its name in the model's `label2id`.
    Name(String),
}

/// An object whose keys are all of the formats'.
#[derive(Deserialize)]
struct Keys {
    messages: Option<Value>,
    tools: Option<Value>,
    prompt: Option<Value>,
    completion: Option<Value>,
    text: Option<Value>,
    label: Option<Value>,
    text_pair: Option<Value>,
    input_ids: Option<Value>,
    token_type_ids: Option<Value>,
    labels: Option<Value>,
}

impl Line {
    /// Reads a line. Keys that belong to no format are left alone.
    ///
    /// # Errors
    /// [`Reason`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let json = |e: serde_json::Error| Reason::Json(e.to_string());
        if !text.trim_start().starts_with('{') {
            return Err(Reason::Json(match text.trim_start().starts_with('[') {
                true => "this is a list: write each of its objects on a line of its own".to_owned(),
                false => "the line does not begin with a brace".to_owned(),
            }));
        }
        let keys: Keys = serde_json::from_str(text).map_err(json)?;
        match keys {
            Keys { messages: Some(messages), tools, .. } => {
                let (key, expected) = ("messages", "a list of objects, at least one");
                let messages: Vec<Value> = value(key, expected, messages)?;
                if messages.is_empty() || messages.iter().any(|m| m.kind() != ValueKind::Map) {
                    return Err(Reason::Kind { key, expected });
                }
                Ok(Self::Messages { messages, tools: tools.unwrap_or_default() })
            }
            Keys { prompt: Some(prompt), completion: Some(completion), .. } => Ok(Self::Pair {
                prompt: value("prompt", "a text", prompt)?,
                completion: value("completion", "a text", completion)?,
            }),
            Keys { input_ids: Some(ids), token_type_ids: types, label, labels, .. } => {
                tokens(ids, types, label, labels)
            }
            Keys { text: Some(text), text_pair: pair, label, .. } => {
                let text = value("text", "a text", text)?;
                let pair = pair.map(|pair| value("text_pair", "a text", pair)).transpose()?;
                match label {
                    Some(label) => Ok(Self::Labelled { text, pair, label: class(label)? }),
                    None => Ok(Self::Text(text)),
                }
            }
            _ => Err(Reason::Format { keys: names(text) }),
        }
    }
}

fn tokens(
    ids: Value,
    types: Option<Value>,
    label: Option<Value>,
    labels: Option<Value>,
) -> Result<Line, Reason> {
    let list = "a list of whole numbers";
    let ids = value("input_ids", list, ids)?;
    let is_class = |labels: &Value| labels.is_integer() || labels.as_str().is_some();
    let (label, labels) = match labels {
        Some(labels) if is_class(&labels) => (label.or(Some(labels)), None),
        labels => (label, labels),
    };
    let Some(label) = label else {
        let labels = labels.map(|labels| value("labels", list, labels)).transpose()?;
        return Ok(Line::Ids { ids, labels });
    };
    let types = types.map(|types| value("token_type_ids", list, types)).transpose()?;
    Ok(Line::LabelledIds { ids, types: types.unwrap_or_default(), label: class(label)? })
}

fn class(label: Value) -> Result<Label, Reason> {
    value("label", "a whole number or a name", label)
}

fn value<T: for<'d> Deserialize<'d>>(
    key: &'static str,
    expected: &'static str,
    value: Value,
) -> Result<T, Reason> {
    T::deserialize(value).map_err(|_| Reason::Kind { key, expected })
}

/// The keys of an object, at most eight.
fn names(text: &str) -> Vec<String> {
    let object: Result<serde_json::Map<_, _>, _> = serde_json::from_str(text);
    object.into_iter().flat_map(|object| object.into_iter().map(|(key, _)| key)).take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart_by_their_keys() {
        let parse = |text| Line::parse(text);
        let messages = r#"{"messages": [{"role": "user", "content": "a"}], "id": 3}"#;
        assert!(
            matches!(parse(messages), Ok(Line::Messages { messages, .. }) if messages.len() == 1)
        );
        assert!(matches!(parse(r#"{"prompt":"a","completion":"b"}"#), Ok(Line::Pair { .. })));
        assert!(matches!(parse(r#"{"text":"a"}"#), Ok(Line::Text(t)) if t == "a"));
        let named = parse(r#"{"text":"a","label":"good"}"#);
        assert!(matches!(named, Ok(Line::Labelled { label: Label::Name(n), .. }) if n == "good"));
        let ids = parse(r#"{"input_ids":[1,2],"labels":[-100,2],"attention_mask":[1,1]}"#);
        assert!(
            matches!(ids, Ok(Line::Ids { ids, labels: Some(l) }) if ids == [1, 2] && l == [-100, 2])
        );
        let class = parse(r#"{"input_ids":[1,2],"labels":1}"#);
        assert!(matches!(class, Ok(Line::LabelledIds { label: Label::Number(1), .. })));
    }

    #[test]
    fn other_lines_say_what_they_lack() {
        let reason = |text| Line::parse(text).map(|_| ()).unwrap_err();
        for no_object in ["", "[1]", "null", "hello", "{\"text\": "] {
            assert!(matches!(reason(no_object), Reason::Json(_)), "{no_object}");
        }
        let keys = vec!["prompt".to_owned()];
        assert_eq!(reason(r#"{"prompt":"a"}"#), Reason::Format { keys });
        assert!(matches!(reason(r#"{"text":3}"#), Reason::Kind { key: "text", .. }));
        for messages in [r#"{"messages":[]}"#, r#"{"messages":["hi"]}"#, r#"{"messages":3}"#] {
            assert!(matches!(reason(messages), Reason::Kind { key: "messages", .. }), "{messages}");
        }
        let ids = r#"{"input_ids":[1,"x"],"labels":[1,2]}"#;
        assert!(matches!(reason(ids), Reason::Kind { key: "input_ids", .. }));
        let label = r#"{"text":"a","label":1.5}"#;
        assert!(matches!(reason(label), Reason::Kind { key: "label", .. }));
    }
}
