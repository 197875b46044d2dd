//! The program as its user sees it: what it writes, what it prints, how it fails.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_personalize")).args(args).output().unwrap()
}

/// It failed with this status and one line that has these words.
#[track_caller]
fn fails(args: &[&str], status: i32, words: &[&str]) {
    let output = run(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {error}");
    assert!(words.iter().all(|w| error.contains(w)), "{args:?}: {error:?} lacks one of {words:?}");
    if status == 1 {
        assert_eq!(error.trim_end().lines().count(), 1, "{args:?}: one line: {error:?}");
    }
}

fn report(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap()
}

/// Mean accuracy on the new user, of the best row of a method; of no adaptation without one.
fn user(report: &Value, method: Option<&str>) -> f64 {
    let rows = report["rows"].as_array().unwrap().iter();
    let of_method = rows.filter(|row| row["method"].as_str() == method);
    of_method.map(|row| row["user"]["mean"].as_f64().unwrap()).fold(0.0, f64::max)
}

#[test]
fn a_quick_run_writes_a_whole_report_and_adapts() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/report");
    let output = run(&["--quick", "--seeds", "2", "--report", folder.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for word in ["DoRA", "LoRA", "full fine-tuning", "magnitude only", "new user"] {
        assert!(text.contains(word), "the table names {word}:\n{text}");
    }
    let json = report(&folder);
    for method in ["full", "lora", "dora", "magnitude"] {
        let (before, after) = (user(&json, None), user(&json, Some(method)));
        assert!(after > before, "{method} adapts: {before} before, {after} after");
    }
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.trim_end().ends_with("</html>"));
    for plot in ["accuracy.svg", "loss.svg", "deviation.svg"] {
        assert!(fs::read_to_string(folder.join(plot)).unwrap().trim_end().ends_with("</svg>"));
    }
    assert!(personalize::peft::load(&folder.join("adapter")).is_ok());
    let left = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name());
    let known = ["adapter", "accuracy.svg", "deviation.svg", "hands.svg", "index.html", "loss.svg"];
    let known = |f: &std::ffi::OsString| {
        known.iter().chain(&["report.json", "results.md"]).any(|k| f == *k)
    };
    assert!(left.into_iter().all(|f| known(&f)), "no temporary file is left");
}

#[test]
fn two_runs_come_to_the_same_accuracies() {
    let rows = || {
        let dir = tempfile::tempdir().unwrap();
        let args = ["--method", "dora", "--rank", "2", "--seeds", "1", "--steps", "20", "--report"];
        let output = run(&[&args[..], &[dir.path().to_str().unwrap()]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json = report(dir.path());
        let rows = json["rows"].as_array().unwrap().clone();
        rows.iter().map(|r| (r["user"].clone(), r["old"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(rows(), rows());
}

#[test]
fn wrong_options_are_refused() {
    fails(&["--method", "sora"], 2, &["sora", "dora"]);
    fails(&["--rank", "x"], 2, &["x"]);
    fails(&["--seeds", "0"], 2, &["0"]);
    fails(&["--no-such-option"], 2, &["--no-such-option"]);
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for option in ["--method", "--rank", "--seeds", "--report", "--quick", "--data"] {
        assert!(help.contains(option), "--help explains {option}");
    }
}

#[test]
fn a_rank_that_no_layer_has_names_the_largest() {
    for rank in ["0", "11"] {
        let output = run(&["--rank", rank, "--report", "/nonexistent/never"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(rank), "{error}");
        assert!(rank == "0" || error.contains("10"), "the smallest side is 10: {error}");
    }
}

#[test]
fn a_damaged_data_file_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("digits.bin");
    let name = path.to_str().unwrap();
    fails(&["--data", name], 1, &["digits.bin"]);
    let good = include_bytes!("../data/digits.bin");
    let damages: [(&[u8], &str); 3] = [
        (b"", "found"),
        (&good[..good.len() - 1], "expected"),
        (b"PK\x03\x04 no digits here", "found"),
    ];
    for (bytes, word) in damages {
        fs::write(&path, bytes).unwrap();
        fails(&["--data", name], 1, &[word]);
    }
    let mut label = good.to_vec();
    *label.last_mut().unwrap() = 77;
    fs::write(&path, label).unwrap();
    fails(&["--data", name], 1, &["77"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_one_clear_line_and_soon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let folder = file.join("report");
    fails(&["--quick", "--report", folder.to_str().unwrap()], 1, &["report"]);
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}
