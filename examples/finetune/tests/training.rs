//! The options of `train` at work: what each changes, as its user sees it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Place, decora, fails, golden, lines, ok, text};
use serde_json::Value;

const LINE: &str = "{\"input_ids\":[5,6,7,8,9]}\n";
/// The last of four classes.
const CLASS: &str = "{\"input_ids\":[5,6,7,8],\"label\":3}\n";
/// Of different lengths, twenty tokens together.
const FEW: [&str; 4] = ["[5,6,7,8,9,10,11]", "[20,21,22]", "[30,31,32,33]", "[40,42,44,46,48,50]"];

fn few() -> String {
    FEW.map(|ids| format!("{{\"input_ids\":{ids}}}\n")).concat()
}

/// What a run of steps measured, and what it said.
fn run(place: &Place, more: &[&str]) -> (Vec<Value>, String) {
    let metrics = place.path("metrics.jsonl");
    let more = [&["--metrics", text(&metrics), "--overwrite"], more].concat();
    let said = ok(&place.train(&golden("models/llama"), &more));
    (lines(&metrics), said)
}

/// A column of the lines that have it.
fn column(lines: &[Value], key: &str) -> Vec<f64> {
    lines.iter().filter_map(|line| line[key].as_f64()).collect()
}

fn near(found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= bound * y.abs(), "{found:?}, expected {expected:?}");
    }
}

/// The share of the highest rate by x, how far training is after the warm-up.
type Curve = fn(f64) -> f64;

#[test]
fn the_learning_rate_follows_its_schedule() {
    let place = Place::new(LINE);
    let rates = |more: &[&str]| {
        let settings = ["--lr", "0.5", "--steps", "8"];
        column(&run(&place, &[&settings[..], more].concat()).0, "lr")
    };
    // As in transformers: k/w in the warm-up, then by x = (k − w)/(T − w), from k = 0.
    let expected = |warmup: f64, curve: Curve| -> Vec<f64> {
        let rate =
            |k: f64| if k < warmup { k / warmup } else { curve((k - warmup) / (8.0 - warmup)) };
        (0..8).map(|k| 0.5 * rate(f64::from(k))).collect()
    };
    let cosine = |x: f64| 0.5 * (1.0 + (core::f64::consts::PI * x).cos());
    let curves: [(&str, Curve); 3] =
        [("constant", |_| 1.0), ("linear", |x| 1.0 - x), ("cosine", cosine)];
    for (name, curve) in curves {
        for (warmup, steps) in [("0", 0.0), ("2", 2.0), ("0.25", 2.0)] {
            let found = rates(&["--schedule", name, "--warmup", warmup]);
            near(&found, &expected(steps, curve), 1e-6);
        }
    }
}

#[test]
fn clipping_is_off_at_zero() {
    let place = Place::new(LINE);
    let weights = |clip: &str| {
        run(&place, &["--clip", clip, "--lr", "0.01", "--warmup", "0"]);
        fs::read(place.path("out/adapter_model.safetensors")).unwrap()
    };
    let off = weights("0");
    assert!(off == weights("1e9"), "as with a bound that is never reached");
    // Against AdamW's ε gradients of this size are small.
    assert!(off != weights("1e-9"));
}

#[test]
fn packed_examples_do_not_see_each_other() {
    let place = Place::new(&few());
    let settings = ["--steps", "6", "--lr", "0.02", "--warmup", "0", "--no-shuffle"];
    let with = |more: &[&str]| run(&place, &[&settings[..], more].concat()).0;
    let apart = with(&["--batch", "4"]);
    let packed = with(&["--batch", "1", "--pack", "--context", "20"]);
    near(&column(&packed, "loss"), &column(&apart, "loss"), 1e-5);
    near(&column(&packed, "grad_norm"), &column(&apart, "grad_norm"), 1e-4);
    let losses = column(&packed, "loss");
    assert!(losses[5] < 0.9 * losses[0], "it learns: {losses:?}");
}

/// An example that gets less probable while [`LINE`] is learned.
fn worse(place: &Place) -> PathBuf {
    let eval = place.path("eval.jsonl");
    fs::write(&eval, "{\"input_ids\":[5,6,20,21,22]}\n").unwrap();
    eval
}

