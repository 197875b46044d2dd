//! Adapters, beside PEFT: which modules, which tensors, which bytes.

mod common;

use common::{Random, copy_dir, data, json, network};
use decora_hub::Adapter;
use decora_hub::config::Head;
use decora_hub::peft::{self, Config, Selection, Targets};
use decora_hub::tensors::{Array, TensorFile};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};

fn config(text: &Value) -> Result<Config, decora_hub::HubError> {
    Config::parse(Path::new("adapter_config.json"), text.to_string().as_bytes())
}

/// A selection as `make.py` writes it.
fn describe(selection: &Selection, paths: &[String]) -> Value {
    let place = |path: &str| paths.iter().position(|p| p == path).expect("a module");
    let adapted: Vec<Value> = selection
        .adapted
        .iter()
        .map(|a| json!([place(&a.module.path), a.spec.rank(), a.spec.scale::<f64>()]))
        .collect();
    let saved: Vec<usize> = selection.saved.iter().map(|m| place(&m.path)).collect();
    json!({"adapted": adapted, "saved": saved})
}

#[test]
fn selections_are_those_of_peft() {
    let (mut taken, mut refused) = (0, 0);
    for row in json("selections.json").as_array().expect("rows") {
        for (name, expected) in row["cases"].as_object().expect("cases") {
            let architecture = network(name);
            let mut options = row["options"].clone();
            if row["fixed_task"] == json!(false) {
                options["task_type"] = json!(match architecture.head {
                    Head::Language => "CAUSAL_LM",
                    Head::Classes => "SEQ_CLS",
                    Head::None => "FEATURE_EXTRACTION",
                });
            }
            let paths: Vec<String> = architecture.named().into_iter().map(|n| n.path).collect();
            let found = config(&options).and_then(|config| config.select(&architecture));
            match (&found, &expected["error"]) {
                (Ok(selection), Value::Null) => {
                    taken += 1;
                    assert_eq!(&describe(selection, &paths), expected, "{name} {options}");
                }
                (Err(error), Value::String(_)) => {
                    refused += 1;
                    assert!(!error.to_string().contains('\n'), "{error}");
                }
                _ => panic!("{name} {options}\n{found:?}\n{expected}"),
            }
        }
    }
    assert!(taken > 150 && refused > 100, "{taken} {refused}");
}

const ADAPTERS: [(&str, &str); 9] = [
    ("llama_dora", "llama"),
    ("qwen2_lora", "qwen2"),
    ("gpt2_dora", "gpt2_classes"),
    ("bert_dora", "bert_classes"),
    ("mistral_layers", "mistral"),
    ("qwen2_biases", "qwen2"),
    ("bert_biases", "bert_classes"),
    ("both", "llama"),
    ("both/other", "llama"),
];

#[test]
fn adapters_of_peft_come_back_byte_for_byte() {
    for (name, base) in ADAPTERS {
        let dir = data("adapters").join(name);
        let adapter = Adapter::read(&dir).expect(name);
        let selection = adapter.fit(&network(base)).expect(name);
        assert_eq!(selection.adapted.len(), adapter.layers.len());
        assert!(adapter.config.unknown.is_empty(), "{:?}", adapter.config.unknown);
        let out = tempdir().expect("a folder");
        adapter.write(out.path()).expect(name);
        for file in [peft::MODEL, peft::CONFIG] {
            let (ours, theirs) = (fs::read(out.path().join(file)), fs::read(dir.join(file)));
            let (ours, theirs) = (ours.expect("read"), theirs.expect("read"));
            assert!(
                ours == theirs,
                "{name} {file}:\n{}\n{}",
                String::from_utf8_lossy(&ours),
                String::from_utf8_lossy(&theirs)
            );
        }
    }
}

#[test]
fn folders_of_several_adapters_are_listed() {
    let dir = data("adapters/both");
    assert_eq!(peft::names(&dir).expect("names"), ["default", "other"]);
    assert_eq!(peft::folder(&dir, "default"), dir);
    assert!(Adapter::read(&peft::folder(&dir, "other")).is_ok());
}

