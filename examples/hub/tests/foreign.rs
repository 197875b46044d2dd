//! Adapters of other programs: merged, they give what those programs give.

mod common;

use common::{Random, copy_dir, data, json, network};
use decora_hub::foreign::{self, Origin};
use decora_hub::peft::Layer;
use decora_hub::tensors::{Array, Arrays, TensorFile, write};
use decora_hub::{Adapter, HubError, Weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// m⊙(W + s·B·A)/‖W + s·B·A‖, or without m the sum alone, in double precision.
fn merged(w: &[f32], layer: &Layer, s: f64) -> Vec<f64> {
    let &[r, inputs] = &layer.a.shape[..] else { panic!("a matrix") };
    let out = layer.b.shape[0];
    let at = |x: &Array, i: usize| f64::from(x.values[i]);
    let mut all = Vec::new();
    for i in 0..out {
        let v = (0..inputs).map(|j| {
            let ba: f64 =
                (0..r).map(|k| at(&layer.b, i * r + k) * at(&layer.a, k * inputs + j)).sum();
            f64::from(w[i * inputs + j]) + s * ba
        });
        let v: Vec<f64> = v.collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let g = layer.m.as_ref().map_or(1.0, |m| at(m, i) / norm);
        all.extend(v.iter().map(|x| g * x));
    }
    all
}

fn close(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().expect("a number");
    (found - expected).abs() <= 1e-4 * expected.abs().max(1.0)
}

#[test]
fn they_merge_to_what_their_own_programs_make() {
    let weights = Weights::open(&data("models/qwen2")).expect("a model");
    let qwen2 = network("qwen2");
    for (name, layers) in json("foreign/merged.json").as_object().expect("adapters") {
        let adapter = foreign::read(&data("foreign").join(name), &qwen2).expect(name);
        let selection = adapter.fit(&qwen2).expect(name);
        assert_eq!(selection.adapted.len(), layers.as_object().expect("layers").len());
        assert_eq!(adapter.config.use_dora, name != "mlx_lora");
        for adapted in selection.adapted {
            let path = &adapted.module.path;
            let w = weights.matrix(&adapted.module).expect("a weight").to_f32();
            let found = merged(&w, &adapter.layers[path], adapted.spec.scale());
            let plain = found.iter().sum();
            let weighted = found.iter().zip(1..).map(|(x, i)| x * f64::from(i)).sum();
            let expected = &layers[path];
            assert!(close(plain, &expected[0]) && close(weighted, &expected[1]), "{name} {path}");
        }
    }
}

#[test]
fn origins_are_told_apart() {
    let cases = [
        ("adapters/llama_dora", Origin::Peft),
        ("adapters/llama_dora/adapter_model.safetensors", Origin::Peft),
        ("foreign/authors", Origin::Nvlabs),
        ("foreign/mlx_lora", Origin::Mlx),
        ("foreign/lycoris.safetensors", Origin::Kohya),
    ];
    for (name, expected) in cases {
        assert_eq!(foreign::origin(&data(name)).expect(name), expected);
    }
    let error = foreign::origin(&data("models/gpt2")).expect_err("a model").to_string();
    assert!(error.contains("found no tensors of LoRA"), "{error}");
    let error = foreign::origin(&data("models/qwen2")).expect_err("a model").to_string();
    assert!(
        error.contains("found 3 files of tensors, expected adapter_model.safetensors"),
        "{error}"
    );
}

#[test]
fn an_adapter_of_the_authors_is_that_of_peft() {
    let llama = network("llama");
    let theirs = foreign::read(&data("foreign/authors"), &llama).expect("an adapter");
    let ours = Adapter::read(&data("adapters/llama_dora")).expect("an adapter");
    assert_eq!(theirs.layers, ours.layers);
    assert!(theirs.config.use_dora && theirs.config.unknown.is_empty());
}

#[test]
fn what_is_read_can_be_written_for_peft() {
    let qwen2 = network("qwen2");
    let dir = tempdir().expect("a folder");
    let adapter = foreign::read(&data("foreign/kohya.safetensors"), &qwen2).expect("an adapter");
    adapter.write(dir.path()).expect("written");
    let again = Adapter::read(dir.path()).expect("an adapter");
    assert_eq!(again.layers, adapter.layers);
    assert_eq!(again.fit(&qwen2).expect("fits"), adapter.fit(&qwen2).expect("fits"));
}

/// A file of the tensors of another one after a change.
fn changed(from: &str, change: impl Fn(&str, Array) -> Option<(String, Array)>) -> TempDir {
    let dir = tempdir().expect("a folder");
    let file = TensorFile::open(&data("foreign").join(from)).expect("a file");
    let arrays: Arrays =
        file.tensors().filter_map(|t| change(t.name(), Array::read(&t).expect("floats"))).collect();
    write(&dir.path().join("x.safetensors"), &arrays, BTreeMap::new()).expect("written");
    dir
}

fn error(dir: &Path) -> String {
    let error: HubError = foreign::read(dir, &network("qwen2")).expect_err("an error");
    assert!(!error.to_string().contains('\n'), "{error}");
    error.to_string()
}

#[test]
fn a_magnitude_for_each_input_is_refused() {
    let dir = tempdir().expect("a folder");
    fs::copy(data("foreign/inputs.safetensors"), dir.path().join("x.safetensors")).expect("copied");
    let shape = error(dir.path());
    assert!(
        shape.contains("dora_scale: found shape [1, ")
            && shape.contains("one for each input is not DoRA"),
        "{shape}"
    );
    // Without a second dimension, length tells, and for square matrices the other ones in the file.
    let flat = |only: &'static str| {
        changed("lycoris.safetensors", move |name, mut array| {
            if name.ends_with("dora_scale") {
                array.shape.truncate(1);
            }
            name.contains(only).then(|| (name.to_owned(), array))
        })
    };
    assert!(foreign::read(flat("").path(), &network("qwen2")).is_ok());
    let square = error(flat("q_proj").path());
    assert!(
        square.contains("found shape [16], expected [16, 1]: the weight is square"),
        "{square}"
    );
    let inputs = changed("inputs.safetensors", |name, mut array| {
        if name.ends_with("dora_scale") {
            array.shape.remove(0);
        }
        name.contains("k_proj").then(|| (name.to_owned(), array))
    });
    let inputs = error(inputs.path());
    assert!(inputs.contains("found shape [16], expected [8, 1], one for each output"), "{inputs}");
}

