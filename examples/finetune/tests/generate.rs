//! Texts made token by token: by the library and by the program.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::{Row, decora, fails, golden, logits_of, ok, text};
use decora_cpu::FastCpu;
use decora_finetune::generate::{BASE, Generator, Sampling};
use decora_finetune::model::Model;
use decora_finetune::network::tensors;

const GREEDY: Sampling = Sampling { temperature: 0.0, top_p: 1.0, seed: 0 };
/// Longer than the window of mistral.
const PROMPT: [u32; 12] = [3, 17, 40, 8, 21, 5, 33, 12, 9, 50, 2, 7];
const MOST: usize = 10;

fn adapter(model: &str, run: &str) -> PathBuf {
    golden(&format!("models/{model}/{run}/initial"))
}

/// What a generator answers with an adapter.
fn answer(generator: &mut Generator<'_, FastCpu<f32>>, name: &str, with: &Sampling) -> Vec<u32> {
    let mut answer = Vec::new();
    generator.choose(name).unwrap();
    let mut each = |token| {
        answer.push(token);
        Ok(true)
    };
    generator.generate(&PROMPT, MOST, with, &[], &mut each).unwrap();
    answer
}

/// The most probable token after each, all logits computed anew for each.
fn anew(model: &str, adapter: Option<&PathBuf>) -> Vec<u32> {
    let mut ids: Vec<i64> = PROMPT.map(i64::from).to_vec();
    let dir = golden(&format!("models/{model}"));
    for _ in 0..MOST {
        let row = Row { ids: ids.clone(), types: Vec::new() };
        let logits = logits_of(&dir, adapter.map(PathBuf::as_path), &row);
        let last = &logits[logits.len() - logits.len() / ids.len()..];
        let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
        ids.push(best as i64);
    }
    ids[PROMPT.len()..].iter().map(|&id| id as u32).collect()
}

#[test]
fn a_cache_changes_nothing_and_adapters_take_turns() {
    let models = [
        ("llama", "dora_patterns"),
        ("qwen2", "lora_qv"),
        ("mistral", "dora_qv"),
        ("gpt2", "dora_all_rslora"),
    ];
    for (name, run) in models {
        let mut model = Model::open(&golden(&format!("models/{name}"))).unwrap();
        let path = adapter(name, run);
        let adapted = model.read_adapter(&path).unwrap();
        let tensors = tensors(&model, false).unwrap();
        let mut generator = Generator::new(FastCpu::<f32>::fast(), &model, &tensors).unwrap();
        generator.add("one", &adapted).unwrap();
        let (base, one) = (anew(name, None), anew(name, Some(&path)));
        assert_eq!(answer(&mut generator, BASE, &GREEDY), base, "{name}");
        assert_eq!(answer(&mut generator, "one", &GREEDY), one, "{name}");
        assert_eq!(answer(&mut generator, BASE, &GREEDY), base, "{name}, again");
        assert_eq!(answer(&mut generator, "one", &GREEDY), one, "{name}, again");
        assert_ne!(base, one, "{name}: the adapter does something");
    }
}

#[test]
fn switching_is_loading_anew_bit_for_bit() {
    let mut model = Model::open(&golden("models/llama")).unwrap();
    let runs = ["dora_patterns", "lora_decay", "dora_all_rslora"];
    let all = runs.map(|run| model.read_adapter(&adapter("llama", run)).unwrap());
    let tensors = tensors(&model, false).unwrap();
    let make = || Generator::new(FastCpu::<f32>::fast(), &model, &tensors).unwrap();
    let mut together = make();
    for (run, adapter) in runs.iter().zip(&all) {
        together.add(run, adapter).unwrap();
    }
    // Draws at a high temperature: a bit of a logit more or less is another token sooner or later.
    let drawn = |seed| Sampling { temperature: 3.0, top_p: 0.99, seed };
    for (seed, i) in [0, 2, 1, 0, 1, 2, 2, 0].into_iter().enumerate() {
        let (run, with) = (runs[i], drawn(seed as u64));
        let mut alone = make();
        alone.add(run, &all[i]).unwrap();
        assert_eq!(answer(&mut together, run, &with), answer(&mut alone, run, &with), "{run}");
    }
    assert_ne!(
        answer(&mut together, runs[0], &drawn(1)),
        answer(&mut together, runs[0], &drawn(2))
    );
    let error = together.choose("nobody").unwrap_err().to_string();
    assert!(error.contains("nobody") && error.contains("lora_decay"), "{error}");
}

