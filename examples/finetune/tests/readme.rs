//! The worked example of the README, run as it stands there.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::ok;

/// The commands of the example, and what the README says that each answers.
fn example() -> Vec<(String, Vec<String>)> {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = readme.split("```text\n$ ").nth(1).unwrap().split("\n```").next().unwrap();
    let all = block.replace("\\\n", "");
    let each = |part: &str| {
        let mut lines = part.lines().map(str::to_owned);
        (lines.next().unwrap(), lines.filter(|line| !line.is_empty()).collect())
    };
    all.split("\n$ ").map(each).collect()
}

/// What a command says on standard output, in a folder that has what the root of the repository has.
fn said(command: &str, root: &Path) -> Vec<String> {
    let shell = format!("decora() {{ {:?} \"$@\"; }}; {command}", env!("CARGO_BIN_EXE_decora"));
    let output = Command::new("bash").args(["-c", &shell]).current_dir(root).output().unwrap();
    ok(&output).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_example_answers_what_it_says() {
    let root = tempfile::tempdir().unwrap();
    for folder in ["tests", "examples"] {
        let real = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
        symlink(real.canonicalize().unwrap(), root.path().join(folder)).unwrap();
    }
    let example = example();
    assert_eq!(example.len(), 6);
    for (command, expected) in example {
        let found = said(&command, root.path());
        let (found, expected) = (found.join("\n"), expected.join("\n"));
        let word = command.split(' ').nth(1).unwrap();
        match word {
            "train" => assert!(expected.ends_with("\nadapter") && found.ends_with("\nadapter")),
            // Rounding is not the same on all machines.
            "eval" => {
                assert_eq!(found.split_once('(').unwrap().1, expected.split_once('(').unwrap().1)
            }
            "generate" => assert!(expected.starts_with(&found), "{found}"),
            "inspect" | "merge" => assert_eq!(found, expected),
            _ => assert!(found.starts_with("{\"step\":1,\"loss\":6.2371"), "{command}: {found}"),
        }
    }
}