#[test]
fn patience_ends_a_run_whose_best_adapter_is_kept() {
    let place = Place::new(LINE);
    let eval = worse(&place);
    let settings = ["--eval-every", "2", "--steps", "60", "--lr", "0.05", "--warmup", "0"];
    let watched = ["--eval", text(&eval), "--patience", "3"];
    let (lines, said) = run(&place, &[&settings[..], &watched].concat());
    let losses = column(&lines, "eval_loss");
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let at = losses.iter().position(|&loss| loss == best).unwrap();
    let steps = column(&lines, "lr").len();
    assert_eq!((losses.len(), steps), (at + 4, 2 * losses.len()), "{losses:?}");
    assert!(steps < 60 && said.contains("stopped early, 3 evaluations"), "{said}");
    assert!(said.contains(&format!("best evaluation loss {best:.4}")), "{said}");
    let (model, out) = (golden("models/llama"), place.path("out"));
    let found = decora(&[
        "eval",
        "--model",
        text(&model),
        "--adapter",
        text(&out),
        "--data",
        text(&eval),
        "--backend",
        "cpu",
    ]);
    assert!(ok(&found).contains(&format!("loss {best:.4}")), "the best one is in --out");
    assert!(!out.join("best").exists());
    // Going on from the end changes nothing.
    let adapter = || fs::read(out.join("adapter_model.safetensors")).unwrap();
    let before = adapter();
    let more = [&settings[..], &watched, &["--resume"]].concat();
    ok(&place.train(&model, &more));
    assert!(adapter() == before, "the best one is still in --out");
}

#[test]
fn layers_tell_how_they_have_changed() {
    let place = Place::new(LINE);
    let eval = worse(&place);
    let settings = ["--lr", "0.02", "--warmup", "0", "--target", "q_proj,v_proj", "--telemetry"];
    let told = |more: &[&str]| {
        let lines = run(&place, &[&settings[..], more].concat()).0;
        lines.into_iter().filter(|line| line["layer"].is_string()).collect::<Vec<_>>()
    };
    let steps =
        |told: &[Value]| -> Vec<u64> { told.iter().map(|t| t["step"].as_u64().unwrap()).collect() };
    let dora = told(&[]);
    assert_eq!(steps(&dora), [4; 4], "two blocks of two layers, at the end");
    let layer = dora[0]["layer"].as_str().unwrap();
    assert_eq!(layer, "model.layers.0.self_attn.q_proj");
    let all = |told: &[Value], key: &str, fits: fn(f64) -> bool| {
        let found = column(told, key);
        assert!(found.len() == told.len() && found.iter().all(|&x| fits(x)), "{key}: {found:?}");
    };
    all(&dora, "g_mean", |g| g > 0.5 && g < 1.5 && g != 1.0);
    for key in ["g_std", "delta_m", "delta_d"] {
        all(&dora, key, |x| x > 0.0 && x < 1.0);
    }
    let lora = told(&["--method", "lora", "--eval", text(&eval), "--eval-every", "2"]);
    assert_eq!(steps(&lora), [2, 2, 2, 2, 4, 4, 4, 4], "at each evaluation");
    all(&lora, "g_mean", |g| g == 1.0);
    all(&lora, "g_std", |g| g == 0.0);
}

#[test]
fn bad_lines_are_left_out_and_counted() {
    let place = Place::new(&format!("{LINE}{{\"input_ids\":[5,99]}}\n\n?\n{LINE}"));
    fails(&place.train(&golden("models/llama"), &[]), &["data.jsonl, line 2", "99"]);
    let output = place.train(&golden("models/llama"), &["--skip-bad-lines"]);
    ok(&output);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("2 of 4 lines left out") && said.contains("line 2"), "{said}");
    assert!(said.contains("on 2 examples"), "{said}");
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let place = Place::new(&few());
    let exam = place.path("data.jsonl");
    let options = ["--dry-run", "--epochs", "7", "--eval", text(&exam), "--eval-every", "2"];
    let said = ok(&place.train(&golden("models/llama"), &options));
    for word in [
        "examples: 4, of 20 tokens together",
        "steps: 7, of",
        "evaluations: 4, of",
        "checkpoints: 1, of",
        "trained numbers: ",
        "nothing was",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!place.path("out").exists());
    let memory = said.lines().find(|line| line.starts_with("memory: ")).unwrap();
    assert!(memory.contains(" MB (measured)") || memory.contains("unknown"), "{memory}");
}

