//! The choice of what computes: that all of it comes to the same, and what is said when there is
//! nothing to choose from. Without a Vulkan device, what needs one is skipped.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::has_vulkan;
use serde_json::Value;

const FEW: [&str; 7] = ["--quick", "--seeds", "1", "--rank", "4", "--steps", "60"];
const FEWER: [&str; 9] =
    ["--quick", "--seeds", "1", "--rank", "1", "--steps", "8", "--method", "magnitude"];

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_personalize"));
    command.args(arguments);
    command
}

/// The program on a machine without Vulkan.
fn without_vulkan(arguments: &[&str]) -> Output {
    let mut command = program(arguments);
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"] {
        command.env(name, "/nonexistent");
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// It failed with this status and one line that has these words.
#[track_caller]
fn fails(output: &Output, status: i32, words: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error:?}");
    assert!(words.iter().all(|w| error.contains(w)), "{error:?} lacks one of {words:?}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

/// Its report, and what it said on standard error.
#[track_caller]
fn report(mut command: Command, dir: &Path) -> (Value, String) {
    let output = command.arg("--report").arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json = fs::read(dir.join("report.json")).unwrap();
    (serde_json::from_slice(&json).unwrap(), text(&output.stderr))
}

#[test]
fn a_vulkan_device_comes_to_the_accuracies_of_the_cpu() {
    if !has_vulkan() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = |backend| {
        let command = program(&[&FEW[..], &["--backend", backend]].concat());
        report(command, &dir.path().join(backend)).0
    };
    let (cpu, vulkan) = (run("cpu"), run("vulkan"));
    let rows = |report: &Value| report["rows"].as_array().unwrap().clone();
    assert_eq!(rows(&cpu).len(), rows(&vulkan).len());
    for (cpu, vulkan) in rows(&cpu).iter().zip(&rows(&vulkan)) {
        for users in ["user", "old"] {
            let points = |row: &Value| 100.0 * row[users]["mean"].as_f64().unwrap();
            let apart = (points(cpu) - points(vulkan)).abs();
            assert!(apart <= 0.5, "{users}, {}: {apart} points apart", cpu["method"]);
        }
    }
    let name = vulkan["hardware"]["name"].as_str().unwrap();
    assert_eq!(vulkan["hardware"]["backend"], "vulkan");
    for file in ["vulkan/index.html", "vulkan/results.md"] {
        let file = fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(file.contains(name), "the report names {name}");
    }
}

#[test]
fn the_device_is_chosen_by_name_or_number_and_the_option_wins() {
    if !has_vulkan() {
        return;
    }
    let list = text(&program(&["--devices"]).output().unwrap().stdout);
    let first = list.lines().find_map(|line| line.strip_prefix("0: ")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for device in ["0", first.split_whitespace().next().unwrap()] {
        let options = ["--backend", "vulkan", "--device", device];
        let mut command = program(&[&FEWER[..], &options].concat());
        command.env("DECORA_DEVICE", "nosuch");
        let (report, _) = report(command, dir.path());
        assert!(first.starts_with(report["hardware"]["name"].as_str().unwrap()), "{report}");
    }
    let mut command = program(&["--backend", "vulkan"]);
    fails(&command.env("DECORA_DEVICE", "nosuch").output().unwrap(), 1, &["nosuch", "0: "]);
}

#[test]
fn a_device_that_is_not_there_is_one_clear_line() {
    if !has_vulkan() {
        return;
    }
    for device in ["nosuch", "99"] {
        let output = program(&["--backend", "vulkan", "--device", device]).output().unwrap();
        fails(&output, 1, &["no Vulkan device", device, "0: "]);
    }
}

#[test]
fn without_a_driver_vulkan_is_one_clear_line() {
    fails(&without_vulkan(&["--backend", "vulkan"]), 1, &["Vulkan", "install"]);
    fails(&without_vulkan(&["--backend", "vulkan", "--device", "0"]), 1, &["Vulkan", "install"]);
}

#[test]
fn without_a_driver_auto_is_the_cpu_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let options = ["--backend", "auto", "--report", folder];
    let output = without_vulkan(&[&FEWER[..], &options].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("auto: cpu (") && said.lines().count() == 1, "{said}");
    let listed = text(&without_vulkan(&["--devices"]).stdout);
    assert!(listed.starts_with("cpu: ") && listed.contains("no Vulkan device"), "{listed}");
}

#[test]
fn auto_says_why() {
    if !has_vulkan() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let command = program(&[&FEWER[..], &["--backend", "auto"]].concat());
    let (report, said) = report(command, dir.path());
    assert!(said.starts_with("auto: ") && said.contains(" ms a step; "), "{said}");
    let cpu = report["hardware"]["backend"] == "cpu";
    assert_eq!(cpu, said.starts_with("auto: cpu ("), "what it said is what it did: {said}");
}

#[test]
fn a_device_for_the_cpu_is_refused() {
    let output = program(&["--device", "0"]).output().unwrap();
    fails(&output, 2, &["--device", "--backend"]);
}
