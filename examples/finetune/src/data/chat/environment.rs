//! The engine that renders templates, set up as transformers sets up Jinja.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter, filters};
use minijinja_contrib::pycompat::unknown_method_callback;

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

/// Prints as Python does: `True`, `False`, `None`.
fn python(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let word = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        _ => return escape_formatter(out, state, value),
    };
    Ok(out.write_str(word)?)
}

/// As Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let _: Option<bool> = options.get("ensure_ascii")?;
    let named: Option<Value> = options.get("indent")?;
    options.assert_all_used()?;
    let indent = indent.or(named).filter(|indent| !indent.is_none());
    let json = filters::tojson(value, indent, Kwargs::from_iter([] as [(&str, Value); 0]))?;
    Ok(Value::from(without_html(json.as_str().unwrap_or_default())))
}

/// JSON in which `<`, `>`, `&` and `'` stand as themselves.
fn without_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let codes = [("u003c", '<'), ("u003e", '>'), ("u0026", '&'), ("u0027", '\'')];
        let plain = codes.iter().find_map(|(code, c)| Some((after.strip_prefix(code)?, *c)));
        rest = match plain {
            Some((after, c)) => {
                out.push(c);
                after
            }
            None => {
                out.push('\\');
                let next = after.chars().next();
                out.extend(next);
                after.get(next.map_or(0, char::len_utf8)..).unwrap_or_default()
            }
        };
    }
    out + rest
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

    #[test]
    fn json_is_pythons() {
        let escaped = r#"{"a": "\u003cb\u003e \\u003c \u0027\"\u0026"}"#;
        assert_eq!(without_html(escaped), r#"{"a": "<b> \\u003c '\"&"}"#);
    }
}
