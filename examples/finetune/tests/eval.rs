//! `eval`, as its user sees it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{decora, fails, golden, ok, text};

/// An adapter of the model with the tokenizer, whose B is not zero.
fn trained(dir: &Path, name: &str, seed: &str) -> PathBuf {
    let data = dir.join("few.jsonl");
    fs::write(&data, "{\"prompt\":\"Two and two are\",\"completion\":\" four.\"}\n").unwrap();
    let (out, model) = (dir.join(name), golden("tokenizer"));
    ok(&decora(&[
        "train",
        "--model",
        text(&model),
        "--data",
        text(&data),
        "--out",
        text(&out),
        "--backend",
        "cpu",
        "--steps",
        "30",
        "--lr",
        "0.02",
        "--rank",
        "2",
        "--seed",
        seed,
        "--warmup",
        "0",
    ]));
    out
}

#[test]
fn eval_says_how_good_a_model_is() {
    let dir = tempfile::tempdir().unwrap();
    let model = golden("tokenizer");
    let data = dir.path().join("d.jsonl");
    fs::write(&data, "{\"prompt\":\"Two and two are\",\"completion\":\" four.\"}\n?\n").unwrap();
    let adapter = trained(dir.path(), "a", "1");
    let eval = |more: &[&str]| {
        let arguments =
            ["eval", "--model", text(&model), "--data", text(&data), "--backend", "cpu"];
        decora(&[&arguments[..], more].concat())
    };
    fails(&eval(&[]), &["d.jsonl, line 2"]);
    let loss = |more: &[&str]| {
        let said = ok(&eval(&[&["--skip-bad-lines"], more].concat()));
        assert!(said.contains("1 of 2 lines left out") && said.contains("perplexity"), "{said}");
        let rest = said.split("loss ").nth(1).unwrap();
        rest.split(',').next().unwrap().parse::<f64>().unwrap()
    };
    let (base, adapted) = (loss(&[]), loss(&["--adapter", text(&adapter)]));
    assert!(adapted < base / 2.0, "{base} before, {adapted} after");
}

#[test]
fn a_model_without_a_head_answers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (model, data) = (golden("models/minilm"), dir.path().join("d.jsonl"));
    fs::write(&data, "{\"input_ids\":[5,6],\"label\":1}\n").unwrap();
    let eval = ["eval", "--model", text(&model), "--data", text(&data), "--backend", "cpu"];
    fails(&decora(&eval), &["--model", "without a head", "--adapter"]);
}
