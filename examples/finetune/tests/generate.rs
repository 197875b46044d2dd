//! Texts made token by token: by the library and by the program.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;

use common::{Row, fails, golden, logits_of, ok, spawn, text};
use decora_cpu::FastCpu;
use decora_finetune::generate::{BASE, Generator, Prompt, Request};
use decora_finetune::model::Model;
use decora_finetune::network::tensors;
use serde_json::Value;

/// Longer than the windows of mistral and qwen2_windows.
const PROMPT: [u32; 12] = [3, 17, 40, 8, 21, 5, 33, 12, 9, 41, 2, 7];
const MOST: usize = 10;

fn adapter(model: &str, run: &str) -> PathBuf {
    golden(&format!("models/{model}/{run}/initial"))
}

/// What is most probable after the prompt.
fn greedy() -> Request {
    let prompt = Prompt::Ids(PROMPT.to_vec());
    Request { prompt, adapter: None, max_tokens: MOST, temperature: 0.0, top_p: 1.0, seed: 0 }
}

/// What a generator answers with an adapter.
fn answer(generator: &mut Generator<'_, FastCpu<f32>>, name: &str, with: &Request) -> Vec<u32> {
    let request = Request { adapter: Some(name.to_owned()), ..with.clone() };
    let answer = generator.answer(&request, &mut |_| Ok(())).unwrap();
    assert_eq!(answer.adapter.as_deref().unwrap_or(BASE), name);
    answer.ids.unwrap()
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
        ("qwen2_windows", "lora_all_biases"),
        ("gpt2", "dora_all_rslora"),
    ];
    for (name, run) in models {
        let mut model = Model::open(&golden(&format!("models/{name}"))).unwrap();
        let path = adapter(name, run);
        let adapted = model.adapter(&path).unwrap();
        let tensors = tensors(&model, false).unwrap();
        let mut generator = Generator::new(FastCpu::<f32>::fast(), &model, &tensors).unwrap();
        generator.add("one", &adapted).unwrap();
        let (base, one) = (anew(name, None), anew(name, Some(&path)));
        assert_eq!(answer(&mut generator, BASE, &greedy()), base, "{name}");
        assert_eq!(answer(&mut generator, "one", &greedy()), one, "{name}");
        assert_eq!(answer(&mut generator, BASE, &greedy()), base, "{name}, again");
        assert_eq!(answer(&mut generator, "one", &greedy()), one, "{name}, again");
        assert_ne!(base, one, "{name}: the adapter does something");
    }
}

#[test]
fn switching_is_loading_anew_bit_for_bit() {
    let mut model = Model::open(&golden("models/llama")).unwrap();
    let runs = ["dora_patterns", "lora_decay", "dora_all_rslora"];
    let all = runs.map(|run| model.adapter(&adapter("llama", run)).unwrap());
    let tensors = tensors(&model, false).unwrap();
    let make = || Generator::new(FastCpu::<f32>::fast(), &model, &tensors).unwrap();
    let mut together = make();
    for (run, adapter) in runs.iter().zip(&all) {
        together.add(run, adapter).unwrap();
    }
    // Draws at a high temperature: a bit of a logit more or less is another token sooner or later.
    let drawn = |seed| Request { temperature: 3.0, top_p: 0.99, seed, ..greedy() };
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
    let error = together.switch("nobody").unwrap_err().to_string();
    assert!(error.contains("nobody") && error.contains("lora_decay"), "{error}");
}