#[test]
fn what_is_wrong_is_named() {
    let without = |part: &'static str| {
        let keep =
            move |name: &str, array| (!name.ends_with(part)).then(|| (name.to_owned(), array));
        error(changed("lycoris.safetensors", keep).path())
    };
    let m = without("q_proj.dora_scale");
    assert!(m.contains("found no tensor") && m.contains("q_proj.lora_magnitude_vector"), "{m}");
    let b = without("k_proj.lora_up.weight");
    assert!(b.contains("found no tensor") && b.contains("k_proj.lora_B.weight"), "{b}");
    let rename = |from: &'static str, to: &'static str| {
        let change = move |name: &str, array| Some((name.replace(from, to), array));
        error(changed("kohya.safetensors", change).path())
    };
    let other = rename("layers_1_mlp", "layers_7_mlp");
    assert!(
        other.contains("found tensor lora_te_model_layers_7_mlp_down_proj.")
            && other.contains("such as model.layers.0.self_attn.q_proj"),
        "{other}"
    );
    let hada = rename("lora_up.weight", "hada_w1_a");
    assert!(
        hada.contains("expected lora_down.weight, lora_up.weight, alpha or dora_scale"),
        "{hada}"
    );
    let shape = error(
        changed("lycoris.safetensors", |name, array| {
            Some((name.replace("q_proj", "v_proj"), array))
        })
        .path(),
    );
    assert!(shape.contains("v_proj.") && shape.contains("found shape"), "{shape}");
}

/// What is said of an adapter of mlx-lm after a change of its settings.
fn mlx(edit: impl FnOnce(&mut Value)) -> String {
    let dir = tempdir().expect("a folder");
    copy_dir(&data("foreign/mlx_lora"), dir.path());
    let path = dir.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    edit(&mut config);
    fs::write(path, config.to_string()).expect("written");
    error(dir.path())
}

#[test]
fn settings_of_mlx_are_checked() {
    let full = mlx(|c| c["fine_tune_type"] = "full".into());
    assert!(
        full.contains("fine_tune_type: found \"full\", expected \"lora\" or \"dora\""),
        "{full}"
    );
    let dora = mlx(|c| c["fine_tune_type"] = "dora".into());
    assert!(dora.contains("found no tensor") && dora.contains("lora_magnitude_vector"), "{dora}");
    let alpha = mlx(|c| c["lora_parameters"]["alpha"] = 16.into());
    assert!(alpha.contains("lora_parameters.alpha: found 16, expected none"), "{alpha}");
    let scale = mlx(|c| c["lora_parameters"]["scale"] = Value::Null);
    assert!(scale.contains("lora_parameters.scale: found null"), "{scale}");
}

#[test]
fn no_damage_makes_it_panic() {
    let mut random = Random(3);
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("x.safetensors");
    let qwen2 = network("qwen2");
    for name in ["lycoris.safetensors", "mlx_dora/adapters.safetensors"] {
        let good = fs::read(data("foreign").join(name)).expect("read");
        fs::copy(
            data("foreign/mlx_dora/adapter_config.json"),
            dir.path().join("adapter_config.json"),
        )
        .expect("copied");
        for _ in 0..400 {
            fs::write(&path, random.damage(&good)).expect("written");
            let _ = foreign::read(&path, &qwen2);
        }
    }
}
