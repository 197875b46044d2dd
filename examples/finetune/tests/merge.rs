//! `decora merge`: merged models beside their adapters, and what must not be merged.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Golden, decora, fails, golden, logits_of, ok, text};
use decora_hub::tensors::{Array, Arrays, TensorFile, write};

/// The largest difference of logits, as a share of the largest.
const BOUND: f64 = 1e-5;

fn share(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    found.iter().zip(expected).fold(0.0, |max: f64, (a, b)| max.max((a - b).abs())) / largest
}

fn merge(model: &Path, adapter: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let paths = ["--model", text(model), "--adapter", text(adapter), "--out", text(out)];
    decora(&[&["merge"], &paths[..], more].concat())
}

/// The trained adapter of a run, or else the one it began with.
fn adapter(model: &str, run: &str) -> PathBuf {
    let dir = golden(&format!("models/{model}/{run}"));
    let last = dir.join("final");
    if last.exists() { last } else { dir.join("initial") }
}

#[test]
fn a_merged_model_answers_as_its_adapter() {
    let runs = [
        ("llama", "dora_patterns"),
        ("llama", "lora_qv_init"),
        ("llama3", "dora_qv"),
        ("qwen2", "dora_all_rslora"),
        ("mistral", "dora_qv"),
        ("gpt2", "dora_all_rslora"),
        ("gpt2", "lora_default_init"),
        ("bert", "dora_all"),
        ("bert", "dora_pooler"),
        ("minilm", "dora_classify"),
    ];
    for (model, run) in runs {
        let dir = tempfile::tempdir().unwrap();
        let (golden, out, adapter) =
            (Golden::open(model), dir.path().join("m"), adapter(model, run));
        ok(&merge(&golden.dir, &adapter, &out, &[]));
        for row in golden.rows("a") {
            let expected = logits_of(&golden.dir, Some(&adapter), &row);
            let off = share(&logits_of(&out, None, &row), &expected);
            assert!(off <= BOUND, "{model} {run}: {off:e}");
            if model != "minilm" {
                let base = share(&logits_of(&golden.dir, None, &row), &expected);
                assert!(
                    base > 100.0 * BOUND,
                    "{model} {run}: the adapter does something, {base:e}"
                );
            }
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let all = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut all: Vec<_> = all.filter(|name| !name.starts_with("golden")).collect();
    all.sort();
    all
}

#[test]
fn shards_stay_shards_and_formats_change_where_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (model, adapter) = (golden("models/llama"), adapter("llama", "dora_patterns"));
    let keep = dir.path().join("keep");
    let said = ok(&merge(&model, &adapter, &keep, &[]));
    assert!(said.contains("tensors merged") && said.contains("2 file(s)"), "{said}");
    let files: Vec<_> = names(&model).into_iter().filter(|name| name.contains('.')).collect();
    assert_eq!(names(&keep), files, "the same files");
    for dtype in ["f32", "f16", "bf16"] {
        let out = dir.path().join(dtype);
        ok(&merge(&model, &adapter, &out, &["--dtype", dtype]));
        for name in names(&out).iter().filter(|name| name.ends_with(".safetensors")) {
            let file = TensorFile::open(&out.join(name)).unwrap();
            let other =
                |t: &decora_hub::tensors::Tensor<'_>| !t.dtype().name().eq_ignore_ascii_case(dtype);
            assert_eq!(file.tensors().filter(other).count(), 0, "{dtype} {name}");
        }
        let config = fs::read_to_string(out.join("config.json")).unwrap();
        let named = [("f32", "float32"), ("f16", "float16"), ("bf16", "bfloat16")];
        let (_, expected) = named.iter().find(|(short, _)| *short == dtype).unwrap();
        assert!(config.contains(&format!("\"dtype\": \"{expected}\"")), "{config}");
    }
}

/// A copy of an adapter whose file of tensors is changed.
fn changed(adapter: &Path, to: &Path, change: impl Fn(&mut Arrays)) {
    fs::create_dir_all(to).unwrap();
    fs::copy(adapter.join("adapter_config.json"), to.join("adapter_config.json")).unwrap();
    let file = TensorFile::open(&adapter.join("adapter_model.safetensors")).unwrap();
    let read = |t: decora_hub::tensors::Tensor<'_>| (t.name().to_owned(), Array::read(&t).unwrap());
    let mut all: Arrays = file.tensors().map(read).collect();
    change(&mut all);
    write(&to.join("adapter_model.safetensors"), &all, Default::default()).unwrap();
}

#[test]
fn nothing_is_written_of_what_cannot_be_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (model, good) = (golden("models/llama"), adapter("llama", "dora_patterns"));
    let out = dir.path().join("new").join("out");
    let nothing = || {
        let left = fs::read_dir(dir.path().join("new")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "nothing is left");
    };
    // An adapter of another model, by the name of what does not fit.
    fails(&merge(&model, &adapter("qwen2", "dora_all_rslora"), &out, &[]), &["model.layers"]);
    nothing();
    fails(&merge(&model, &adapter("gpt2", "dora_all_rslora"), &out, &[]), &["target_modules"]);
    nothing();
    // Values that are finite until they are merged, or stored as f16.
    let huge = dir.path().join("huge");
    changed(&good, &huge, |all| {
        let magnitudes = all.iter_mut().filter(|(name, _)| name.contains("magnitude"));
        magnitudes.for_each(|(_, x)| x.values.iter_mut().for_each(|x| *x = 3e38));
    });
    fails(&merge(&model, &huge, &out, &[]), &["_proj.weight", "inf", "nothing was kept"]);
    nothing();
    let large = dir.path().join("large");
    changed(&good, &large, |all| {
        let magnitudes = all.iter_mut().filter(|(name, _)| name.contains("magnitude"));
        magnitudes.for_each(|(_, x)| x.values.iter_mut().for_each(|x| *x = 1e6));
    });
    fails(&merge(&model, &large, &out, &["--dtype", "f16"]), &["_proj.weight", "F16"]);
    nothing();
    ok(&merge(&model, &large, &dir.path().join("as-f32"), &[]));
    // A magnitude that is missing, a shard that is cut, a folder that is taken.
    let less = dir.path().join("less");
    changed(&good, &less, |all| {
        let name = all.keys().find(|name| name.contains("magnitude")).unwrap().clone();
        all.remove(&name);
    });
    fails(&merge(&model, &less, &out, &[]), &["lora_magnitude_vector"]);
    nothing();
    let cut = dir.path().join("cut");
    fs::create_dir(&cut).unwrap();
    for name in names(&model).iter().filter(|name| model.join(name).is_file()) {
        fs::copy(model.join(name), cut.join(name)).unwrap();
    }
    let shard = cut.join("model-00002-of-00002.safetensors");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 100]).unwrap();
    fails(&merge(&cut, &good, &out, &[]), &["model-00002-of-00002.safetensors", "cut"]);
    nothing();
    fails(&merge(&model, &good, &less, &[]), &["something there", text(&less)]);
}
