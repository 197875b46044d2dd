//! The engine that renders templates, set up as transformers sets up Jinja.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::json::{self, Style};
use super::marks::{BEGIN, END};
use super::time::strftime_now;

/// The name of the only template of an environment.
pub(super) const NAME: &str = "chat template";
/// The filter that stands for the tag `generation`.
const FILTER: &str = "decora_generation";

/// An environment in which `{% generation %}` changes nothing.
pub(super) fn plain(template: &str) -> Result<Environment<'static>, String> {
    with(template, |text: String| text)
}

/// An environment in which `{% generation %}` puts marks around what is in it.
pub(super) fn marking(template: &str) -> Result<Environment<'static>, String> {
    with(template, |text: String| format!("{BEGIN}{text}{END}"))
}

fn with(
    template: &str,
    generation: impl Fn(String) -> String + Send + Sync + 'static,
) -> Result<Environment<'static>, String> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|e| e.to_string())?);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_formatter(python);
    environment.add_filter(FILTER, generation);
    environment.add_filter("tojson", tojson);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_function("strftime_now", |format: String| strftime_now(&format));
    environment.add_function("raise_exception", |text: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    let source = filtered(template);
    match environment.add_template_owned(NAME, source) {
        Ok(()) => Ok(environment),
        Err(e) => {
            let line = e.line().unwrap_or_default();
            Err(format!("line {line}: {}", e.detail().map_or(e.kind().to_string(), str::to_owned)))
        }
    }
}

/// Whether a template has the tag `generation`.
pub(super) fn has_generation(template: &str) -> bool {
    filtered(template) != template
}

/// The template with blocks of a filter in place of blocks of `generation`: they treat white space alike.
fn filtered(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, tag, after)) = next_tag(rest) {
        out.push_str(before);
        out.push_str("{%");
        let is_sign = |c: char| c == '-' || c == '+';
        match tag.trim_matches(is_sign).trim() {
            "generation" => out += &tag.replacen("generation", &format!("filter {FILTER}"), 1),
            "endgeneration" => out += &tag.replacen("endgeneration", "endfilter", 1),
            _ => out.push_str(tag),
        }
        out.push_str("%}");
        rest = after;
    }
    out + rest
}

/// What comes before the first block tag, what is in it, and what comes after.
fn next_tag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{%")?;
    let (tag, after) = rest.split_once("%}")?;
    Some((before, tag, after))
}

/// Prints as Python does: `True`, `False`, `None`, `1e-05`.
fn python(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let text = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        ValueKind::Number => &json::number(value),
        _ => return escape_formatter(out, state, value),
    };
    Ok(out.write_str(text)?)
}

/// Whether Python goes through it: a text, but not nothing.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// Whether it has a length and elements: in Python also a text and a map.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
        || (value.kind() == ValueKind::Iterable && value.len().is_some())
}

/// As Python's `json.dumps(value, ensure_ascii=False, ...)`.
fn tojson(
    value: &Value,
    ascii: Option<bool>,
    indent: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let ascii = ascii.or(options.get("ensure_ascii")?).unwrap_or(false);
    let indent = indent.or(options.get("indent")?).filter(|indent| !indent.is_none());
    let separators: Option<Vec<String>> = options.get("separators")?;
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let space = |indent: &Value| match indent.as_str() {
        Some(indent) => indent.to_owned(),
        None => " ".repeat(indent.as_usize().unwrap_or_default()),
    };
    let indent = indent.as_ref().map(space);
    let between = if indent.is_some() { "," } else { ", " };
    let mut separators = separators.unwrap_or_default().into_iter();
    let comma = separators.next().unwrap_or_else(|| between.to_owned());
    let colon = separators.next().unwrap_or_else(|| ": ".to_owned());
    Style { indent, comma, colon, sorted, ascii }.write(value).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_becomes_a_filter_with_the_same_white_space() {
        let template = "a{%- generation -%} b {% endgeneration +%}{% if generation %}";
        let expected = "a{%- filter decora_generation -%} b {% endfilter +%}{% if generation %}";
        assert_eq!(filtered(template), expected);
        assert!(has_generation(template) && !has_generation("{{ generation }}{% if x %}"));
    }
}