fn ids(all: &[u32]) -> String {
    all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The program with lines as its standard input.
fn asked(arguments: &[&str], lines: impl AsRef<[u8]>) -> Output {
    let mut child = spawn(&[&["generate", "--backend", "cpu"], arguments].concat());
    // A program that refuses its options reads nothing.
    let _ = child.stdin.take().unwrap().write_all(lines.as_ref());
    child.wait_with_output().unwrap()
}

/// The answers of the program, a JSON object a line.
fn answers(arguments: &[&str], lines: &str) -> Vec<Value> {
    let said = ok(&asked(arguments, lines));
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_request_names_its_adapter() {
    let model = golden("models/llama");
    let paths = ["dora_patterns", "lora_decay"].map(|run| adapter("llama", run));
    let [first, second] = [("one", &paths[0]), ("two", &paths[1])]
        .map(|(name, path)| format!("{name}={}", text(path)));
    let most = MOST.to_string();
    let arguments =
        ["--model", text(&model), "--adapter", &first, "--adapter", &second, "--max-tokens", &most];
    let line = |more: &str| format!("{{\"input_ids\":{PROMPT:?}{more}}}\n");
    let named = |name: &str| line(&format!(",\"adapter\":{name:?}"));
    let lines = [named("two"), named("one"), named(BASE), line(""), named("two")].concat();
    let found = answers(&arguments, &lines);
    let expected = [Some(&paths[1]), Some(&paths[0]), None, Some(&paths[0]), Some(&paths[1])];
    assert_eq!(found.len(), expected.len());
    for (found, path) in found.iter().zip(expected) {
        let found: Vec<u32> = serde_json::from_value(found["ids"].clone()).unwrap();
        assert_eq!(found, anew("llama", path), "as from a run with this adapter alone");
    }
    let refused = [
        (named("three"), "one, two, base"),
        ("{\"promt\":\"a\"}\n".to_owned(), "promt"),
        (line(",\"top_p\":0"), "top_p"),
        (line(",\"max_tokens\":0"), "max_tokens"),
        (line(",\"prompt\":\"a\""), "one of prompt, messages and input_ids"),
        ("{\"input_ids\":[1,67]}\n".to_owned(), "token 67"),
        ("{\"input_ids\":[]}\n".to_owned(), "0 tokens"),
        ("a text\n".to_owned(), "tokenizer.json"),
    ];
    let lines: String = refused.iter().map(|(line, _)| line.as_str()).chain([&*line("")]).collect();
    let found = answers(&arguments, &lines);
    for ((line, word), found) in refused.iter().zip(&found) {
        assert!(found["error"].as_str().is_some_and(|e| e.contains(word)), "{line}{found}");
    }
    assert!(found[refused.len()]["ids"].is_array(), "the others are answered");
    let latin = ok(&asked(&arguments, b"caf\xe9\n"));
    assert!(latin.contains("no UTF-8"), "{latin}");
}

#[test]
fn merged_answers_are_those_of_the_adapter() {
    let runs = [
        ("llama", "dora_patterns"),
        ("qwen2", "dora_all_rslora"),
        ("gpt2", "dora_all_rslora"),
        ("gpt2", "dora_biases"),
        ("qwen2_windows", "lora_all_biases"),
    ];
    for (name, run) in runs {
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
fn a_prompt_is_continued_and_seeds_decide_the_choices() {
    let model = golden("tokenizer");
    let generate = |more: &[&str]| {
        let prompt = ["--model", text(&model), "--prompt", "Two and two", "--max-tokens", "12"];
        ok(&asked(&[&prompt[..], more].concat(), ""))
    };
    let greedy = generate(&[]);
    assert_eq!(greedy, generate(&[]));
    let drawn = |seed: &str| generate(&["--temperature", "1.5", "--seed", seed]);
    assert_eq!(drawn("1"), drawn("1"));
    assert!((1..5).any(|seed| drawn(&seed.to_string()) != greedy));
    let narrow = generate(&["--temperature", "1", "--top-p", "1e-9"]);
    assert_eq!(narrow, greedy, "only the most probable is left");
    assert_ne!(generate(&["--chat"]), greedy);
}

#[test]
fn lines_are_answered_as_options_are_and_the_model_says_where_it_ends() {
    let model = golden("tokenizer");
    let asks = |more: &[&str], lines: &str| {
        asked(&[&["--model", text(&model), "--max-tokens", "40"], more].concat(), lines)
    };
    let said = |more: &[&str]| ok(&asks(more, "")).strip_suffix('\n').unwrap().to_owned();
    let messages = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}\n";
    let lines: String = ["Hello\r\n", "{\"prompt\":\"Hello\"}\n", "\n", messages].concat();
    let found = ok(&asks(&[], &lines));
    let texts = found.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let texts: Vec<_> = texts.map(|answer| answer["text"].as_str().unwrap().to_owned()).collect();
    let plain = said(&["--prompt", "Hello"]);
    assert_eq!(texts, [plain.clone(), plain, said(&["--chat", "--prompt", "Hello"])]);
    // The same model, for which the third token of an answer ends a text.
    let long = said(&["--ids", "1,5,9"]);
    let tokens: Vec<&str> = long.split(',').collect();
    let third = tokens.iter().skip(2).find(|t| !tokens[..2].contains(t)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(model.join(name), dir.path().join(name)).unwrap();
    }
    let stops = format!("{{\"eos_token_id\":[{third}]}}");
    fs::write(dir.path().join("generation_config.json"), stops).unwrap();
    let short = ok(&asked(&["--model", text(dir.path()), "--ids", "1,5,9"], ""));
    let expected = tokens.iter().position(|t| t == third).unwrap();
    assert_eq!(short.trim(), tokens[..expected].join(","), "and without a tokenizer");
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let model = golden("models/llama");
    let with = |more: &[&str]| asked(&[&["--model", text(&model)], more].concat(), "");
    fails(&with(&["--ids", "1,9999"]), &["9999"]);
    fails(&with(&["--prompt", "a"]), &["tokenizer.json"]);
    fails(&with(&["--ids", &ids(&vec![1; 5000])]), &["5000 tokens"]);
    fails(
        &asked(&["--model", text(&golden("models/bert")), "--ids", "1"], ""),
        &["--model", "language model"],
    );
    let (a, b) = (adapter("llama", "lora_decay"), adapter("llama", "dora_patterns"));
    let same = ["--adapter", text(&a), "--adapter", text(&b)];
    fails(&with(&[&same[..], &["--ids", "1"]].concat()), &["initial", "NAME=DIR"]);
    let second = format!("two={}", text(&b));
    let both = ["--adapter", text(&a), "--adapter", &second, "--merged", "--ids", "1"];
    fails(&with(&both), &["--merged", "expected one"]);
    fails(&with(&["--adapter", text(&adapter("qwen2", "lora_qv")), "--ids", "1"]), &["layers"]);
    for pair in [["--chat"].as_slice(), &["--prompt", "a"]] {
        let output = with(&[&["--ids", "1"], pair].concat());
        assert_eq!(output.status.code(), Some(2));
    }
}
