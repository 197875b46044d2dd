//! The program as its user sees it, on tiny models of every family, beside transformers and PEFT
//! (`tests/golden/models.py`).

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Golden, decora, golden, lines, logits, ok, share, text};
use serde_json::Value;

const MODELS: [&str; 6] = ["llama", "llama3", "qwen2", "mistral", "gpt2", "bert"];

/// What rounding in f32 may do to logits, as a share of the largest.
const LOGITS: f64 = 1e-4;
/// To losses of twelve steps, relative.
const LOSSES: f64 = 2e-4;
/// To their gradients' norms.
const NORMS: f64 = 1e-3;

#[test]
fn logits_are_those_of_transformers() {
    for model in MODELS {
        let golden = Golden::open(model);
        for (row, expected) in golden.rows("a").iter().zip(golden.logits("a", "a/logits")) {
            let off = share(&logits(model, None, row), &expected);
            assert!(off < LOGITS, "{model}: {off:e}");
        }
    }
}

/// Trains as a golden run did, and answers the lines of its metrics.
fn train(model: &str, run: &str, out: &Path, more: &[&str]) -> Vec<Value> {
    let golden = Golden::open(model);
    let settings = &golden.json["runs"][run];
    let (data, batch) = golden.data(run, out.parent().unwrap());
    let metrics = out.parent().unwrap().join("metrics.jsonl");
    let number = |key: &str| settings[key].as_f64().unwrap_or(0.0).to_string();
    let initial = golden.dir.join(run).join("initial");
    let adapter = ["--adapter", text(&initial)];
    let method: &[&str] =
        if settings["method"] == "full" { &["--method", "full"] } else { &adapter };
    let arguments = [
        "train",
        "--model",
        text(&golden.dir),
        "--data",
        text(&data),
        "--out",
        text(out),
        "--lr",
        &number("lr"),
        "--weight-decay",
        &number("weight_decay"),
        "--clip",
        &number("clip"),
        "--schedule",
        "constant",
        "--warmup",
        "0",
        "--no-shuffle",
        "--steps",
        "12",
        "--backend",
        "cpu",
        "--batch",
        &batch.0.to_string(),
        "--accumulate",
        &batch.1.to_string(),
        "--metrics",
        text(&metrics),
        "--checkpoint-every",
        "0",
    ];
    ok(&decora(&[&arguments[..], method, more].concat()));
    lines(&metrics)
}

fn values(lines: &[Value], key: &str) -> Vec<f64> {
    lines.iter().filter_map(|line| line[key].as_f64()).collect()
}

fn follows(name: &str, found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let off = found.iter().zip(expected).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
    assert!(off <= bound, "{name}: {off:e}, bound {bound:e}");
}

#[test]
fn training_follows_peft_and_its_adapter_answers_alike() {
    let runs = [
        ("llama", "lora_qv_init"),
        ("llama", "dora_patterns"),
        ("llama", "dora_all_rslora"),
        ("llama", "lora_decay"),
        ("llama", "full"),
        ("llama3", "dora_qv"),
        ("qwen2", "dora_all_rslora"),
        ("mistral", "dora_qv"),
        ("gpt2", "dora_all_rslora"),
        ("bert", "dora_pooler"),
        ("bert", "dora_all"),
        ("bert", "lora_biases"),
        ("qwen2_windows", "lora_all_biases"),
        ("gpt2", "full"),
    ];
    for (model, run) in runs {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let lines = train(model, run, &out, &[]);
        let golden = Golden::open(model);
        let name = |what: &str| format!("{model} {run} {what}");
        follows(
            &name("losses"),
            &values(&lines, "loss"),
            &golden.floats(&format!("{run}/losses")),
            LOSSES,
        );
        let norms = golden.floats(&format!("{run}/grad_norms"));
        follows(&name("norms"), &values(&lines, "grad_norm"), &norms, NORMS);
        let trained = golden.logits("a", &format!("{run}/a/logits"));
        let rounding = golden.json["runs"][run]["f32"]["logits"].as_f64().unwrap();
        for (row, expected) in golden.rows("a").iter().zip(trained) {
            let found = match run {
                "full" => common::logits_of(&out, None, row),
                _ => logits(model, Some(&out), row),
            };
            let off = share(&found, &expected);
            assert!(off < (4.0 * rounding).max(5e-4), "{}: {off:e}", name("logits"));
        }
    }
}

/// The arguments of a long training on few examples.
fn long<'a>(data: &'a Path, out: &'a Path, model: &'a Path) -> Vec<&'a str> {
    vec![
        "train",
        "--model",
        text(model),
        "--data",
        text(data),
        "--out",
        text(out),
        "--backend",
        "cpu",
        "--batch",
        "2",
        "--accumulate",
        "2",
        "--epochs",
        "300",
        "--rank",
        "3",
        "--dropout",
        "0.2",
        "--lr",
        "0.001",
        "--checkpoint-every",
        "20",
    ]
}

fn few(dir: &Path) -> PathBuf {
    let line = |i: u32| {
        format!("{{\"input_ids\":[{},{},{},{}]}}\n", i % 60, (i * 7) % 60, (i * 3) % 60, i % 5)
    };
    let path = dir.join("data.jsonl");
    fs::write(&path, (0..11).map(line).collect::<String>()).unwrap();
    path
}

#[test]
fn what_was_stopped_goes_on_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let (data, model) = (few(dir.path()), golden("models/llama"));
    ok(&decora(&long(&data, &whole, &model)));
    for signal in ["-INT", "-TERM"] {
        let mut arguments = long(&data, &parts, &model);
        arguments.extend((signal == "-TERM").then_some("--resume"));
        let mut child = common::spawn(&arguments);
        let before = checkpoints(&parts);
        while checkpoints(&parts) == before {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
            std::thread::sleep(core::time::Duration::from_millis(2));
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{error}");
        assert!(error.contains("stopped after step") && error.contains("--resume"), "{error}");
        assert!(checkpoints(&parts).len() <= 2, "the last one, and one that is known to be good");
    }
    ok(&decora(&[&long(&data, &parts, &model)[..], &["--resume"]].concat()));
    let adapter = |out: &Path| fs::read(out.join("adapter_model.safetensors")).unwrap();
    assert!(adapter(&whole) == adapter(&parts), "the same bits");
    assert_eq!(checkpoints(&parts).len(), 1, "the last one");
}

/// The names of the checkpoints in a folder.
fn checkpoints(out: &Path) -> Vec<OsString> {
    let names = fs::read_dir(out).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("checkpoint-")).collect()
}
