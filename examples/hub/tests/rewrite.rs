//! A model folder written anew.

mod common;

use common::{copy_dir, data};
use decora_hub::config::Stored;
use decora_hub::rewrite::{Change, Options, Written, rewrite};
use decora_hub::tensors::{Array, Dtype, Tensor};
use decora_hub::{Architecture, HubError, Weights};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::tempdir;

/// Adds the number of its row to each element of the tensors whose names end so.
struct Add(&'static str);

impl Change for Add {
    type Error = HubError;

    fn changes(&mut self, tensor: &Tensor<'_>) -> bool {
        tensor.name().ends_with(self.0)
    }

    fn rows(
        &mut self,
        tensor: &Tensor<'_>,
        first: usize,
        rows: &mut [f32],
    ) -> Result<(), HubError> {
        let columns = tensor.shape().get(1).copied().unwrap_or(rows.len());
        for (i, row) in rows.chunks_mut(columns).enumerate() {
            row.iter_mut().for_each(|x| *x += (first + i) as f32);
        }
        Ok(())
    }
}

/// Gives up at the second tensor that it changes.
struct Fail(usize);

impl Change for Fail {
    type Error = HubError;

    fn changes(&mut self, _: &Tensor<'_>) -> bool {
        true
    }

    fn rows(&mut self, _: &Tensor<'_>, _: usize, rows: &mut [f32]) -> Result<(), HubError> {
        self.0 += 1;
        if self.0 == 2 {
            rows[0] = f32::INFINITY;
        }
        Ok(())
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("one").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn shards_keep_their_names_and_bytes_but_for_what_changes() {
    let from = data("models/qwen2");
    let dir = tempdir().expect("a folder");
    let to = dir.path().join("deep/new");
    let model = Weights::open(&from).expect("a model");
    let written =
        rewrite(&model, &to, &Options::default(), &mut Add("q_proj.weight")).expect("written");
    let tensors = model.tensors().count();
    assert_eq!(written, Written { files: 3, tensors, changed: 2, bytes: 9248 });
    assert_eq!(names(&to), names(&from));
    let new = Weights::open(&to).expect("a model");
    for old in model.tensors() {
        let new = new.exactly(old.name()).expect("a tensor");
        assert_eq!((new.shape(), new.dtype()), (old.shape(), old.dtype()));
        let (a, b) = (old.finite().expect("floats"), new.finite().expect("floats"));
        match old.name().ends_with("q_proj.weight") {
            false => assert_eq!(new.data(), old.data()),
            true => {
                let columns = old.shape()[1];
                let near = |i: usize| (a[i] + (i / columns) as f32 - b[i]).abs() < 0.05;
                assert!((0..a.len()).all(near));
            }
        }
    }
    let index = "model.safetensors.index.json";
    let read = |dir: &Path| -> Value {
        serde_json::from_slice(&fs::read(dir.join(index)).expect("read")).expect("JSON")
    };
    assert_eq!(read(&to), read(&from));
    let untouched = fs::read(to.join("model-00003-of-00003.safetensors")).expect("read");
    assert_eq!(untouched, fs::read(from.join("model-00003-of-00003.safetensors")).expect("read"));
}

#[test]
fn formats_change_with_sizes_and_settings() {
    let dir = tempdir().expect("a folder");
    let model = Weights::open(&data("models/qwen2")).expect("a model");
    for (stored, name, bytes) in [(Stored::F32, "float32", 18496), (Stored::F16, "float16", 9248)] {
        let to = dir.path().join(name);
        let options = Options { stored: Some(stored), ..Options::default() };
        let written = rewrite(&model, &to, &options, &mut Add("nothing")).expect("written");
        assert_eq!((written.bytes, written.changed), (bytes, 0));
        let architecture = Architecture::read(&to).expect("an architecture");
        assert_eq!(architecture.stored, Some(stored));
        let new = Weights::open(&to).expect("a model");
        let index = fs::read(to.join("model.safetensors.index.json")).expect("read");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        assert_eq!(index["metadata"]["total_size"], json!(bytes));
        for old in model.tensors() {
            let new = new.exactly(old.name()).expect("a tensor").finite().expect("floats");
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= a.abs() * 1e-3 + 1e-7;
            assert!(old.finite().expect("floats").iter().zip(&new).all(close));
        }
    }
}

#[test]
fn tensors_and_settings_can_be_added() {
    let dir = tempdir().expect("a folder");
    let to = dir.path().join("new");
    let model = Weights::open(&data("models/gpt2")).expect("a model");
    let score = Array::new(vec![3, 16], (0..48).map(|i| i as f32).collect());
    let mut options = Options { stored: Some(Stored::Bf16), ..Options::default() };
    options.more.insert("score.weight".to_owned(), score.clone());
    options.config.insert("architectures".to_owned(), json!(["GPT2ForSequenceClassification"]));
    options.config.insert("num_labels".to_owned(), json!(3));
    let written = rewrite(&model, &to, &options, &mut Add("nothing")).expect("written");
    assert_eq!((written.files, written.changed), (1, 1));
    assert_eq!(names(&to), ["config.json", "model.safetensors"]);
    let (architecture, new) = (Architecture::read(&to), Weights::open(&to).expect("a model"));
    let modules = architecture.expect("an architecture").modules();
    let module = modules.iter().find(|m| m.path == "score").expect("a classifier");
    assert_eq!(new.matrix(module).expect("a weight").to_f32(), score.values);
    assert!(new.tensors().all(|t| t.dtype() == Dtype::Bf16));
}

#[test]
fn what_fails_leaves_nothing() {
    let dir = tempdir().expect("a folder");
    let to = dir.path().join("new");
    let model = Weights::open(&data("models/qwen2")).expect("a model");
    let error = rewrite(&model, &to, &Options::default(), &mut Fail(0)).expect_err("not finite");
    assert!(error.to_string().contains(": found inf in element 0, expected at most"), "{error}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn too_large_a_value_for_half_precision_is_named() {
    struct Huge;
    impl Change for Huge {
        type Error = HubError;
        fn changes(&mut self, tensor: &Tensor<'_>) -> bool {
            tensor.name().ends_with("wpe.weight")
        }
        fn rows(&mut self, _: &Tensor<'_>, _: usize, rows: &mut [f32]) -> Result<(), HubError> {
            rows[17] = 70_000.0;
            Ok(())
        }
    }
    let dir = tempdir().expect("a folder");
    let model = Weights::open(&data("models/gpt2")).expect("a model");
    let to = dir.path().join("new");
    let error =
        rewrite(&model, &to, &Options::default(), &mut Huge).expect_err("too large").to_string();
    assert!(error.ends_with("transformer.wpe.weight: found 70000 in element 17, expected at most 6.5504e4, for F16: nothing was kept"), "{error}");
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let dir = tempdir().expect("a folder");
    let model = Weights::open(&data("models/gpt2")).expect("a model");
    fs::write(dir.path().join("mine.txt"), "x").expect("written");
    let error =
        rewrite(&model, dir.path(), &Options::default(), &mut Add("x")).expect_err("refused");
    assert!(error.to_string().contains("found something there, expected a new folder"), "{error}");
    assert_eq!(names(dir.path()), ["mine.txt"]);
}

#[test]
fn settings_and_tokenizer_come_along_but_no_other_weights() {
    let dir = tempdir().expect("a folder");
    let (from, to) = (dir.path().join("old"), dir.path().join("new"));
    copy_dir(&data("models/gpt2"), &from);
    for name in
        ["tokenizer.json", "merges.txt", "chat_template.jinja", "pytorch_model.bin", "x.gguf"]
    {
        fs::write(from.join(name), name).expect("written");
    }
    let model = Weights::open(&from).expect("a model");
    rewrite(&model, &to, &Options::default(), &mut Add("x")).expect("written");
    let expected =
        ["chat_template.jinja", "config.json", "merges.txt", "model.safetensors", "tokenizer.json"];
    assert_eq!(names(&to), expected);
}
