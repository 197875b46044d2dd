//! A file of options: each key becomes the option of that name, unless the command line has it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::{Table, Value};

use super::error::UsageError;

/// `arguments` with what the file that `--config` names adds to them. `command` is the whole command.
///
/// # Errors
/// A file that cannot be read, is no TOML, or has a key that is no option.
pub(super) fn extended(
    command: &Command,
    arguments: Vec<OsString>,
) -> Result<Vec<OsString>, UsageError> {
    let name = arguments.get(1).and_then(|name| name.to_str()).unwrap_or_default();
    let Some(command) = command.find_subcommand(name) else { return Ok(arguments) };
    let Some(path) = config_path(&arguments).filter(|_| long(command, "config").is_some()) else {
        return Ok(arguments);
    };
    let given = given(&arguments);
    let mut extended: Vec<_> = arguments.iter().take(2).cloned().collect();
    for (key, value) in read(&path)? {
        let name = key.replace('_', "-");
        let option = long(command, &name)
            .filter(|_| name != "config")
            .ok_or_else(|| unknown(command, &path, &key))?;
        if !overruled(command, option, &given) {
            extended.extend(options(&name, option, value).map_err(|found| UsageError::Kind {
                path: path.clone(),
                key,
                found,
            })?);
        }
    }
    extended.extend(arguments.into_iter().skip(2));
    Ok(extended)
}

fn long<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|option| option.get_long() == Some(name))
}

/// What stands after `--config`, or after its equals sign.
fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut all = arguments.iter();
    while let Some(argument) = all.next() {
        if argument == "--config" {
            return all.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

/// The names of the options on the command line.
fn given(arguments: &[OsString]) -> BTreeSet<&str> {
    let options = arguments.iter().filter_map(|a| a.to_str()?.strip_prefix("--"));
    options.map(|option| option.split('=').next().unwrap_or(option)).collect()
}

/// Whether the command line has this option, or one that excludes it.
fn overruled(command: &Command, option: &Arg, given: &BTreeSet<&str>) -> bool {
    let is_given = |option: &Arg| option.get_long().is_some_and(|name| given.contains(name));
    let excludes = |other: &&Arg| {
        command.get_arg_conflicts_with(other).iter().any(|o| o.get_id() == option.get_id())
    };
    let mut rivals = command.get_arg_conflicts_with(option);
    rivals.extend(command.get_arguments().filter(excludes));
    is_given(option) || rivals.into_iter().any(is_given)
}

fn read(path: &Path) -> Result<Table, UsageError> {
    let unreadable = |source| UsageError::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    text.parse().map_err(|e: toml::de::Error| {
        let at = e.span().map_or(0, |span| span.start).min(text.len());
        let line = text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        let message = e.message().lines().next().unwrap_or("no TOML").to_owned();
        UsageError::Syntax { path: path.to_owned(), reason: format!("line {line}: {message}") }
    })
}

fn unknown(command: &Command, path: &Path, key: &str) -> UsageError {
    let name = key.replace('_', "-");
    let names = command.get_arguments().filter_map(Arg::get_long);
    let near = names.map(|n| (distance(n, &name), n)).filter(|(d, n)| *d <= 2 && *d < n.len());
    let nearest = near.min().map(|(_, n)| n.to_owned());
    UsageError::UnknownKey { path: path.to_owned(), key: key.to_owned(), nearest }
}

/// How many letters to insert, remove or replace to come from one word to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = core::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The options that a key and its value stand for.
fn options(name: &str, option: &Arg, value: Value) -> Result<Vec<OsString>, &'static str> {
    if matches!(option.get_action(), ArgAction::SetTrue) {
        let Value::Boolean(on) = value else { return Err("not true or false") };
        return Ok(if on { vec![OsString::from(format!("--{name}"))] } else { Vec::new() });
    }
    let with = |text: String| {
        let mut whole = OsString::from(format!("--{name}="));
        whole.push(OsStr::new(&text));
        whole
    };
    match (option.get_action(), value) {
        (ArgAction::Append, Value::Array(all)) => {
            all.into_iter().map(|v| text(v).map(with)).collect()
        }
        (_, value) => Ok(vec![with(text(value)?)]),
    }
}

/// A value as it would stand on the command line.
fn text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(n) => Ok(n.to_string()),
        Value::Float(x) => Ok(x.to_string()),
        Value::Array(all) => {
            let texts = all.into_iter().map(text).collect::<Result<Vec<_>, _>>();
            texts.map(|texts| texts.join(","))
        }
        Value::Table(table) => serde_json::to_string(&table).map_err(|_| "a table"),
        Value::Boolean(_) => Err("true or false"),
        Value::Datetime(_) => Err("a time"),
    }
}