#[test]
fn a_new_adapter_is_as_peft_would_write_it() {
    let llama = network("llama");
    let targets = Targets::Names(vec!["q_proj".to_owned(), "down_proj".to_owned()]);
    let ours = Config::new(&llama, 2, 4.0, targets);
    let mut theirs = Config::read(&data("adapters/llama_dora")).expect("a config");
    theirs.targets.clone_from(&ours.targets); // The order of a set.
    theirs.path.clone_from(&ours.path);
    assert_eq!(ours, theirs);
    let bert = network("bert_classes");
    let config = Config::new(&bert, 2, 4.0, Targets::Pattern("all-linear".to_owned()));
    assert_eq!(config.saved(), ["classifier", "score"]);
    assert!(Config::new(&network("gpt2"), 1, 1.0, Targets::Names(Vec::new())).fan_in_fan_out);
}

#[test]
fn a_magnitude_may_have_weight_after_its_name() {
    let dir = copy("llama_dora");
    rename(dir.path(), |name| match name.ends_with("magnitude_vector") {
        true => format!("{name}.weight"),
        false => name.to_owned(),
    });
    let found = Adapter::read(dir.path()).expect("an adapter");
    let expected = Adapter::read(&data("adapters/llama_dora")).expect("an adapter");
    assert_eq!(found.layers, expected.layers);
}

fn copy(name: &str) -> TempDir {
    let dir = tempdir().expect("a folder");
    copy_dir(&data("adapters").join(name), dir.path());
    dir
}

/// Writes the tensors of an adapter anew under other names; those with an empty name are left out.
fn rename(dir: &Path, name: impl Fn(&str) -> String) {
    change(dir, |old, array| Some((name(old), array)).filter(|row| !row.0.is_empty()));
}

fn change(dir: &Path, change: impl Fn(&str, Array) -> Option<(String, Array)>) {
    let path = dir.join(peft::MODEL);
    let arrays = {
        let file = TensorFile::open(&path).expect("a file");
        let arrays =
            file.tensors().map(|t| (t.name().to_owned(), Array::read(&t).expect("floats")));
        arrays.collect::<Vec<_>>()
    };
    let arrays = arrays.into_iter().filter_map(|(name, array)| change(&name, array)).collect();
    decora_hub::tensors::write(&path, &arrays, BTreeMap::new()).expect("written");
}

fn edit(dir: &Path, key: &str, value: Value) {
    let path = dir.join(peft::CONFIG);
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    config[key] = value;
    fs::write(path, config.to_string()).expect("written");
}

/// What is said of an adapter after a change, on its own network.
fn error(name: &str, base: &str, change: impl FnOnce(&Path)) -> String {
    let dir = copy(name);
    change(dir.path());
    let found = Adapter::read(dir.path()).and_then(|a| a.fit(&network(base)));
    let error = found.expect_err("an error").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn what_is_wrong_is_named() {
    let llama = |change: &dyn Fn(&Path)| error("llama_dora", "llama", change);
    let without = |part: &'static str| {
        move |dir: &Path| {
            rename(dir, |n| if n.contains(part) { String::new() } else { n.to_owned() });
        }
    };
    let m = llama(&without("layers.1.self_attn.q_proj.lora_magnitude_vector"));
    assert!(m.ends_with("found no tensor base_model.model.model.layers.1.self_attn.q_proj.lora_magnitude_vector, expected one"), "{m}");
    let b = llama(&without("down_proj.lora_B"));
    assert!(b.contains("layers.0.mlp.down_proj.lora_B.weight, expected one"), "{b}");
    let layer = llama(&without("layers.1.self_attn.q_proj"));
    assert!(
        layer.contains("layers.1.self_attn.q_proj.lora_A.weight: found no such tensor"),
        "{layer}"
    );
    let extra = llama(&|dir| edit(dir, "target_modules", json!(["q_proj"])));
    assert!(extra.contains("found tensor base_model.model.model.layers.0.mlp.down_proj.lora_A.weight, expected tensors of the modules that target_modules"), "{extra}");
    let other = error("llama_dora", "llama_bias", |_| {});
    assert!(
        other.contains("q_proj.lora_B.weight: found shape [16, 2], expected [24, 2]"),
        "{other}"
    );
    let name = llama(&|dir| rename(dir, |n| n.replace("base_model.model.", "")));
    assert!(name.contains("expected names that start with base_model.model."), "{name}");
    let nan = llama(&|dir| {
        let path = dir.join(peft::MODEL);
        let mut bytes = fs::read(&path).expect("read");
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(path, bytes).expect("written");
    });
    assert!(
        nan.contains("q_proj.lora_magnitude_vector: found element 15 infinite or not a number"),
        "{nan}"
    );
    let plain = llama(&|dir| edit(dir, "use_dora", json!(false)));
    assert!(plain.contains("expected none, for use_dora is false"), "{plain}");
    let rank = llama(&|dir| edit(dir, "r", json!(3)));
    assert!(rank.contains("lora_A.weight: found shape [2, 16], expected [3, 16]"), "{rank}");
    let saved = error("bert_dora", "bert_classes", without("classifier.bias"));
    assert!(saved.contains("found no tensor base_model.model.classifier.bias"), "{saved}");
    let unsaved =
        error("bert_dora", "bert_classes", |dir| edit(dir, "modules_to_save", json!(null)));
    assert!(unsaved.contains("found tensor base_model.model.bert.pooler.dense.bias, expected tensors of the modules that modules_to_save"), "{unsaved}");
}

