//! Training on the CPU gives the same bits for any number of threads.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../benches/step/model.rs"]
mod model;

use std::fs;
use std::process::Command;

use clap::Parser;
use serde_json::json;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    shape: model::Shape,
}

/// Wide enough that products, attention and passes are shared among five threads.
const SHAPE: &str = "- --layers 2 --width 192 --inner 500 --heads 3 --kv-heads 1 --vocabulary 1001";

#[test]
fn a_trained_adapter_is_the_same_for_any_number_of_threads() {
    let model = model::random(&Options::parse_from(SHAPE.split(' ')).shape).unwrap();
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data.jsonl");
    let ids: Vec<u32> = (0..250).map(|i| i * i % 1001).collect();
    fs::write(&data, json!({ "input_ids": ids, "labels": ids }).to_string()).unwrap();
    for method in ["dora", "lora"] {
        let trained = |threads: &str| {
            let out = place.path().join(format!("{method}-{threads}"));
            let mut command = Command::new(env!("CARGO_BIN_EXE_decora"));
            command.arg("train").arg("--model").arg(model.path()).arg("--data").arg(&data);
            command.arg("--out").arg(&out).args(["--method", method, "--backend", "cpu"]);
            command.args(["--steps", "3", "--lr", "0.01"]).env("RAYON_NUM_THREADS", threads);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::read(out.join("adapter_model.safetensors")).unwrap()
        };
        let one = trained("1");
        for threads in ["2", "3", "5"] {
            assert!(trained(threads) == one, "{method}, {threads} threads: other bits");
        }
    }
}
