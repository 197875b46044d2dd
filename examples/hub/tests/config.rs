//! `config.json`, beside transformers.

mod common;

use common::{Random, json, network, parse, try_parse};
use decora_hub::Architecture;
use decora_hub::config::{
    Activation, Family, Head, Mlp, Norm, NormPlace, Positions, Problem, Scaling, Stored, Window,
};
use decora_hub::modules::Kind;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn modules_are_those_of_pytorch_in_their_order() {
    for (name, case) in json("models.json").as_object().expect("cases") {
        let ours: Vec<Value> = parse(&case["config"])
            .named()
            .into_iter()
            .map(|named| match named.kind {
                Kind::Linear(m) => json!([m.path, "linear", m.out, m.inputs, m.bias, m.transposed]),
                Kind::Table { rows, .. } => json!([named.path, "table", rows]),
                Kind::Norm { .. } => json!([named.path, "norm"]),
                Kind::Other => json!([named.path, "other"]),
            })
            .collect();
        assert_eq!(Value::Array(ours), case["modules"], "{name}");
    }
}

#[test]
fn frequencies_are_those_of_transformers() {
    for case in json("ropes.json").as_array().expect("cases") {
        let Positions::Rope(rope) = parse(&case["config"]).positions else { panic!("a rotation") };
        let theirs: Vec<f64> = case["frequencies"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|f| f.as_f64().expect("f"))
            .collect();
        let amplitude = case["amplitude"].as_f64().expect("a number");
        assert!((rope.amplitude() - amplitude).abs() <= 1e-12, "{rope:?}: {amplitude}");
        let ours = rope.frequencies();
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            // The last bit may differ: torch takes powers in vectors, to one unit in the last place.
            let error = (f64::from(*ours) - theirs).abs() / theirs;
            assert!(error <= f64::from(f32::EPSILON), "{rope:?}: {ours} {theirs}");
        }
    }
}

#[test]
fn families_differ_where_they_should() {
    let llama = network("llama");
    assert_eq!((llama.family, llama.head, llama.tied), (Family::Llama, Head::Language, false));
    assert_eq!((llama.norm, llama.mlp), (Norm::Rms { eps: 1e-6 }, Mlp::Gated));
    assert_eq!(network("mistral").window, Some(Window { width: 8, blocks: vec![true; 2] }));
    assert!(network("qwen2").biases.qkv && !network("qwen2").biases.output);
    let gpt2 = network("gpt2");
    assert_eq!((gpt2.positions, gpt2.activation), (Positions::Learned(32), Activation::GeluTanh));
    assert_eq!((gpt2.inner, gpt2.tied, gpt2.norm_place), (64, true, NormPlace::Pre));
    let bert = network("bert_classes");
    assert_eq!((bert.classes, bert.labels.join("")), (3, "abc".to_owned()));
    assert_eq!((bert.activation, bert.norm_place), (Activation::Gelu, NormPlace::Post));
    assert_eq!((bert.token_types, bert.norm), (2, Norm::Layer { eps: 1e-12 }));
}

fn llama_with(more: Value) -> Value {
    let mut config = json("models.json")["llama"]["config"].clone();
    let map = config.as_object_mut().expect("an object");
    map.extend(more.as_object().expect("an object").clone());
    config
}

