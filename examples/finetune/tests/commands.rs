//! `merge`, `generate`, `eval`, `inspect` and `devices`, as their user sees them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::{Golden, Row, decora, fails, golden, logits, logits_of, ok, share, spawn, text};
use serde_json::Value;

/// Merged models and their adapters, as a share of the largest logit.
const MERGED: f64 = 1e-5;

/// Adapters with every part at work, and their models.
const ADAPTERS: [(&str, &str); 6] = [
    ("llama", "dora_patterns"),
    ("llama3", "lora_all_rslora"),
    ("qwen2", "dora_all_rslora"),
    ("mistral", "dora_qv"),
    ("gpt2", "dora_all_rslora"),
    ("bert", "dora_pooler"),
];

fn adapter(model: &str, run: &str) -> PathBuf {
    golden(&format!("models/{model}/{run}/initial"))
}

fn merge(model: &Path, adapter: &Path, to: &Path, more: &[&str]) -> std::process::Output {
    let arguments =
        ["merge", "--model", text(model), "--adapter", text(adapter), "--out", text(to)];
    decora(&[&arguments[..], more].concat())
}

#[test]
fn a_merged_model_is_the_adapter_model() {
    for (model, run) in ADAPTERS {
        let dir = tempfile::tempdir().unwrap();
        let (to, adapter) = (dir.path().join("merged"), adapter(model, run));
        let said =
            ok(&merge(&golden(&format!("models/{model}")), &adapter, &to, &["--dtype", "f32"]));
        assert!(said.contains("tensors changed"), "{said}");
        for row in Golden::open(model).rows("a") {
            let (apart, merged) = (logits(model, Some(&adapter), &row), logits_of(&to, None, &row));
            let off = share(&merged, &apart);
            assert!(off < MERGED, "{model} {run}: {off:e}");
        }
    }
}

#[test]
fn a_merge_goes_into_a_new_folder_of_an_adapter_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let (llama, to) = (golden("models/llama"), dir.path().join("merged"));
    fails(&merge(&llama, &adapter("llama3", "dora_qv"), &to, &[]), &["lora_A"]);
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "x").unwrap();
    fails(&merge(&llama, &adapter("llama", "dora_patterns"), &to, &[]), &["merged", "new folder"]);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing beside it is left");
}

fn generate(more: &[&str]) -> String {
    let model = golden("tokenizer");
    let arguments = ["generate", "--model", text(&model), "--backend", "cpu"];
    let length = if more.contains(&"--max-tokens") { &[][..] } else { &["--max-tokens", "12"] };
    ok(&decora(&[&arguments[..], length, more].concat()))
}

#[test]
fn a_prompt_is_continued_and_seeds_decide_the_choices() {
    let greedy = generate(&["--prompt", "Two and two"]);
    assert_eq!(greedy, generate(&["--prompt", "Two and two"]));
    let drawn =
        |seed: &str| generate(&["--prompt", "Two and two", "--temperature", "1.5", "--seed", seed]);
    assert_eq!(drawn("1"), drawn("1"));
    assert!((1..5).any(|seed| drawn(&seed.to_string()) != greedy));
    let narrow = generate(&["--prompt", "Two and two", "--temperature", "1", "--top-p", "1e-9"]);
    assert_eq!(narrow, greedy, "only the most probable is left");
    assert_ne!(generate(&["--prompt", "Two and two", "--chat"]), greedy);
}

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
fn requests_name_their_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (trained(dir.path(), "one", "1"), trained(dir.path(), "two", "2"));
    let alone =
        |adapter: &Path| generate(&["--adapter", text(adapter), "--prompt", "Two and two are"]);
    let apart = [alone(&one), alone(&two), generate(&["--prompt", "Two and two are"])];
    assert!(apart[0].starts_with(" four."), "it has learned: {:?}", apart[0]);
    let model = golden("tokenizer");
    let second = format!("b={}", text(&two));
    let mut child = spawn(&[
        "generate",
        "--model",
        text(&model),
        "--backend",
        "cpu",
        "--max-tokens",
        "12",
        "--adapter",
        text(&one),
        "--adapter",
        &second,
    ]);
    let request = |more: &str| format!("{{\"prompt\":\"Two and two are\"{more}}}\n");
    let requests = [
        request(""),
        request(",\"adapter\":\"b\""),
        request(",\"adapter\":\"base\""),
        request(""),
        request(",\"adapter\":\"c\""),
        "{\"prompt\":3}\n".to_owned(),
        "Two and two are\n".to_owned(),
    ];
    child.stdin.take().unwrap().write_all(requests.concat().as_bytes()).unwrap();
    let said = ok(&child.wait_with_output().unwrap());
    let answers: Vec<Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let texts: Vec<_> = answers.iter().map(|a| a["text"].as_str().unwrap_or("error")).collect();
    let [one, two, base] = apart.each_ref().map(|text| text.strip_suffix('\n').unwrap());
    assert_eq!(texts, [one, two, base, one, "error", "error", one]);
    assert!(answers[4]["error"].as_str().unwrap().contains("one, b, base"), "{}", answers[4]);
    let merged = generate(&[
        "--adapter",
        text(&dir.path().join("one")),
        "--merged",
        "--prompt",
        "Two and two are",
    ]);
    assert_eq!(merged, apart[0]);
}

#[test]
fn what_is_generated_is_most_probable_step_by_step() {
    // Without a cache, through `logits`: the model's tokens are read from its own answers.
    let model = golden("tokenizer");
    let tokens = decora_finetune::data::Tokens::load(&model, 320).unwrap().unwrap();
    let prompt = "What is the capital";
    let mut ids: Vec<i64> =
        tokens.encode(prompt, true, 99).unwrap().ids.into_iter().map(i64::from).collect();
    let start = ids.len();
    for _ in 0..6 {
        let all = logits_of(&model, None, &Row { ids: ids.clone(), types: Vec::new() });
        let last = &all[all.len() - 320..];
        let best = (0..320).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
        ids.push(best as i64);
    }
    let expected: Vec<u32> = ids[start..].iter().map(|&id| id as u32).collect();
    let found = generate(&["--prompt", prompt, "--max-tokens", "6"]);
    assert_eq!(found.strip_suffix('\n').unwrap(), tokens.decode(&expected).unwrap());
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
fn inspect_says_what_is_there() {
    let inspect = |path: &Path| ok(&decora(&["inspect", text(path)]));
    let model = inspect(&golden("models/llama"));
    assert!(
        ["Llama", "vocabulary 67", "2 layers", "2 files", "q_proj (40, 40), 2×"]
            .iter()
            .all(|w| model.contains(w)),
        "{model}"
    );
    let adapter = inspect(&adapter("llama", "dora_patterns"));
    assert!(
        ["DoRA, rank 3, alpha 6", "down_proj", "rank 5"].iter().all(|w| adapter.contains(w)),
        "{adapter}"
    );
    let dir = tempfile::tempdir().unwrap();
    fails(&decora(&["inspect", text(dir.path())]), &["0 files of tensors"]);
}

#[test]
fn devices_are_listed() {
    assert!(ok(&decora(&["devices"])).starts_with("cpu: "));
}
