//! Bad input: one clear line, an exit status that is not 0, and nothing lost.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use common::{Place, decora, fails, golden, lines, ok, text};

const LINE: &str = "{\"input_ids\":[5,6,7,8,9]}\n";

#[test]
fn a_truncated_shard_is_named() {
    let place = Place::new(LINE);
    let model = place.model("models/llama");
    let shard = model.join("model-00002-of-00002.safetensors");
    let bytes = fs::read(&shard).unwrap();
    for length in [bytes.len() - 100, 300, 4, 0] {
        fs::write(&shard, &bytes[..length]).unwrap();
        fails(&place.train(&model, &[]), &["model-00002-of-00002.safetensors"]);
    }
    fs::remove_file(&shard).unwrap();
    fails(&place.train(&model, &[]), &["model-00002-of-00002.safetensors"]);
}

#[test]
fn a_model_of_an_unknown_kind_is_refused_by_name() {
    let place = Place::new(LINE);
    let model = place.model("models/llama");
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    fs::write(model.join("config.json"), config.replace("\"llama\"", "\"mamba\"")).unwrap();
    fails(&place.train(&model, &[]), &["config.json", "mamba"]);
    fails(&place.train(Path::new("/nonexistent/model"), &[]), &["/nonexistent/model"]);
}

#[test]
fn the_tokenizer_of_another_model_is_refused() {
    let place = Place::new("{\"text\":\"a\"}\n");
    let model = place.model("models/llama");
    fs::copy(golden("tokenizer/tokenizer.json"), model.join("tokenizer.json")).unwrap();
    fails(&place.train(&model, &[]), &["tokenizer.json", "67", "another model"]);
}

#[test]
fn data_that_cannot_be_used_is_named() {
    let llama = golden("models/llama");
    let cases = [
        ("", "empty"),
        ("{\"input_ids\":[5,67]}\n", "token 67, but the model has tokens 0 to 66"),
        ("{\"text\":\"a\"}\n", "no tokenizer.json"),
        ("{\"input_ids\":[5,6],\"labels\":[-100,-100]}\n", "no token is left"),
    ];
    for (data, words) in cases {
        let place = Place::new(data);
        fails(&place.train(&llama, &[]), &["data.jsonl", words]);
        if !data.is_empty() {
            fails(&place.train(&llama, &["--skip-bad-lines"]), &["none of 1 lines", words]);
        }
    }
}

