//! JSON objects in files, read key by key with errors that name file, key and value.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::HubError;

/// The largest count that a setting can give: products of three of them fit in `u128`, and a product
/// of two in `usize`.
const MAX: u64 = u32::MAX as u64;

/// An object in a JSON file.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    path: PathBuf,
    /// What keys start with in errors: "" or "outer.".
    prefix: String,
    map: Map<String, Value>,
}

impl Object {
    /// The object that is all of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, HubError> {
        let bytes = fs::read(path).map_err(HubError::io("read", path))?;
        Self::parse(path, &bytes)
    }

    /// The same from the bytes of the file.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, HubError> {
        let broken = |message: String| HubError::Json { path: path.to_path_buf(), message };
        match serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))? {
            Value::Object(map) => Ok(Self { path: path.to_path_buf(), prefix: String::new(), map }),
            _ => Err(broken("found no object, expected one".to_owned())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.map
    }

    /// The value of a key; `None` when it is not there or `null`.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The first of these keys that has a value.
    pub(crate) fn first(&self, keys: &[&'static str]) -> &'static str {
        let found = keys.iter().find(|key| self.value(key).is_some()).or(keys.first());
        found.copied().unwrap_or_default()
    }

    /// Whether the key is there, be it `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The object under a key.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Self>, HubError> {
        let inner = |value: &Value| value.as_object().cloned();
        let map = self.typed(key, "an object", inner)?;
        Ok(map.map(|map| Self {
            path: self.path.clone(),
            prefix: format!("{}{key}.", self.prefix),
            map,
        }))
    }

    /// A whole number from 0 to [`MAX`].
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, HubError> {
        self.typed(key, "a whole number below 2^32", |value| {
            value.as_u64().filter(|&n| n <= MAX).and_then(|n| usize::try_from(n).ok())
        })
    }

    /// A finite number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, HubError> {
        self.typed(key, "a finite number", |value| value.as_f64().filter(|x| x.is_finite()))
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, HubError> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, HubError> {
        self.typed(key, "a text", Value::as_str)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, HubError> {
        self.typed(key, "a list of texts", |value| {
            value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
        })
    }

    /// A whole number of at least 1 that must be there.
    pub(crate) fn positive(&self, key: &str) -> Result<usize, HubError> {
        match self.count(key)? {
            Some(0) => Err(self.wrong(key, "1 or more")),
            Some(n) => Ok(n),
            None => Err(self.wrong(key, "a whole number of 1 or more")),
        }
    }

    /// The error for the value of a key.
    pub(crate) fn wrong(&self, key: &str, expected: impl Into<String>) -> HubError {
        let found = self.map.get(key).map_or_else(|| "nothing".to_owned(), shortened);
        HubError::setting(&self.path, format!("{}{key}", self.prefix), found, expected)
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, HubError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, expected))
    }
}

/// A value in one line that is not too long to read.
pub(crate) fn shortened(value: &Value) -> String {
    const MOST: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(Path::new("c.json"), text.as_bytes()).expect("an object")
    }

    #[test]
    fn errors_name_file_key_and_value() {
        let outer = object(r#"{"a": {"n": -1, "t": "x"}, "none": null}"#);
        let inner = outer.object("a").expect("an object").expect("there");
        let error = inner.count("n").expect_err("negative").to_string();
        assert_eq!(error, "c.json: a.n: found -1, expected a whole number below 2^32");
        let error = inner.positive("m").expect_err("missing").to_string();
        assert_eq!(error, "c.json: a.m: found nothing, expected a whole number of 1 or more");
        assert_eq!(outer.count("none").expect("null is nothing"), None);
        assert!(Object::parse(Path::new("c"), b"[]").is_err());
        assert!(Object::parse(Path::new("c"), b"{").is_err());
    }

    #[test]
    fn long_values_are_shortened_between_characters() {
        let long = Value::String("ü".repeat(500));
        assert!(shortened(&long).chars().count() < 130);
    }
}
