//! The program, and the golden models that it is tried on.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part; it stops at a surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Value, json};

pub(crate) fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn decora(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_decora")).args(arguments).output().unwrap()
}

/// The program, running.
pub(crate) fn spawn(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decora"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a run that went well says.
#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a run that fails says: one line that begins with `error: `, as its last.
#[track_caller]
pub(crate) fn fails(output: &Output, words: &[&str]) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let errors: Vec<&str> = error.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line: {error}");
    assert_eq!(error.lines().last(), errors.first().copied(), "{error}");
    assert!(words.iter().all(|word| errors[0].contains(word)), "{error:?} lacks one of {words:?}");
}

pub(crate) fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A folder with data, to train in.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new(data: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("data.jsonl"), data).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn train(&self, model: &Path, more: &[&str]) -> Output {
        let (data, out) = (self.path("data.jsonl"), self.path("out"));
        let arguments = [
            "train",
            "--model",
            text(model),
            "--data",
            text(&data),
            "--out",
            text(&out),
            "--backend",
            "cpu",
        ];
        let rank = if more.contains(&"--rank") { &[][..] } else { &["--rank", "2"] };
        let length = ["--steps", "--epochs", "--config"].iter().any(|o| more.contains(o));
        let steps = if length { &[][..] } else { &["--steps", "4"] };
        decora(&[&arguments[..], rank, steps, more].concat())
    }

    /// A copy of a golden model.
    pub(crate) fn model(&self, name: &str) -> PathBuf {
        let to = self.path("model");
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(golden(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        to
    }
}

/// The largest difference, as a share of the largest value.
pub(crate) fn share(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    found.iter().zip(expected).fold(0.0, |max: f64, (a, b)| max.max((a - b).abs())) / largest
}

/// The logits that the program writes.
pub(crate) fn logits_of(model: &Path, adapter: Option<&Path>, row: &Row) -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("logits.safetensors");
    let mut arguments =
        vec!["logits", "--model", text(model), "--out", text(&out), "--backend", "cpu", "--ids"];
    let list = |all: &[i64]| all.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let (ids, types) = (list(&row.ids), list(&row.types));
    arguments.push(&ids);
    if !types.is_empty() {
        arguments.extend(["--types", &types]);
    }
    if let Some(adapter) = adapter {
        arguments.extend(["--adapter", text(adapter)]);
    }
    ok(&decora(&arguments));
    Golden::tensor(&fs::read(out).unwrap(), "logits").0
}

pub(crate) fn logits(model: &str, adapter: Option<&Path>, row: &Row) -> Vec<f64> {
    logits_of(&golden(&format!("models/{model}")), adapter, row)
}

/// A row of a batch, without padding.
pub(crate) struct Row {
    pub(crate) ids: Vec<i64>,
    pub(crate) types: Vec<i64>,
}

/// A golden model.
pub(crate) struct Golden {
    pub(crate) dir: PathBuf,
    pub(crate) json: Value,
    bytes: Vec<u8>,
}

impl Golden {
    pub(crate) fn open(model: &str) -> Self {
        let dir = golden(&format!("models/{model}"));
        let json = serde_json::from_slice(&fs::read(dir.join("golden.json")).unwrap()).unwrap();
        Self { bytes: fs::read(dir.join("golden.safetensors")).unwrap(), dir, json }
    }

    fn tensor(bytes: &[u8], name: &str) -> (Vec<f64>, Vec<usize>) {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let t = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let values = match t.dtype() {
            Dtype::F64 => {
                t.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
            }
            Dtype::I64 => {
                t.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect()
            }
            Dtype::F32 => t
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f64::from(f32::from_le_bytes(*b)))
                .collect(),
            other => panic!("{other:?}"),
        };
        (values, t.shape().to_vec())
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f64> {
        Self::tensor(&self.bytes, name).0
    }

    fn whole(&self, name: &str) -> (Vec<i64>, usize) {
        let (values, shape) = Self::tensor(&self.bytes, name);
        (values.iter().map(|&x| x as i64).collect(), shape.get(1).copied().unwrap_or(1))
    }

    /// The rows of a batch, without padding.
    pub(crate) fn rows(&self, batch: &str) -> Vec<Row> {
        let (ids, width) = self.whole(&format!("{batch}/input_ids"));
        let (mask, _) = self.whole(&format!("{batch}/attention_mask"));
        let name = format!("{batch}/token_type_ids");
        let types = if self.has(&name) { self.whole(&name).0 } else { Vec::new() };
        let row = |i: usize, mask: &[i64]| {
            let count = mask.iter().filter(|&&m| m == 1).count();
            let part = |all: &[i64]| all.iter().skip(i * width).take(count).copied().collect();
            Row { ids: part(&ids), types: part(&types) }
        };
        mask.chunks(width).enumerate().map(|(i, mask)| row(i, mask)).collect()
    }

    fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).is_ok()
    }

    /// The logits of each row of a batch, in this tensor.
    pub(crate) fn logits(&self, batch: &str, name: &str) -> Vec<Vec<f64>> {
        let (values, shape) = Self::tensor(&self.bytes, name);
        let width: usize = shape[1..].iter().product();
        let rows = self.rows(batch);
        let kept = |(row, values): (&Row, &[f64])| match shape.len() {
            2 => values.to_vec(),
            _ => values[..row.ids.len() * shape[2]].to_vec(),
        };
        rows.iter().zip(values.chunks(width)).map(kept).collect()
    }

    /// A file with the lines of the first two steps of a run, which repeat, and how many lines make a
    /// batch, and batches a step. The last batch may be smaller: an epoch ends there.
    pub(crate) fn data(&self, run: &str, dir: &Path) -> (PathBuf, (usize, usize)) {
        let steps = self.json["runs"][run]["batches"].as_array().unwrap();
        let pairs = steps.chunks(2);
        assert!(pairs.clone().all(|pair| pair == &steps[..2]), "steps repeat");
        let batches: Vec<_> = steps[..2].iter().flat_map(|step| step.as_array().unwrap()).collect();
        let lines: Vec<_> = batches.iter().map(|b| self.lines(b.as_str().unwrap())).collect();
        let path = dir.join("golden.jsonl");
        let text = lines.iter().flatten().map(|line| format!("{line}\n"));
        fs::write(&path, text.collect::<String>()).unwrap();
        (path, (lines[0].len(), steps[0].as_array().unwrap().len()))
    }

    fn lines(&self, batch: &str) -> Vec<Value> {
        let (labels, width) = self.whole(&format!("{batch}/labels"));
        let rows = self.rows(batch);
        let line = |(row, labels): (&Row, &[i64])| match width {
            1 => json!({"input_ids": row.ids, "token_type_ids": row.types, "label": labels[0]}),
            _ => json!({"input_ids": row.ids, "labels": labels[..row.ids.len()]}),
        };
        rows.iter().zip(labels.chunks(width)).map(line).collect()
    }
}
