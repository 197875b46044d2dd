//! Regular expressions as PEFT uses them, by way of Python's `re`.

use std::path::Path;

use fancy_regex::Regex;

use crate::HubError;

/// A regular expression, and where it was written: for errors.
#[derive(Clone, Debug)]
pub(super) struct Pattern<'a> {
    regex: Regex,
    path: &'a Path,
    key: &'static str,
    text: &'a str,
}

impl<'a> Pattern<'a> {
    /// `re.fullmatch(text, ...)`.
    pub(super) fn full(path: &'a Path, key: &'static str, text: &'a str) -> Result<Self, HubError> {
        Self::new(path, key, text, &format!(r"\A(?:{text})\z"))
    }

    /// `re.match(r"(.*\.)?(text)$", ...)`: all of a path, or the end of it after a dot.
    pub(super) fn end(path: &'a Path, key: &'static str, text: &'a str) -> Result<Self, HubError> {
        Self::new(path, key, text, &format!(r"\A(.*\.)?({text})$"))
    }

    /// `re.match(r"(^|.*\.)text($|\..*)", ...)`: a part of a path between dots.
    pub(super) fn inside(
        path: &'a Path,
        key: &'static str,
        text: &'a str,
    ) -> Result<Self, HubError> {
        Self::new(path, key, text, &format!(r"\A(^|.*\.){text}($|\..*)"))
    }

    /// `re.match(r"(?:^|.*?\.)text\.(?P<idx>\d+)\.", ...)`; without a text, any name of a list.
    pub(super) fn block(
        path: &'a Path,
        key: &'static str,
        text: Option<&'a str>,
    ) -> Result<Self, HubError> {
        let source = match text {
            None => r"\A.*?\.[^.]*\.(?P<idx>\d+)\.".to_owned(),
            Some(text) => format!(r"\A(?:^|.*?\.){text}\.(?P<idx>\d+)\."),
        };
        Self::new(path, key, text.unwrap_or_default(), &source)
    }

    fn new(
        path: &'a Path,
        key: &'static str,
        text: &'a str,
        source: &str,
    ) -> Result<Self, HubError> {
        let broken = |e: fancy_regex::Error| {
            let expected = format!("a regular expression ({e})");
            HubError::setting(path, key, format!("{text:?}"), one_line(&expected))
        };
        Ok(Self { regex: Regex::new(source).map_err(broken)?, path, key, text })
    }

    pub(super) fn matches(&self, module: &str) -> Result<bool, HubError> {
        self.regex.is_match(module).map_err(|e| self.too_hard(&e))
    }

    /// The number of the block in a path.
    pub(super) fn index(&self, module: &str) -> Result<Option<i64>, HubError> {
        let found = self.regex.captures(module).map_err(|e| self.too_hard(&e))?;
        let index = found.and_then(|found| found.name("idx")?.as_str().parse().ok());
        Ok(index)
    }

    fn too_hard(&self, e: &fancy_regex::Error) -> HubError {
        let expected = format!("a simpler regular expression ({e})");
        HubError::setting(self.path, self.key, format!("{:?}", self.text), one_line(&expected))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