#[test]
fn old_and_new_files_say_the_same() {
    let scaling = json!({"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 512});
    let old = parse(&llama_with(json!({"rope_theta": 5e5, "rope_scaling": scaling})));
    let mut inner = scaling;
    inner["rope_type"] = json!("llama3");
    inner["rope_theta"] = json!(5e5);
    let new = parse(&llama_with(json!({"rope_parameters": inner})));
    assert_eq!(old, new);
    let Positions::Rope(rope) = new.positions else { panic!("a rotation") };
    assert!(matches!(rope.scaling, Scaling::Llama3 { original: 512, .. }));
    assert_eq!(parse(&llama_with(json!({"torch_dtype": "bfloat16"}))).stored, Some(Stored::Bf16));
    assert_eq!(parse(&llama_with(json!({"dtype": "float16"}))).stored, Some(Stored::F16));
    assert_eq!(parse(&llama_with(json!({"eos_token_id": [1, 2]}))).eos, [1, 2]);
    assert_eq!(parse(&llama_with(json!({"pad_token_id": -1}))).pad, None);
    let problem = parse(&llama_with(json!({"problem_type": "regression", "num_labels": 1})));
    assert_eq!((problem.problem, problem.classes), (Some(Problem::Regression), 1));
}

/// The network of a Qwen2, of two blocks.
fn qwen2_with(more: Value) -> Result<Architecture, decora_hub::HubError> {
    let mut config = llama_with(more);
    config["model_type"] = json!("qwen2");
    config["architectures"] = json!(["Qwen2ForCausalLM"]);
    try_parse(&config)
}

#[test]
fn windows_are_of_the_blocks_that_transformers_gives_them() {
    let window = |more: Value| {
        let mut config = json!({"sliding_window": 16, "use_sliding_window": true});
        config.as_object_mut().expect("object").extend(more.as_object().expect("more").clone());
        qwen2_with(config).expect("an architecture").window
    };
    let blocks = |a, b| Some(Window { width: 16, blocks: vec![a, b] });
    assert_eq!(window(json!({"use_sliding_window": false, "max_window_layers": 0})), None);
    assert_eq!(window(json!({"sliding_window": null, "max_window_layers": 0})), None);
    assert_eq!(window(json!({"max_window_layers": 0})), blocks(true, true));
    assert_eq!(window(json!({"max_window_layers": 1})), blocks(false, true));
    assert_eq!(window(json!({"max_window_layers": 2})), None);
    assert_eq!(window(json!({})), None, "the first 28 have none");
    assert_eq!(window(json!({"sliding_window": 64, "max_window_layers": 1})), None, "all texts");
    let types = |types: [&str; 2]| window(json!({"max_window_layers": 0, "layer_types": types}));
    let (full, sliding) = ("full_attention", "sliding_attention");
    assert_eq!(types([sliding, full]), blocks(true, false));
    assert_eq!(types(["attention", sliding]), blocks(false, true));
    assert_eq!(types([full, full]), None);
    assert_eq!(window(json!({"max_window_layers": 0, "layer_types": null})), blocks(true, true));
}

#[test]
fn windows_that_make_no_sense_are_refused_by_name() {
    let refused = |more| qwen2_with(more).expect_err("no window").to_string();
    let sliding = ["full_attention", "sliding_attention"];
    for more in [
        json!({"layer_types": sliding}),
        json!({"layer_types": ["full_attention", "linear_attention"], "use_sliding_window": true}),
        json!({"layer_types": ["full_attention"]}),
        json!({"layer_types": sliding, "use_sliding_window": true, "sliding_window": null}),
    ] {
        let error = refused(more);
        assert!(error.contains("layer_types: found [\"full_attention\""), "{error}");
    }
    let zero = refused(json!({"use_sliding_window": true, "sliding_window": 0}));
    assert!(zero.contains("sliding_window: found 0, expected 1 or more"), "{zero}");
}

#[test]
fn mistral_has_a_window_in_all_blocks_whatever_their_types() {
    let mut config = json("models.json")["mistral"]["config"].clone();
    config["layer_types"] = json!(["full_attention", "full_attention"]);
    assert_eq!(parse(&config).window, network("mistral").window);
    config["sliding_window"] = json!(null);
    assert_eq!(parse(&config).window, None);
}

#[test]
fn scores_are_scaled_as_the_file_says() {
    let scales = |more: Value| {
        let mut config = json("models.json")["gpt2"]["config"].clone();
        config.as_object_mut().expect("object").extend(more.as_object().expect("more").clone());
        let gpt2 = parse(&config);
        [gpt2.scale(0), gpt2.scale(1)]
    };
    assert_eq!(scales(json!({})), [0.5; 2]);
    assert_eq!(scales(json!({"scale_attn_weights": false})), [1.0; 2]);
    assert_eq!(scales(json!({"scale_attn_by_inverse_layer_idx": true})), [0.5, 0.25]);
}

#[test]
fn what_files_leave_out_is_what_transformers_takes() {
    let without = |name: &str, keys: &[&str]| {
        let mut config = json("models.json")[name]["config"].clone();
        let map = config.as_object_mut().expect("object");
        keys.iter().for_each(|key| _ = map.remove(*key));
        parse(&config)
    };
    assert_eq!(without("llama", &["max_position_embeddings"]).max_positions, 2048);
    assert_eq!(without("qwen2", &["max_position_embeddings"]).max_positions, 32_768);
    assert_eq!(without("mistral", &["max_position_embeddings"]).max_positions, 131_072);
    assert_eq!(without("llama", &["num_key_value_heads"]).kv_heads, 4);
    let heads = json!({"num_attention_heads": 16, "hidden_size": 32, "num_key_value_heads": null});
    assert_eq!(parse(&llama_with(heads)).kv_heads, 16);
}

/// Each of these changes is refused, in a line that begins like this.
fn refused<const N: usize>(cases: [(Value, &str); N]) {
    for (more, expected) in cases {
        let error = try_parse(&llama_with(more)).expect_err(expected).to_string();
        assert!(error.starts_with(&format!("config.json: {expected}")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    refused([
        (
            json!({"model_type": "gemma2"}),
            "model_type: found \"gemma2\", expected one of llama, qwen2",
        ),
        (json!({"architectures": ["LlamaForQuestionAnswering"]}), "architectures: found"),
        (
            json!({"hidden_act": "quick_gelu"}),
            "hidden_act: found \"quick_gelu\", expected one of silu",
        ),
        (json!({"qk_norm": true}), "qk_norm: found true, expected false"),
        (
            json!({"position_embedding_type": "relative_key"}),
            "position_embedding_type: found \"relative_key\"",
        ),
        (json!({"quantization_config": {"bits": 4}}), "quantization_config: found {\"bits\":4}"),
        (
            json!({"num_attention_heads": 3}),
            "num_attention_heads: found 3, expected a divisor of the width 16",
        ),
        (
            json!({"num_key_value_heads": 3}),
            "num_key_value_heads: found 3, expected a divisor of the 4 heads",
        ),
        (json!({"head_dim": 5}), "head_dim: found 5, expected heads of an even width"),
        (json!({"hidden_size": 0}), "hidden_size: found 0, expected 1 or more"),
        (
            json!({"num_hidden_layers": 5000}),
            "num_hidden_layers: found 5000, expected at most 4096",
        ),
        (json!({"vocab_size": null}), "vocab_size: found null"),
        (json!({"intermediate_size": "24"}), "intermediate_size: found \"24\""),
        (json!({"torch_dtype": "float8_e4m3fn"}), "torch_dtype: found \"float8_e4m3fn\""),
        (json!({"id2label": {"1": "a"}}), "id2label: found"),
        (json!({"rms_norm_eps": -1.0}), "rms_norm_eps: found -1.0"),
        (
            json!({"rms_norm_eps": 1e300}),
            "rms_norm_eps: found 1e+300, expected 0 or more, and less",
        ),
        (json!({"attention_dropout": 1.0}), "attention_dropout: found 1.0"),
    ]);
}

#[test]
fn positions_that_are_not_supported_are_refused_by_name() {
    refused([
        (
            json!({"rope_scaling": {"rope_type": "longrope", "factor": 4.0}}),
            "rope_scaling.rope_type: found \"longrope\"",
        ),
        (json!({"rope_scaling": {"type": "yarn"}}), "rope_scaling.factor: found nothing"),
        (json!({"rope_scaling": {"type": "dynamic"}}), "rope_scaling.factor: found nothing"),
        (
            json!({"rope_scaling": {"type": "yarn", "factor": 4.0, "beta_fast": -1}}),
            "rope_scaling.beta_fast: found -1",
        ),
        (json!({"rope_scaling": {"type": "linear"}}), "rope_scaling.factor: found nothing"),
        (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor: found 0.5, expected 1"),
        (
            json!({"rope_theta": 1e300}),
            "rope_theta: found 1e+300, expected more than 0, and at most",
        ),
        (json!({"rope_theta": null}), "rope_theta: found null"),
        (json!({"rope_scaling": {"type": null}}), "rope_scaling.rope_type: found nothing"),
        (
            json!({"rope_scaling": {"type": "linear", "factor": 1e300}}),
            "rope_scaling.factor: found 1e+300",
        ),
    ]);
}

#[test]
fn stops_are_those_of_generation_where_it_has_some() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = llama_with(json!({"eos_token_id": 2}));
    std::fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    let llama = Architecture::read(dir.path()).expect("an architecture");
    assert_eq!(llama.stops().expect("tokens"), [2]);
    let write = |text| std::fs::write(dir.path().join("generation_config.json"), text);
    write(r#"{"eos_token_id": [2, 7], "do_sample": true}"#).expect("written");
    assert_eq!(llama.stops().expect("tokens"), [2, 7]);
    write(r#"{"do_sample": true}"#).expect("written");
    assert_eq!(llama.stops().expect("tokens"), [2]);
    write(r#"{"eos_token_id": "</s>"}"#).expect("written");
    let error = llama.stops().expect_err("a text").to_string();
    assert!(error.contains("generation_config.json: eos_token_id: found \"</s>\""), "{error}");
}

#[test]
fn a_head_can_be_changed() {
    let bare = network("bert");
    assert!(bare.modules().iter().all(|m| m.path != "classifier"));
    let classifier = bare.with_head(Head::Classes, 3);
    let paths = |a: &Architecture| a.named().into_iter().map(|n| n.path).collect::<Vec<_>>();
    assert_eq!(paths(&classifier), paths(&network("bert_classes")));
}

#[test]
fn no_damage_makes_it_panic() {
    let mut random = Random(7);
    for (_, case) in json("models.json").as_object().expect("cases") {
        let text = case["config"].to_string();
        for _ in 0..2000 {
            let bytes = random.damage(text.as_bytes());
            if let Ok(architecture) = Architecture::parse(Path::new("c"), &bytes) {
                assert!(!architecture.named().is_empty());
            }
        }
    }
}
