//! `decora inspect` and `decora devices`.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{decora, fails, golden, ok, text};

fn has(found: &str, lines: &[&[&str]]) {
    for words in lines {
        let is = |line: &str| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            words.len() <= cells.len() && cells.starts_with(words)
        };
        assert!(found.lines().any(is), "no line {words:?} in\n{found}");
    }
}

#[test]
fn a_model_is_told_in_full() {
    let found = ok(&decora(&["inspect", text(&golden("tokenizer"))]));
    has(
        &found,
        &[
            &["model", "Llama,", "language", "head", "tied"],
            &["blocks", "2", "of", "width", "24,", "gated", "MLP", "of", "width", "40"],
            &["attention", "4", "heads", "of", "6,", "2", "of", "keys"],
            &["tokens", "320,", "texts", "of", "up", "to", "256,", "rotary"],
            &["tokenizer", "tokenizer.json,", "with", "a", "chat", "template"],
            // 320·24 embeddings; 2 blocks of 24·24·2 + 12·24·2 + 40·24·3 and two norms; one norm.
            &["parameters", "17,016"],
            &["stored", "F32,", "68.1", "KB"],
            &["model.layers.*.self_attn.k_proj", "2", "24", "12", "no", "576"],
            &["model.safetensors"],
        ],
    );
    let sharded = ok(&decora(&["inspect", text(&golden("models/llama"))]));
    has(&sharded, &[&["model-00001-of-00002.safetensors"], &["model-00002-of-00002.safetensors"]]);
}

#[test]
fn an_adapter_is_told_in_full() {
    let path = golden("models/llama/dora_patterns/initial");
    let found = ok(&decora(&["inspect", text(&path)]));
    has(&found, &[&["adapter", "DoRA,", "CAUSAL_LM"], &["adapted", "layers", "count"]]);
    let ranks: Vec<&str> = found.lines().filter(|line| line.contains("_proj")).collect();
    let rank = |line: &&str| line.split_whitespace().nth(4).unwrap().to_owned();
    let mut ranks: Vec<String> = ranks.iter().skip(1).map(rank).collect();
    ranks.sort();
    ranks.dedup();
    assert!(ranks.len() > 1, "ranks differ: {found}");
    let bert = ok(&decora(&["inspect", text(&golden("models/minilm/dora_classify/initial"))]));
    has(&bert, &[&["trained", "as", "a", "whole"], &["classifier.weight"], &["classifier.bias"]]);
}

#[test]
fn adapters_of_other_programs_are_told_apart() {
    let folder = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hub/tests/data/foreign").join(name)
    };
    let cases = [
        ("mlx_dora", &["adapter", "of", "mlx-lm"][..]),
        ("kohya.safetensors", &["adapter", "of", "kohya", "or", "LyCORIS"]),
        ("authors", &["adapter", "DoRA,"]),
    ];
    for (name, words) in cases {
        has(&ok(&decora(&["inspect", text(&folder(name))])), &[words, &["parameters"]]);
    }
}

#[test]
fn what_is_neither_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    fails(&decora(&["inspect", text(dir.path())]), &[text(dir.path())]);
    fails(&decora(&["inspect", "no/such/folder"]), &["no/such/folder"]);
    let cut = dir.path().join("adapter.safetensors");
    fs::write(&cut, [1, 2, 3]).unwrap();
    fails(&decora(&["inspect", text(&cut)]), &["adapter.safetensors", "3 bytes"]);
}

#[test]
fn the_cpu_is_always_there() {
    let found = ok(&decora(&["devices"]));
    assert!(found.starts_with("cpu: CPU, "), "{found}");
}
