//! A head that is the table of embeddings, and an adapter that brings a copy of it, as PEFT's
//! `modules_to_save` makes one.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Golden, Place, decora, golden, lines, logits_of, ok, share, text};
use decora_hub::tensors::{Array, Arrays, TensorFile, write};
use serde_json::{Value, json};

const HEAD: &str = "base_model.model.lm_head.weight";

fn tensors(file: &Path) -> Arrays {
    let file = TensorFile::open(file).unwrap();
    let read = |t: decora_hub::tensors::Tensor<'_>| (t.name().to_owned(), Array::read(&t).unwrap());
    file.tensors().map(read).collect()
}

/// The golden adapter of a model, with a head beside: twice the table.
fn with_head(model: &str, run: &str, table: &str, to: &Path) -> PathBuf {
    let (from, to) = (golden(&format!("models/{model}/{run}")), to.join("adapter"));
    let from = if from.join("final").exists() { from.join("final") } else { from.join("initial") };
    fs::create_dir(&to).unwrap();
    let config = fs::read(from.join("adapter_config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["modules_to_save"] = json!(["lm_head"]);
    fs::write(to.join("adapter_config.json"), config.to_string()).unwrap();
    let files = fs::read_dir(golden(&format!("models/{model}"))).unwrap();
    let files = files.map(|e| e.unwrap().path()).filter(|p| {
        let name = p.file_name().unwrap().to_str().unwrap();
        name.starts_with("model") && name.ends_with(".safetensors")
    });
    let mut head =
        files.flat_map(|f| tensors(&f)).find(|(name, _)| name.ends_with(table)).unwrap().1;
    head.values.iter_mut().for_each(|x| *x *= 2.0);
    let mut all = tensors(&from.join("adapter_model.safetensors"));
    all.insert(HEAD.to_owned(), head);
    write(&to.join("adapter_model.safetensors"), &all, Default::default()).unwrap();
    from
}

#[test]
fn a_copy_of_a_tied_head_is_used_merged_and_trained() {
    let models = [
        ("llama", "dora_patterns", "embed_tokens.weight"),
        ("gpt2", "dora_all_rslora", "wte.weight"),
    ];
    for (name, run, table) in models {
        let dir = tempfile::tempdir().unwrap();
        let plain = with_head(name, run, table, dir.path());
        let (model, adapter) = (Golden::open(name), dir.path().join("adapter"));
        let merged = dir.path().join("merged");
        let paths = ["--model", text(&model.dir), "--adapter", text(&adapter)];
        ok(&decora(&[&["merge", "--out", text(&merged), "--dtype", "f32"], &paths[..]].concat()));
        let config = fs::read_to_string(merged.join("config.json")).unwrap();
        assert!(config.contains("\"tie_word_embeddings\": false"), "{config}");
        for row in model.rows("a") {
            let expected = logits_of(&model.dir, Some(&plain), &row);
            let twice: Vec<f64> = expected.iter().map(|x| 2.0 * x).collect();
            assert_eq!(logits_of(&model.dir, Some(&adapter), &row), twice, "{name}");
            let off = share(&logits_of(&merged, None, &row), &twice);
            assert!(off <= 1e-5, "{name}: {off:e}");
        }
        trained(&model.dir, &adapter);
    }
}

/// Training from such an adapter begins with its loss, changes the copy, and keeps it.
fn trained(model: &Path, adapter: &Path) {
    let place = Place::new("{\"input_ids\":[5,6,7,8,9]}\n");
    let metrics = place.path("metrics.jsonl");
    let more = ["--adapter", text(adapter), "--lr", "0.01", "--metrics", text(&metrics)];
    ok(&place.train(model, &more));
    let data = place.path("data.jsonl");
    let paths = ["--model", text(model), "--adapter", text(adapter), "--data", text(&data)];
    let said = ok(&decora(&[&["eval", "--backend", "cpu"], &paths[..]].concat()));
    let first = lines(&metrics)[0]["loss"].as_f64().unwrap();
    assert!(said.contains(&format!("loss {first:.4}")), "{first}, {said}");
    let head = |dir: &Path| tensors(&dir.join("adapter_model.safetensors")).remove(HEAD).unwrap();
    let (before, after) = (head(adapter), head(&place.path("out")));
    assert_eq!(before.shape, after.shape);
    assert_ne!(before.values, after.values);
}