#[test]
fn biases_that_are_wrong_are_named() {
    let b = "base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias";
    let qwen2 = |change: &dyn Fn(&Path)| error("qwen2_biases", "qwen2", change);
    let none = qwen2(&|dir| edit(dir, "bias", json!("none")));
    assert!(none.contains(&format!("found tensor {b}, expected none, for bias is none")), "{none}");
    let less = qwen2(&|dir| edit(dir, "bias", json!("lora_only")));
    assert!(less.contains("k_proj.bias, expected tensors of the modules that"), "{less}");
    let without = |part: &'static str| {
        move |dir: &Path| {
            rename(dir, |n| if n.ends_with(part) { String::new() } else { n.to_owned() });
        }
    };
    let own = qwen2(&without("layers.0.self_attn.q_proj.base_layer.bias"));
    assert!(own.contains(&format!("found no tensor {b}, expected one")), "{own}");
    let other = qwen2(&without("layers.1.self_attn.v_proj.bias"));
    assert!(other.contains("layers.1.self_attn.v_proj.bias, expected one"), "{other}");
    let more = qwen2(&|dir| rename(dir, |n| n.replace("v_proj.bias", "o_proj.base_layer.bias")));
    assert!(more.contains("o_proj.base_layer.bias, expected none: this layer"), "{more}");
    let all = error("bert_biases", "bert_classes", |dir| edit(dir, "bias", json!("all")));
    assert!(all.contains("bias: found \"all\", expected none or lora_only"), "{all}");
}

