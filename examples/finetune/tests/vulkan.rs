//! The program on a Vulkan device. Without one, what needs one is skipped.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Golden, Row, decora, fails, golden, lines, ok, share, text};
use decora_vulkan::{Gpu, VulkanError};
use safetensors::SafeTensors;

/// What rounding may do to logits, as a share of the largest: in f32, and in halves, of which bf16 has 8
/// bits: each of some dozens of operations rounds by 2⁻⁹.
const BOUNDS: [(&str, f64); 3] = [("f32", 1e-4), ("f16", 1e-2), ("bf16", 6e-2)];
/// What it may do to losses of twelve steps, relative.
const LOSSES: f64 = 2e-4;

fn has_vulkan() -> bool {
    let missing = match Gpu::open() {
        Ok(_) => return true,
        Err(e @ (VulkanError::NoDriver { .. } | VulkanError::NoDevice { wanted: None, .. })) => e,
        Err(e) => panic!("{e}"),
    };
    let required = std::env::var("DECORA_REQUIRE").unwrap_or_default();
    let required = required.split_whitespace().any(|word| word == "vulkan");
    assert!(!required, "vulkan must not be skipped here: {missing}");
    eprintln!("SKIPPED: {missing}");
    false
}

fn logits(model: &str, adapter: Option<&Path>, row: &Row, dtype: &str) -> Vec<f64> {
    let (dir, model) = (tempfile::tempdir().unwrap(), golden(&format!("models/{model}")));
    let out = dir.path().join("logits.safetensors");
    let list = |all: &[i64]| all.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let (ids, types) = (list(&row.ids), list(&row.types));
    let mut arguments = vec!["logits", "--model", text(&model), "--out", text(&out)];
    arguments.extend(["--backend", "vulkan", "--dtype", dtype, "--ids", &ids]);
    if !types.is_empty() {
        arguments.extend(["--types", &types]);
    }
    if let Some(adapter) = adapter {
        arguments.extend(["--adapter", text(adapter)]);
    }
    ok(&decora(&arguments));
    let bytes = fs::read(out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor("logits").unwrap().data().to_vec();
    data.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
}

#[test]
fn logits_are_those_of_transformers() {
    if !has_vulkan() {
        return;
    }
    for model in ["llama", "llama3", "qwen2", "mistral", "gpt2", "bert"] {
        let golden = Golden::open(model);
        let (rows, expected) = (golden.rows("a"), golden.logits("a", "a/logits"));
        for (dtype, bound) in BOUNDS {
            let off = share(&logits(model, None, &rows[0], dtype), &expected[0]);
            assert!(off < bound, "{model} in {dtype}: {off:e}");
        }
    }
}

#[test]
fn adapters_answer_as_on_the_cpu() {
    if !has_vulkan() {
        return;
    }
    for (model, run) in
        [("llama", "dora_patterns"), ("gpt2", "dora_all_rslora"), ("bert", "dora_all")]
    {
        let adapter = golden(&format!("models/{model}/{run}/initial"));
        let row = &Golden::open(model).rows("a")[0];
        let found = logits(model, Some(&adapter), row, "f32");
        let off = share(&found, &common::logits(model, Some(&adapter), row));
        assert!(off < 1e-4, "{model} {run}: {off:e}");
    }
}

#[test]
fn training_takes_the_steps_of_the_cpu() {
    if !has_vulkan() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let line = |i: u32| format!("{{\"input_ids\":[{},{},{},{}]}}\n", i * 5, i * 7, i * 3, i);
    let data = dir.path().join("data.jsonl");
    fs::write(&data, (1..8).map(line).collect::<String>()).unwrap();
    let model = golden("models/llama");
    let losses = |backend: &str, method: &str| -> Vec<f64> {
        let name = format!("{backend}-{method}");
        let (out, metrics) = (dir.path().join(&name), dir.path().join(name.clone() + ".jsonl"));
        let mut arguments = vec!["train", "--model", text(&model), "--data", text(&data)];
        arguments.extend(["--out", text(&out), "--metrics", text(&metrics), "--method", method]);
        arguments.extend(["--backend", backend, "--rank", "3", "--steps", "12", "--lr", "0.005"]);
        arguments.extend(["--batch", "3", "--accumulate", "2"]);
        ok(&decora(&arguments));
        lines(&metrics).iter().map(|line| line["loss"].as_f64().unwrap()).collect()
    };
    for method in ["dora", "lora", "full"] {
        let (cpu, vulkan) = (losses("cpu", method), losses("vulkan", method));
        assert_eq!((cpu.len(), vulkan.len()), (12, 12));
        let off = cpu.iter().zip(&vulkan).map(|(a, b)| (b / a - 1.0).abs()).fold(0.0, f64::max);
        assert!(off < LOSSES, "{method}: {off:e}\n{cpu:?}\n{vulkan:?}");
        assert!(cpu[11] < cpu[0], "{method}: something is learned");
    }
}

#[test]
fn a_device_that_is_not_there_is_one_line() {
    let model = golden("models/llama");
    let arguments = ["logits", "--model", text(&model), "--ids", "1", "--out", "/nonexistent/x"];
    let program = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_decora"));
        command.args(arguments).args(more);
        command
    };
    if has_vulkan() {
        let output = program(&["--backend", "vulkan", "--device", "no such"]).output().unwrap();
        fails(&output, &["no Vulkan device", "no such", "0: "]);
        // Nor is the CPU taken in silence.
        let output = program(&["--device", "no such"]).output().unwrap();
        fails(&output, &["no Vulkan device", "no such"]);
    }
    let mut without = program(&["--backend", "vulkan"]);
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"] {
        without.env(name, "/nonexistent");
    }
    fails(&without.output().unwrap(), &["Vulkan", "install"]);
}
