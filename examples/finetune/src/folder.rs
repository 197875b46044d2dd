//! Folders that are no model's, and what to do about it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use decora_hub::{config, peft, weights};

use crate::error::Error;

/// How a file begins that git wrote in the place of a large one.
const POINTER: &[u8] = b"version https://git-lfs";

/// `Ok` for a folder that has the files of a model; whether they are whole is seen when they are read.
///
/// # Errors
/// [`Error::Unfit`], with what the folder is instead where that can be told, and what to do.
pub fn check(path: &Path) -> Result<(), Error> {
    match wrong(path) {
        None => Ok(()),
        Some((found, expected)) => Err(Error::Unfit {
            option: "--model",
            found: format!("{}, {found}", path.display()),
            expected,
        }),
    }
}

/// What a folder is instead of a model's, and what to do.
fn wrong(path: &Path) -> Option<(String, String)> {
    if !path.is_dir() {
        return Some(("which is no folder".to_owned(), no_folder(path)));
    }
    if !path.join(config::FILE).exists() {
        return Some(no_config(path));
    }
    let [single, index] = [weights::SINGLE, weights::INDEX].map(|name| path.join(name));
    let no_safetensors = !single.exists() && !index.exists();
    match (no_safetensors, is_pointer(&single)) {
        (true, _) => Some(no_weights(path)),
        (_, true) => Some((
            format!("in which {} is a pointer of git", weights::SINGLE),
            "the file itself: git lfs pull, or hf download".to_owned(),
        )),
        _ => None,
    }
}

fn no_folder(path: &Path) -> String {
    match path.starts_with("~") {
        true => "the whole path: ~ was left as it is by the shell, $HOME is not".to_owned(),
        false => "a model's, as `hf download NAME --local-dir FOLDER` makes it".to_owned(),
    }
}

fn no_config(path: &Path) -> (String, String) {
    if path.join(peft::CONFIG).exists() {
        let expected = "the model that it was trained on: this folder goes to --adapter";
        return ("which holds an adapter".to_owned(), expected.to_owned());
    }
    let snapshots = fs::read_dir(path.join("snapshots")).into_iter().flatten().flatten();
    if let Some(snapshot) = snapshots.map(|entry| entry.path()).max() {
        let expected = format!("a folder in its snapshots: {}", snapshot.display());
        return ("which is a cache of the hub".to_owned(), expected);
    }
    let expected = "a model's, with config.json, safetensors and tokenizer.json";
    (format!("which has no {}", config::FILE), expected.to_owned())
}

fn no_weights(path: &Path) -> (String, String) {
    let convert = "safetensors: load and save the model once with transformers";
    let with = |end: &str| names(path).any(|name| name.to_string_lossy().ends_with(end));
    let (found, expected) = if with(".safetensors") {
        ("shards without their index", "model.safetensors.index.json beside them: download it, too")
    } else if with(".bin") || with(".pt") || with(".pth") {
        ("weights as pickles alone", convert)
    } else if with(".gguf") {
        ("weights as GGUF alone", "safetensors: the model that the GGUF was made of")
    } else {
        ("no weights", "model.safetensors, or shards and model.safetensors.index.json")
    };
    (format!("which has {found}"), expected.to_owned())
}

fn names(path: &Path) -> impl Iterator<Item = std::ffi::OsString> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).filter(|name| name != OsStr::new(""))
}

fn is_pointer(path: &Path) -> bool {
    let mut start = [0; POINTER.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == POINTER
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a folder with these files.
    fn said(files: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, POINTER).unwrap();
        }
        check(dir.path()).map_or_else(|e| e.to_string(), |()| "a model".to_owned())
    }

    #[test]
    fn what_is_no_model_is_told_with_what_to_do() {
        for (files, word) in [
            (&["adapter_config.json"][..], "goes to --adapter"),
            (&["snapshots/abc/config.json"], "snapshots/abc"),
            (&["README.md"], "no config.json"),
            (&["config.json"], "no weights"),
            (&["config.json", "pytorch_model-00001-of-00002.bin"], "with transformers"),
            (&["config.json", "model-q4.gguf"], "GGUF"),
            (&["config.json", "model-00001-of-00002.safetensors"], "index.json"),
            (&["config.json", "model.safetensors"], "git lfs pull"),
            (&["config.json", "model.safetensors.index.json"], "a model"),
        ] {
            assert!(said(files).contains(word), "{files:?}: {}", said(files));
        }
        let home = check(Path::new("~/model")).unwrap_err().to_string();
        assert!(home.contains("$HOME"), "{home}");
    }
}