fn ids(all: &[u32]) -> String {
    all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The program with lines as its standard input.
fn asked(arguments: &[&str], lines: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decora"));
    command.arg("generate").args(["--backend", "cpu"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses its options reads nothing.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn each_request_names_its_adapter() {
    let model = golden("models/llama");
    let paths = ["dora_patterns", "lora_decay"].map(|run| adapter("llama", run));
    let [one, two] = ["one", "two"].map(str::to_owned);
    let [first, second] =
        [(&one, &paths[0]), (&two, &paths[1])].map(|(name, path)| format!("{name}={}", text(path)));
    let most = MOST.to_string();
    let arguments =
        ["--model", text(&model), "--adapter", &first, "--adapter", &second, "--max-tokens", &most];
    let line = |adapter: &str| format!("{{\"input_ids\":{PROMPT:?}{adapter}}}\n");
    let named = |name: &str| line(&format!(",\"adapter\":{name:?}"));
    let lines = [named("two"), named("one"), named(BASE), line("")].concat();
    let expected = [Some(&paths[1]), Some(&paths[0]), None, Some(&paths[0])];
    let expected: String = expected.iter().map(|path| ids(&anew("llama", *path)) + "\n").collect();
    assert_eq!(ok(&asked(&arguments, &lines)), expected.replace("\n\n", "\n"));
    fails(&asked(&arguments, &named("three")), &["three", "one, two, base"]);
    fails(&asked(&arguments, "{\"promt\":\"a\"}\n"), &["promt"]);
    fails(&asked(&arguments, &line(",\"top_p\":0")), &["top_p"]);
    fails(&asked(&arguments, "a text\n"), &["tokenizer.json"]);
}

#[test]
fn merged_answers_are_those_of_the_adapter() {
    for (name, run) in [("llama", "dora_patterns"), ("gpt2", "dora_all_rslora")] {
        let (model, path) = (golden(&format!("models/{name}")), adapter(name, run));
        let (prompt, most) = (ids(&PROMPT), MOST.to_string());
        let arguments = ["--model", text(&model), "--adapter", text(&path), "--ids", &prompt];
        let arguments = [&arguments[..], &["--max-tokens", &most]].concat();
        let apart = ok(&asked(&arguments, ""));
        assert_eq!(apart.trim(), ids(&anew(name, Some(&path))));
        assert_eq!(ok(&asked(&[&arguments[..], &["--merged"]].concat(), "")), apart);
    }
}

#[test]
fn text_comes_in_whole_characters_and_ends_where_the_model_ends_it() {
    let model = golden("tokenizer");
    let greedy = ["--model", text(&model), "--max-tokens", "40"];
    let plain = ok(&asked(&[&greedy[..], &["--prompt", "Hello"]].concat(), ""));
    let piped = ok(&asked(&greedy, "Hello\n"));
    assert_eq!(plain, piped, "a prompt from standard input");
    let drawn = ["--temperature", "2", "--prompt", "Hello"];
    let drawn = |seed: &str| ok(&asked(&[&greedy[..], &drawn, &["--seed", seed]].concat(), ""));
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    let chat = ok(&asked(&[&greedy[..], &["--chat", "--prompt", "Hello"]].concat(), ""));
    let messages = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}\n";
    assert_eq!(ok(&asked(&greedy, messages)), chat, "the same conversation");
    // The same model, for which the third token of an answer ends a text.
    let ids = ["--ids", "1,5,9", "--max-tokens", "12"];
    let long = ok(&asked(&[&["--model", text(&model)], &ids[..]].concat(), ""));
    let tokens: Vec<&str> = long.trim().split(',').collect();
    let third = tokens.iter().skip(2).find(|t| !tokens[..2].contains(t)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(model.join(name), dir.path().join(name)).unwrap();
    }
    let stops = format!("{{\"eos_token_id\":[{third}]}}");
    fs::write(dir.path().join("generation_config.json"), stops).unwrap();
    let short = ok(&asked(&[&["--model", text(dir.path())], &ids[..]].concat(), ""));
    let expected = tokens.iter().position(|t| t == third).unwrap();
    assert_eq!(short.trim(), tokens[..expected].join(","));
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let model = golden("models/llama");
    let with = |more: &[&str]| asked(&[&["--model", text(&model)], more].concat(), "");
    fails(&with(&["--ids", "1,9999"]), &["9999"]);
    fails(&with(&["--prompt", "a"]), &["tokenizer.json"]);
    let long = ids(&vec![1; 5000]);
    fails(&with(&["--ids", &long]), &["5000 tokens"]);
    fails(&asked(&["--model", text(&golden("models/bert"))], ""), &["--model", "language head"]);
    let (a, b) = (adapter("llama", "lora_decay"), adapter("llama", "dora_patterns"));
    fails(&with(&["--adapter", text(&a), "--adapter", text(&b)]), &["initial", "NAME=DIR"]);
    let second = format!("two={}", text(&b));
    let both = ["--adapter", text(&a), "--adapter", &second, "--merged"];
    fails(&with(&both), &["--merged", "expected one"]);
    fails(&with(&["--adapter", text(&adapter("qwen2", "lora_qv")), "--ids", "1"]), &["layers"]);
    assert_eq!(
        decora(&["generate", "--model", "m", "--ids", "1", "--chat"]).status.code(),
        Some(2)
    );
}
