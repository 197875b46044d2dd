//! What the README shows is what the program wrote.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_readme_has_the_table_of_the_results_and_the_results_are_those_of_the_report() {
    let table = read("results/results.md");
    assert!(read("../../README.md").contains(table.trim()), "README.md has results/results.md");
    let report: Value = serde_json::from_str(&read("results/report.json")).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let lines: Vec<&str> = table.trim().lines().skip(2).collect();
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(rows) {
        for users in ["user", "old"] {
            let part = |key: &str| 100.0 * row[users][key].as_f64().unwrap();
            let cell = format!("{:.1} ± {:.1}", part("mean"), part("sd"));
            assert!(line.contains(&cell), "{line}: no {cell}");
        }
    }
}

#[test]
fn the_readme_quotes_the_findings_of_the_report() {
    let (readme, report) = (read("../../README.md"), read("results/report.json"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let quotes: Vec<&str> = readme.lines().filter_map(|l| l.strip_prefix("> ")).collect();
    let quotes = quotes.join(" ");
    for title in ["The new hand", "DoRA and LoRA", "Magnitude and direction"] {
        let findings = report["findings"].as_array().unwrap();
        let text = findings.iter().find(|f| f["title"] == title).unwrap()["text"].as_str().unwrap();
        assert!(quotes.contains(text), "README.md quotes: {text}");
    }
}
