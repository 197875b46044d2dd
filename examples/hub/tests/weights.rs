//! The tensors of a model folder, beside PyTorch, whole and damaged.

mod common;

use common::{Random, copy_dir, data, json, network};
use decora_hub::tensors::{Dtype, Layout, TensorFile};
use decora_hub::{Architecture, Weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// Sum, and sum with weights 1, 2, ...
fn sums(values: &[f32]) -> (f64, f64) {
    let wide = values.iter().map(|&x| f64::from(x));
    (wide.clone().sum(), wide.zip(1..).map(|(x, i)| x * f64::from(i)).sum())
}

fn close(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().expect("a number");
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

#[test]
fn every_tensor_is_as_pytorch_has_it() {
    for (model, tensors) in json("sums.json").as_object().expect("models") {
        let weights = Weights::open(&data("models").join(model)).expect("a model");
        for (name, row) in tensors.as_object().expect("tensors") {
            let shape: Vec<usize> = row[0]
                .as_array()
                .expect("a shape")
                .iter()
                .map(|n| n.as_u64().expect("n") as usize)
                .collect();
            if name == "lm_head.weight" && weights.get(name).is_none() {
                continue; // Tied.
            }
            let values = weights.values(name, &shape).expect("a tensor");
            let (plain, weighted) = sums(&values.to_f32());
            assert!(close(plain, &row[1]) && close(weighted, &row[2]), "{model} {name}");
        }
    }
}

#[test]
fn a_head_that_is_not_the_table_is_another_one() {
    let table = |values: &[u8]| {
        let tensors = [
            ("lm_head.weight", Dtype::F32, vec![1]),
            ("transformer.wte.weight", Dtype::F32, vec![1]),
        ];
        let dir = one(&tensors, values);
        Weights::open(dir.path()).expect("a model").unties(&network("gpt2"))
    };
    assert!(!table(&[1, 2, 3, 4, 1, 2, 3, 4]));
    assert!(table(&[1, 2, 3, 4, 1, 2, 3, 5]));
}

#[test]
fn every_module_has_its_weight_and_bias() {
    for model in ["qwen2", "gpt2"] {
        let dir = data("models").join(model);
        let (architecture, weights) =
            (Architecture::read(&dir), Weights::open(&dir).expect("a model"));
        for module in architecture.expect("an architecture").modules() {
            if module.path == "lm_head" && weights.get("lm_head.weight").is_none() {
                continue;
            }
            let w = weights.matrix(&module).expect("a weight");
            assert_eq!(w.len(), module.out * module.inputs);
            assert_eq!(w.is_borrowed(), !module.transposed, "{}", module.path);
            assert_eq!(weights.bias(&module).expect("a bias").is_some(), module.bias);
        }
    }
}

#[test]
fn a_conv1d_is_transposed() {
    let weights = Weights::open(&data("models/gpt2")).expect("a model");
    let module =
        network("gpt2").modules().into_iter().find(|m| m.path.ends_with("c_attn")).expect("one");
    let stored = weights.values(&module.weight_name(), &[16, 48]).expect("a tensor").to_f32();
    let w = weights.matrix(&module).expect("a weight").to_f32();
    assert!((0..48 * 16).all(|i| w[i] == stored[(i % 16) * 48 + i / 16]));
}

#[test]
fn prefixes_may_be_there_or_not() {
    let weights = Weights::open(&data("models/gpt2")).expect("a model");
    for name in ["transformer.h.0.ln_1.weight", "h.0.ln_1.weight"] {
        assert!(weights.get(name).is_some(), "{name}");
    }
    let dir = one(&[("h.0.ln_1.weight", Dtype::F32, vec![1])], &[0; 4]);
    let weights = Weights::open(dir.path()).expect("a model");
    assert!(weights.get("transformer.h.0.ln_1.weight").is_some());
}

#[test]
fn layer_norms_are_found_by_their_old_names() {
    let names = ["bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.beta"];
    let dir = one(&names.map(|name| (name, Dtype::F32, vec![1])), &[0; 8]);
    let weights = Weights::open(dir.path()).expect("a model");
    for (name, old) in [("weight", names[0]), ("bias", names[1])] {
        let found = weights.get(&format!("embeddings.LayerNorm.{name}")).expect("a tensor");
        assert_eq!(found.name(), old);
    }
}

/// A folder with one file of these tensors.
fn one(tensors: &[(&str, Dtype, Vec<usize>)], data: &[u8]) -> TempDir {
    let dir = tempdir().expect("a folder");
    let owned =
        tensors.iter().map(|(name, dtype, shape)| ((*name).to_owned(), *dtype, shape.clone()));
    let mut bytes = Layout::new(owned, BTreeMap::new()).header();
    bytes.extend_from_slice(data);
    fs::write(dir.path().join("model.safetensors"), bytes).expect("written");
    dir
}

/// The error that a copy of the model in shards gives after a change.
fn error_after(change: impl FnOnce(&Path)) -> String {
    let dir = tempdir().expect("a folder");
    copy_dir(&data("models/qwen2"), dir.path());
    change(dir.path());
    let error = Weights::open(dir.path()).expect_err("an error").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn first_shard(dir: &Path) -> std::path::PathBuf {
    let mut shards: Vec<_> =
        fs::read_dir(dir).expect("a folder").map(|e| e.expect("one").path()).collect();
    shards.retain(|p| p.extension().is_some_and(|e| e == "safetensors"));
    shards.sort();
    shards.swap_remove(0)
}

fn edit_index(dir: &Path, edit: impl FnOnce(&mut Value)) {
    let path = dir.join("model.safetensors.index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    edit(&mut index["weight_map"]);
    fs::write(path, index.to_string()).expect("written");
}

#[test]
fn damage_is_named() {
    let missing = error_after(|dir| fs::remove_file(first_shard(dir)).expect("removed"));
    assert!(missing.starts_with("cannot read") && missing.contains("model-00001-of-"), "{missing}");
    let cut = error_after(|dir| {
        let bytes = fs::read(first_shard(dir)).expect("read");
        fs::write(first_shard(dir), &bytes[..bytes.len() - 10]).expect("written");
    });
    assert!(cut.contains("model-00001-of-") && cut.contains("the file has been cut"), "{cut}");
    let empty = error_after(|dir| fs::write(first_shard(dir), []).expect("written"));
    assert!(empty.contains("found 0 bytes, expected at least 8"), "{empty}");
    let absent = error_after(|dir| {
        let shard = first_shard(dir).file_name().expect("a name").to_string_lossy().into_owned();
        edit_index(dir, |map| map["model.extra"] = Value::String(shard));
    });
    assert!(absent.contains("found no tensor model.extra, expected one"), "{absent}");
    let outside = error_after(|dir| edit_index(dir, |map| map["x"] = Value::String("../x".into())));
    assert!(outside.contains("weight_map.x: found \"../x\""), "{outside}");
    let twice = error_after(|dir| {
        fs::copy(first_shard(dir), dir.join("z.safetensors")).expect("copied");
        edit_index(dir, |map| map["x"] = Value::String("z.safetensors".into()));
    });
    assert!(
        twice.contains("z.safetensors") && twice.contains("as well, expected it in one file"),
        "{twice}"
    );
}

#[test]
fn shapes_and_formats_are_checked() {
    let dir = one(&[("a", Dtype::F32, vec![2, 3]), ("b", Dtype::I64, vec![1])], &[0; 32]);
    let weights = Weights::open(dir.path()).expect("a model");
    let error = weights.values("a", &[3, 2]).expect_err("a shape").to_string();
    assert!(
        error.ends_with("model.safetensors: a: found shape [2, 3], expected [3, 2]"),
        "{error}"
    );
    let error = weights.values("b", &[1]).expect_err("a format").to_string();
    assert!(error.ends_with("b: found I64, expected F32, F16 or BF16"), "{error}");
    let error = weights.values("c", &[1]).expect_err("no tensor").to_string();
    assert!(error.ends_with("found no tensor c, expected one"), "{error}");
    let dir = one(&[("a", Dtype::F32, vec![1])], &f32::NAN.to_le_bytes());
    let weights = Weights::open(dir.path()).expect("a model");
    let error = weights.tensor("a", &[1]).expect("a").finite().expect_err("not finite").to_string();
    assert!(error.contains("element 0 infinite or not a number"), "{error}");
}

#[test]
fn a_header_with_a_name_twice_is_refused() {
    let header = br#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("x.safetensors");
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    fs::write(&path, bytes).expect("written");
    let error = TensorFile::open(&path).expect_err("twice").to_string();
    assert!(error.contains("header: found a twice"), "{error}");
}

#[test]
fn unaligned_elements_are_copied() {
    let text = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} "#;
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("x.safetensors");
    let bytes = [&(text.len() as u64).to_le_bytes()[..], text, &1.5f32.to_le_bytes()].concat();
    fs::write(&path, bytes).expect("written");
    let file = TensorFile::open(&path).expect("a file");
    let values = file.tensor("a").expect("a").values().expect("floats");
    assert_eq!((values.is_borrowed(), values.to_f32()), (false, vec![1.5]));
}

#[test]
fn files_are_those_of_the_formats_own_library() {
    let tensors =
        [("b", Dtype::F32, vec![2]), ("a", Dtype::Bf16, vec![1, 3]), ("c", Dtype::F32, vec![])];
    let dir = one(&tensors, &[0; 18]);
    let ours = fs::read(dir.path().join("model.safetensors")).expect("read");
    let view = |dtype, shape: &[usize], len| {
        safetensors::tensor::TensorView::new(dtype, shape.to_vec(), &[0; 12][..len])
            .expect("a view")
    };
    use safetensors::Dtype as D;
    let views = [
        ("a", view(D::BF16, &[1, 3], 6)),
        ("b", view(D::F32, &[2], 8)),
        ("c", view(D::F32, &[], 4)),
    ];
    let theirs = safetensors::serialize(views, None).expect("bytes");
    let header = |bytes: &[u8]| -> Value {
        let (n, rest) = bytes.split_first_chunk::<8>().expect("a length");
        serde_json::from_slice(&rest[..u64::from_le_bytes(*n) as usize]).expect("JSON")
    };
    assert_eq!(header(&ours), header(&theirs));
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn no_damage_makes_it_panic() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("model.safetensors");
    let good = fs::read(first_shard(&data("models/qwen2"))).expect("read");
    let header = 8 + u64::from_le_bytes(*good.first_chunk().expect("8 bytes")) as usize;
    let mut random = Random(11);
    for i in 0..800 {
        let bytes = match i % 2 {
            0 => random.damage(&good),
            _ => [&random.damage(&good[..header])[..], &good[header..]].concat(),
        };
        fs::write(&path, bytes).expect("written");
        if let Ok(weights) = Weights::open(dir.path()) {
            for tensor in weights.tensors() {
                let _ = tensor.values().map(|values| values.to_f32());
            }
        }
    }
}