#[test]
fn adapters_and_layers_that_are_not_the_models_are_refused() {
    let place = Place::new(LINE);
    let llama = golden("models/llama");
    let other = golden("models/qwen2/lora_qv/initial");
    fails(&place.train(&llama, &["--adapter", text(&other)]), &["lora_A"]);
    fails(&place.train(&llama, &["--target", "c_attn"]), &["c_attn", "q_proj"]);
    fails(&place.train(&llama, &["--target", ".*(q_proj"]), &["q_proj"]);
    fails(&place.train(&llama, &["--context", "65"]), &["--context", "64"]);
    let gpt2 = golden("models/gpt2");
    fails(&place.train(&gpt2, &["--bias", "all"]), &["--bias", "lora_only", "normalisations"]);
    let broken = place.path("adapter");
    fs::create_dir(&broken).unwrap();
    let good = golden("models/llama/dora_qv_init/initial");
    fs::copy(good.join("adapter_config.json"), broken.join("adapter_config.json")).unwrap();
    let lora = golden("models/llama/lora_qv_init/initial/adapter_model.safetensors");
    fs::copy(lora, broken.join("adapter_model.safetensors")).unwrap();
    fails(&place.train(&llama, &["--adapter", text(&broken)]), &["lora_magnitude_vector"]);
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint() {
    let place = Place::new(LINE);
    let model = golden("models/llama");
    // The first step of a warm-up changes nothing, the second one everything.
    let wild = ["--method", "full", "--lr", "1e30", "--clip", "0", "--warmup", "4", "--steps", "9"];
    let metrics = place.path("metrics.jsonl");
    let more = ["--checkpoint-every", "1", "--metrics", text(&metrics)];
    let train = |last: &[&str]| place.train(&model, &[&wild[..], &more, last].concat());
    let said = ["step 3: the ", "the last good checkpoint is ", "checkpoint-1", "--lr"];
    fails(&train(&[]), &said);
    assert_eq!(lines(&metrics).len(), 2);
    assert!(place.path("out/checkpoint-1/state.json").exists());
    // From checkpoint-2 no step goes well.
    fails(&train(&["--resume"]), &said);
    fs::remove_dir_all(place.path("out")).unwrap();
    let once = ["--warmup", "0", "--checkpoint-every", "1", "--lr", "1e30", "--clip", "0"];
    let output = place.train(&model, &[&["--method", "full"], &once[..]].concat());
    fails(&output, &["step 2: the ", "no good checkpoint yet"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_read() {
    let place = Place::new(LINE);
    fs::write(place.path("out"), "in the way").unwrap();
    fails(&place.train(Path::new("/nonexistent"), &[]), &["out"]);
    assert_eq!(fs::read(place.path("out")).unwrap(), b"in the way");
    let metrics = place.path("no/such/metrics.jsonl");
    let other = Place::new(LINE);
    fails(
        &other.train(&golden("models/llama"), &["--metrics", text(&metrics)]),
        &["metrics.jsonl"],
    );
}

#[test]
fn a_full_disk_leaves_the_checkpoint_before() {
    let place = Place::new(LINE);
    let (data, out, model) = (place.path("data.jsonl"), place.path("out"), golden("models/llama"));
    ok(&place.train(&model, &["--method", "full", "--checkpoint-every", "2"]));
    assert!(out.join("checkpoint-4").exists());
    let results = || fs::read(out.join("model-00001-of-00002.safetensors")).unwrap();
    let before = results();
    // No file may grow beyond 4 KB: what a full disk answers, without one.
    let script = format!(
        "trap '' XFSZ; ulimit -f 4; exec {} train --model {} --data {} --out {} --backend cpu \
         --method full --steps 4 --overwrite",
        env!("CARGO_BIN_EXE_decora"),
        text(&model),
        text(&data),
        text(&out),
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    fails(&output, &["cannot write", "state.safetensors"]);
    assert_eq!(results(), before);
    let left = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.starts_with('.')), "no partial folder is left");
}

#[cfg(target_os = "linux")]
#[test]
fn steps_are_not_lost_when_they_cannot_be_told() {
    let place = Place::new(LINE);
    let model = golden("models/llama");
    fails(&place.train(&model, &["--metrics", "/dev/full"]), &["cannot write /dev/full"]);
    assert!(place.path("out/checkpoint-1/state.json").exists());
    ok(&place.train(&model, &["--resume"]));
}

#[test]
fn results_of_another_run_are_not_lost() {
    let place = Place::new(LINE);
    let model = golden("models/llama");
    fails(&place.train(&model, &["--resume"]), &["no checkpoint"]);
    ok(&place.train(&model, &[]));
    let before = fs::read(place.path("out/adapter_model.safetensors")).unwrap();
    fails(&place.train(&model, &["--seed", "3"]), &["--resume", "--overwrite"]);
    fails(&place.train(&model, &["--resume", "--lr", "0.5"]), &["lr was not given and is 0.5"]);
    fs::write(place.path("data.jsonl"), LINE.repeat(2)).unwrap();
    fails(&place.train(&model, &["--resume"]), &["the data"]);
    assert_eq!(fs::read(place.path("out/adapter_model.safetensors")).unwrap(), before);
    ok(&place.train(&model, &["--overwrite", "--seed", "3"]));
    assert_ne!(fs::read(place.path("out/adapter_model.safetensors")).unwrap(), before);
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let place = Place::new(LINE);
    let model = golden("models/llama");
    ok(&place.train(&model, &[]));
    let state = place.path("out/checkpoint-4/state.safetensors");
    let bytes = fs::read(&state).unwrap();
    fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    fails(&place.train(&model, &["--resume"]), &["state.safetensors"]);
}

#[test]
fn tokens_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (golden("models/llama"), dir.path().join("l.safetensors"));
    let logits = |ids: &str| {
        decora(&[
            "logits",
            "--model",
            text(&model),
            "--ids",
            ids,
            "--out",
            text(&out),
            "--backend",
            "cpu",
        ])
    };
    fails(&logits("1,67"), &["--ids", "67"]);
    fails(&logits(&["1"; 65].join(",")), &["--ids", "65 tokens", "64"]);
    assert!(!out.exists());
    let model = golden("models/bert");
    let generate =
        decora(&["generate", "--model", text(&model), "--prompt", "a", "--backend", "cpu"]);
    fails(&generate, &["language model"]);
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let place = Place::new(LINE);
    let data = place.path("data.jsonl");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&data).is_ok() {
        return; // whoever runs this may read everything
    }
    fails(&place.train(&golden("models/llama"), &[]), &["data.jsonl"]);
}