#[test]
fn a_file_of_options_is_overruled_by_the_command_line() {
    let place = Place::new(LINE);
    let (config, metrics) = (place.path("run.toml"), place.path("m.jsonl"));
    let options = format!(
        "rank = 3\nsteps = 5\nlr = 0.01\nschedule = \"constant\"\nwarmup = 0\ntarget = [\"q_proj\"]\n\
         metrics = {:?}\n",
        text(&metrics)
    );
    fs::write(&config, options).unwrap();
    let model = golden("models/llama");
    ok(&place.train(&model, &["--config", text(&config), "--rank", "2"]));
    let found = lines(&metrics);
    near(&column(&found, "lr"), &[0.01; 5], 1e-6);
    let adapter = fs::read(place.path("out/adapter_config.json")).unwrap();
    let adapter: Value = serde_json::from_slice(&adapter).unwrap();
    assert_eq!(
        (&adapter["r"], &adapter["target_modules"]),
        (&2.into(), &serde_json::json!(["q_proj"]))
    );
}

/// The losses of the first step of training from an adapter, and of an evaluation with it.
fn losses(model: &Path, adapter: &Path, data: &str) -> (f64, String, Place) {
    let place = Place::new(data);
    let metrics = place.path("metrics.jsonl");
    let more = ["--adapter", text(adapter), "--steps", "2", "--metrics", text(&metrics)];
    ok(&place.train(model, &more));
    let file = place.path("data.jsonl");
    let found: Output = decora(&[
        "eval",
        "--model",
        text(model),
        "--adapter",
        text(adapter),
        "--data",
        text(&file),
        "--backend",
        "cpu",
    ]);
    (column(&lines(&metrics), "loss")[0], ok(&found), place)
}

#[test]
fn training_goes_on_from_adapters_of_any_program() {
    let hub =
        |name: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hub/tests/data").join(name);
    let adapters = [
        "foreign/authors",
        "foreign/mlx_dora",
        "foreign/mlx_lora",
        "foreign/kohya.safetensors",
        "foreign/lycoris.safetensors",
    ];
    let model = hub("models/qwen2");
    for name in adapters {
        let (first, evaluated, place) = losses(&model, &hub(name), LINE);
        assert!(evaluated.contains(&format!("loss {first:.4}")), "{name}: {first}, {evaluated}");
        // What is written is PEFT's, and read as such.
        let again = losses(&model, &place.path("out"), LINE);
        assert!((again.0 - first).abs() < 0.1 * first, "{name}: {first}, then {}", again.0);
    }
}

#[test]
fn an_adapter_brings_the_classifier_of_a_model_without_one() {
    let (model, first) = (golden("models/minilm"), Place::new(CLASS));
    ok(&first.train(&model, &["--classes", "4"]));
    let adapter = first.path("out");
    let (loss, evaluated, place) = losses(&model, &adapter, CLASS);
    assert!(evaluated.contains(&format!("loss {loss:.4}")), "{loss}, {evaluated}");
    let more = ["--adapter", text(&adapter), "--classes", "9", "--overwrite"];
    fails(&place.train(&model, &more), &["--classes", "found 9, expected 4"]);
    let llama = Place::new(LINE);
    fails(&llama.train(&golden("models/llama"), &["--classes", "2"]), &["language head"]);
}

#[test]
fn what_is_there_stays_until_all_is_read() {
    let place = Place::new(LINE);
    let model = golden("models/llama");
    ok(&place.train(&model, &["--checkpoint-every", "2"]));
    let state = place.path("out/checkpoint-4/state.json");
    fails(&place.train(Path::new("/nonexistent/model"), &["--overwrite"]), &["/nonexistent/model"]);
    fs::write(place.path("data.jsonl"), "{}\n").unwrap();
    fails(&place.train(&model, &["--overwrite"]), &["data.jsonl, line 1"]);
    assert!(state.exists());
    let copy = place.model("models/llama");
    let data = place.path("data.jsonl");
    let paths = ["--model", text(&copy), "--data", text(&data), "--out", text(&copy)];
    fails(&decora(&[&["train", "--overwrite"], &paths[..]].concat()), &["--out", "of the model"]);
    fails(&place.train(&model, &["--overwrite", "--method", "full"]), &["--out", "--method"]);
    assert!(state.exists());
    let other = Place::new("{}\n");
    fails(&other.train(&model, &[]), &["line 1"]);
    assert!(!other.path("out").exists(), "no empty folder is left");
}
