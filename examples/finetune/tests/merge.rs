//! `decora merge`: merged models beside their adapters, and what must not be merged.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Golden, decora, fails, golden, logits_of, ok, share, spawn, text};
use decora_hub::tensors::{Array, Arrays, TensorFile, write};
use serde_json::{Value, json};

/// The largest difference of logits, as a share of the largest.
const BOUND: f64 = 1e-5;

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
        ("gpt2", "dora_biases"),
        ("bert", "lora_biases"),
        ("qwen2_windows", "lora_all_biases"),
    ];
    for (model, run) in runs {
        let dir = tempfile::tempdir().unwrap();
        let (golden, out, adapter) =
            (Golden::open(model), dir.path().join("m"), adapter(model, run));
        ok(&merge(&golden.dir, &adapter, &out, &["--dtype", "f32"]));
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
    assert!(said.contains("6 of 20 tensors changed") && said.contains("in 2 files"), "{said}");
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
        let products = all.iter_mut().filter(|(name, _)| name.contains("lora_B"));
        products.for_each(|(_, x)| x.values.iter_mut().for_each(|x| *x = 3e38));
    });
    fails(&merge(&model, &huge, &out, &[]), &["_proj.weight", "nothing was kept"]);
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

/// A folder with a model of llama's shape and one large file, all zeros; it takes no room on the disk.
fn large(dir: &Path, vocabulary: usize) -> usize {
    let config = fs::read_to_string(golden("models/llama/config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["vocab_size"] = vocabulary.into();
    fs::create_dir(dir).unwrap();
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for tensor in golden_tensors() {
        let (name, mut shape) = tensor;
        if name.contains("embed_tokens") || name.contains("lm_head") {
            shape[0] = vocabulary;
        }
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert(name, entry);
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(&header);
    let file = fs::File::create(dir.join("model.safetensors")).unwrap();
    (&file).write_all(&bytes).unwrap();
    file.set_len((bytes.len() + end) as u64).unwrap();
    end
}

/// Names and shapes of the tensors of the golden llama.
fn golden_tensors() -> Vec<(String, Vec<usize>)> {
    let files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let file = |name| TensorFile::open(&golden("models/llama").join(name)).unwrap();
    let all = files.map(file);
    let all = all.iter().flat_map(TensorFile::tensors);
    all.map(|t| (t.name().to_owned(), t.shape().to_vec())).collect()
}

/// The most memory that a process has, in bytes, looked at until it ends.
#[cfg(target_os = "linux")]
fn peak(mut child: std::process::Child) -> (usize, std::process::Output) {
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        let kib: usize = size.trim().trim_end_matches(" kB").parse().unwrap();
        most = most.max(1024 * kib);
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    (most, child.wait_with_output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_model_larger_than_memory_is_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("model"), dir.path().join("out"));
    let bytes = large(&model, 1_200_000);
    let adapter = adapter("llama", "dora_patterns");
    let paths = ["--model", text(&model), "--adapter", text(&adapter), "--out", text(&out)];
    let (most, output) = peak(spawn(&[&["merge"], &paths[..], &["--dtype", "bf16"]].concat()));
    ok(&output);
    assert!(bytes > 150_000_000 && most < bytes / 4, "{most} bytes of memory for {bytes}");
    let written = fs::metadata(out.join("model.safetensors")).unwrap().len();
    assert!(written > bytes as u64 / 2, "{written}");
}

#[test]
fn a_merge_that_is_stopped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("model"), dir.path().join("new/out"));
    large(&model, 1_200_000);
    let adapter = adapter("llama", "dora_patterns");
    let paths = ["--model", text(&model), "--adapter", text(&adapter), "--out", text(&out)];
    let mut child = spawn(&[&["merge"], &paths[..], &["--dtype", "bf16"]].concat());
    while fs::read_dir(dir.path().join("new")).map_or(0, Iterator::count) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), error.as_str()),
        (Some(130), "error: stopped; nothing was written\n")
    );
    assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 0);
}
