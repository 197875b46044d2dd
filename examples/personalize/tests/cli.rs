//! The program's messages and page, in detail. `program.rs` has the rest.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

type Test = Result<(), Box<dyn core::error::Error>>;

fn program(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_personalize")).args(arguments).output()
}

/// The exit status, and the one line on standard error.
fn complaint(arguments: &[&str]) -> Result<(Option<i32>, String), Box<dyn core::error::Error>> {
    let output = program(arguments)?;
    let text = String::from_utf8(output.stderr)?;
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    Ok((output.status.code(), text))
}

#[test]
fn wrong_options_are_refused_in_one_line() -> Test {
    let wrong = [
        (&["--method", "qlora"][..], "qlora"),
        (&["--rank", "two"], "two"),
        (&["--rank", "0"], "rank: found 0, expected 1 to 10"),
        (&["--rank", "11"], "rank: found 11, expected 1 to 10"),
        (&["--seeds", "0"], "0 is not in 1..=1000"),
        (&["--steps", "3"], "3 is not in 4..=100000"),
        (&["--colour"], "--colour"),
        (&["surplus"], "surplus"),
    ];
    for (arguments, expected) in wrong {
        let (status, text) = complaint(arguments)?;
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    Ok(())
}

#[test]
fn help_explains_every_option() -> Test {
    let output = program(&["--help"])?;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout)?;
    let options = ["method", "rank", "seeds", "steps", "report", "data", "quick", "tune"];
    for option in options.iter().chain(&["backend", "device", "devices", "shadow"]) {
        assert!(text.contains(&format!("--{option} ")), "{option}");
    }
    assert!(text.contains("Examples:") && text.contains("Exit status:"));
    Ok(())
}

#[test]
fn the_page_needs_nothing_from_elsewhere() -> Test {
    let dir = tempfile::tempdir()?;
    let report = dir.path().display().to_string();
    let output = program(&["--quick", "--seeds", "1", "--steps", "20", "--report", &report])?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(dir.path().join(name));
    let page = read("index.html")?;
    assert_eq!(page.matches("<svg").count(), 4);
    for elsewhere in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    for name in ["index.html", "accuracy.svg", "loss.svg", "deviation.svg", "hands.svg"] {
        let text = read(name)?;
        assert!(!text.contains("NaN") && !text.contains(">inf"), "{name}");
    }
    Ok(())
}

#[test]
fn a_method_is_not_changed_by_those_beside_it() -> Test {
    let run = |methods: &str| -> Result<Value, Box<dyn core::error::Error>> {
        let dir = tempfile::tempdir()?;
        let report = dir.path().display().to_string();
        let options = ["--quick", "--seeds", "1", "--rank", "2", "--steps", "20"];
        let output =
            program(&[&options[..], &["--method", methods, "--report", &report]].concat())?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_str(&fs::read_to_string(dir.path().join("report.json"))?)?)
    };
    let of = |report: &Value| -> BTreeMap<String, Value> {
        let runs = report["seeds"][0]["runs"].as_array().cloned().unwrap_or_default();
        runs.into_iter().map(|run| (run["method"].to_string(), run)).collect()
    };
    let (both, lora) = (of(&run("dora,lora")?), of(&run("lora")?));
    assert_eq!((both.len(), lora.len()), (2, 1));
    assert_eq!(both.get("\"lora\""), lora.get("\"lora\""), "whatever runs beside it");
    Ok(())
}