#[test]
fn options_that_are_not_supported_are_refused_by_name() {
    let cases = [
        ("peft_type", json!("LOHA"), "peft_type: found \"LOHA\", expected \"LORA\""),
        ("bias", json!("some"), "bias: found \"some\", expected none, all or lora_only"),
        ("lora_bias", json!(true), "lora_bias: found true"),
        ("layer_replication", json!([[0, 2], [1, 2]]), "layer_replication: found [[0,2],[1,2]]"),
        ("megatron_config", json!({"a": 1}), "megatron_config: found"),
        ("trainable_token_indices", json!([1]), "trainable_token_indices: found [1]"),
        ("target_parameters", json!(["x"]), "target_parameters: found"),
        ("use_qalora", json!(true), "use_qalora: found true"),
        ("alora_invocation_tokens", json!([3]), "alora_invocation_tokens: found"),
        ("r", json!(0), "r: found 0, expected 1 or more"),
        ("r", json!("8"), "r: found \"8\""),
        ("lora_dropout", json!(1.0), "lora_dropout: found 1"),
        ("rank_pattern", json!({"q": 0}), "rank_pattern: found {\"q\":0}"),
        ("alpha_pattern", json!(["q"]), "alpha_pattern: found [\"q\"]"),
        ("target_modules", json!(7), "target_modules: found 7"),
        (
            "layers_pattern",
            json!("layers"),
            "layers_pattern: found [\"layers\"], expected layers_to_transform",
        ),
        ("task_type", json!("SEQ_2_SEQ_LM"), "task_type: found \"SEQ_2_SEQ_LM\""),
    ];
    for (key, value, expected) in cases {
        let mut options = json!({"peft_type": "LORA", "target_modules": ["q_proj"]});
        options[key] = value;
        let error = config(&options).expect_err(expected).to_string();
        assert!(error.starts_with(&format!("adapter_config.json: {expected}")), "{error}");
    }
    let harmless = json!({"peft_type": "LORA", "target_modules": ["q_proj"], "new_in_2027": 1,
        "layer_replication": [], "loftq_config": {}, "runtime_config": {}, "lora_bias": null});
    let read = config(&harmless).expect("harmless");
    assert_eq!((read.unknown, read.rank, read.alpha), (vec!["new_in_2027".to_owned()], 8, 8.0));
}

#[test]
fn only_what_leaves_the_base_as_it_was_is_an_adapter_of_it() {
    let with = |init: &Value| {
        let target = json!(["q_proj"]);
        json!({"peft_type": "LORA", "target_modules": target, "init_lora_weights": init})
    };
    let good = ["gaussian", "Gaussian", "eva", "orthogonal"].map(|name| json!(name));
    for init in [json!(true), json!(false)].iter().chain(&good) {
        let text = config(&with(init)).expect("an adapter").to_json().expect("text");
        let again: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(&again["init_lora_weights"], init);
    }
    let convert = "with PEFT's path_initial_model_for_weight_conversion";
    let (base, b) = ("save that base with PEFT", "put true here to use the adapter");
    let names = ["pissa", "pissa_niter_4", "olora", "OLoRA", "corda", "lora_ga"];
    let taken = names.into_iter().map(|name| (name, convert));
    for (name, what) in taken.chain([("loftq", base), ("mica", b), ("xavier", "eva or orthogonal")])
    {
        let error = config(&with(&json!(name))).expect_err(name).to_string();
        let found = format!("init_lora_weights: found \"{name}\", expected true, false, gaussian,");
        assert!(error.contains(&found) && error.contains(what), "{error}");
        assert!(!error.contains('\n') && !error.contains("  "), "{error}");
    }
    assert!(config(&with(&json!(3))).is_err());
}

#[test]
fn patterns_keep_the_order_of_the_file() {
    let text = br#"{"peft_type":"LORA","target_modules":["q_proj"],"rank_pattern":{"z.*":2,"q_proj":3,"a":4}}"#;
    let config = Config::parse(Path::new("c"), text).expect("a config");
    let names: Vec<&str> = config.rank_pattern.iter().map(|row| &*row.0).collect();
    assert_eq!(names, ["z.*", "q_proj", "a"]);
    let again = Config::parse(Path::new("c"), config.to_json().expect("text").as_bytes());
    assert_eq!(again.expect("a config"), config);
}

#[test]
fn no_damage_makes_it_panic() {
    let mut random = Random(5);
    for (name, base) in [("bert_dora", "bert_classes"), ("qwen2_lora", "qwen2")] {
        let dir = copy(name);
        let (settings, tensors) = (dir.path().join(peft::CONFIG), dir.path().join(peft::MODEL));
        let good = (fs::read(&settings).expect("read"), fs::read(&tensors).expect("read"));
        for i in 0..600 {
            let bad = match i % 2 {
                0 => (random.damage(&good.0), good.1.clone()),
                _ => (good.0.clone(), random.damage(&good.1)),
            };
            fs::write(&settings, bad.0).expect("written");
            fs::write(&tensors, bad.1).expect("written");
            if let Ok(adapter) = Adapter::read(dir.path()) {
                let _ = adapter.fit(&network(base));
            }
        }
    }
}
