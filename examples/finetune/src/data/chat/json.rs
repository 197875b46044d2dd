//! JSON as Python's `json.dumps` writes it, which is what templates mean by `tojson` in transformers.

use core::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// How it is written.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// What a level is indented by; `None`: all on one line.
    pub(super) indent: Option<String>,
    /// Between elements.
    pub(super) comma: String,
    /// Between a key and its value.
    pub(super) colon: String,
    /// Whether keys are put in order.
    pub(super) sorted: bool,
    /// Whether characters beyond ASCII are escaped.
    pub(super) ascii: bool,
}

impl Style {
    /// A value as text.
    ///
    /// # Errors
    /// A value that JSON does not have: one that is not defined, or a function.
    pub(super) fn write(&self, value: &Value) -> Result<String, Error> {
        let mut out = String::new();
        self.value(&mut out, value, 0)?;
        Ok(out)
    }

    fn value(&self, out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.text(out, value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let each = |item: Value, out: &mut String| self.value(out, &item, depth + 1);
                self.list(out, ['[', ']'], value.try_iter()?.collect(), depth, each)?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                let each = |key: Value, out: &mut String| {
                    self.key(out, &key)?;
                    self.value(out, &value.get_item(&key)?, depth + 1)
                };
                self.list(out, ['{', '}'], keys, depth, each)?;
            }
            kind => {
                let text = format!("a value that is {kind} cannot be written as JSON");
                return Err(Error::new(ErrorKind::InvalidOperation, text));
            }
        }
        Ok(())
    }

    fn list(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        items: Vec<Value>,
        depth: usize,
        each: impl Fn(Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let empty = items.is_empty();
        out.push(open);
        for (i, item) in items.into_iter().enumerate() {
            out.push_str(if i > 0 { &self.comma } else { "" });
            self.new_line(out, depth + 1);
            each(item, out)?;
        }
        if !empty {
            self.new_line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    }

    fn key(&self, out: &mut String, key: &Value) -> Result<(), Error> {
        match key.as_str() {
            Some(key) => self.text(out, key),
            None => {
                let key = self.write(key)?;
                self.text(out, &key);
            }
        }
        out.push_str(&self.colon);
        Ok(())
    }

    fn text(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && c > '~') => escaped(out, c),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// A character by its UTF-16 codes.
fn escaped(out: &mut String, c: char) {
    for code in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(out, "\\u{code:04x}");
    }
}

/// A number as Python's `repr`: `1.0`, `1e-05`, `1e+16`.
pub(super) fn number(value: &Value) -> String {
    let float = f64::try_from(value.clone()).ok().filter(|_| !value.is_integer());
    let Some(float) = float.filter(|x| x.is_finite()) else { return value.to_string() };
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{float:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Style {
        Style {
            indent: None,
            comma: ", ".to_owned(),
            colon: ": ".to_owned(),
            sorted: false,
            ascii: false,
        }
    }

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn json_is_pythons() {
        let text = r#"{"b": "<b> é \\u003c '\"&\n", "a": [1, 2.5, true, null, [], {}]}"#;
        assert_eq!(plain().write(&value(text)).unwrap(), text);
        let style = Style { indent: Some("  ".to_owned()), comma: ",".to_owned(), ..plain() };
        assert_eq!(
            style.write(&value(r#"{"b": [1, {}], "a": []}"#)).unwrap(),
            "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}"
        );
        let style = Style { sorted: true, ascii: true, ..plain() };
        let sorted = style.write(&value(r#"{"b": "é😀", "a": 1}"#)).unwrap();
        assert_eq!(sorted, r#"{"a": 1, "b": "\u00e9\ud83d\ude00"}"#);
        assert!(plain().write(&Value::UNDEFINED).is_err());
    }

    #[test]
    fn numbers_are_pythons() {
        let cases = [
            (1e16, "1e+16"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (123456789.5, "123456789.5"),
            (1e15, "1000000000000000.0"),
            (-2.0, "-2.0"),
        ];
        for (x, expected) in cases {
            assert_eq!(number(&Value::from(x)), expected);
        }
        assert_eq!(number(&Value::from(7)), "7");
    }
}
