//! What is in a model's folder.

use std::path::Path;

use decora_hub::Architecture;
use decora_hub::config::{Head, Mlp, Positions};
use decora_hub::modules::Module;
use decora_hub::tensors::TensorFile;

use super::table::{list, table};
use super::{kind_of, parameters, stored};
use crate::error::Error;
use crate::model::Model;
use crate::words::{bytes, thousands};

pub(super) fn inspect(path: &Path) -> Result<String, Error> {
    let model = Model::open(path)?;
    let a = &model.architecture;
    let positions = match a.positions {
        Positions::Rope(_) => "rotary",
        Positions::Learned(_) => "learned",
    };
    let mlp = if a.mlp == Mlp::Gated { "gated" } else { "plain" };
    let items = [
        ("model", format!("{:?}, {}", a.family, head(a))),
        ("blocks", format!("{} of width {}, {mlp} MLP of width {}", a.layers, a.hidden, a.inner)),
        ("attention", format!("{} heads of {}, {} of keys", a.heads, a.head_dim, a.kv_heads)),
        ("tokens", format!("{}, texts of up to {}, {positions}", a.vocab, a.max_positions)),
        ("tokenizer", tokenizer(&model).to_owned()),
        ("parameters", thousands(parameters(model.weights.tensors()))),
        ("stored", stored(model.weights.tensors())),
    ];
    Ok(format!("{}\n\n{}\n\n{}", list(&items), modules(&a.modules()), files(&model)))
}

fn head(a: &Architecture) -> String {
    match a.head {
        Head::None => "without a head".to_owned(),
        Head::Language if a.tied => "language head tied to the embeddings".to_owned(),
        Head::Language => "language head".to_owned(),
        Head::Classes if a.labels.is_empty() => format!("classifier of {}", a.classes),
        Head::Classes => format!("classifier of {}: {}", a.classes, a.labels.join(", ")),
    }
}

fn tokenizer(model: &Model) -> &'static str {
    match &model.tokens {
        None => "none",
        Some(tokens) if tokens.chat(&minijinja::Value::UNDEFINED).is_ok() => {
            "tokenizer.json, with a chat template"
        }
        Some(_) => "tokenizer.json, without a chat template",
    }
}

/// The linear layers, a line for those that are alike.
fn modules(modules: &[Module]) -> String {
    let mut rows: Vec<(String, usize, &Module)> = Vec::new();
    for module in modules {
        let kind = kind_of(&module.path);
        match rows.iter_mut().find(|row| row.0 == kind) {
            Some(row) => row.1 += 1,
            None => rows.push((kind, 1, module)),
        }
    }
    let row = |(kind, count, module): (String, usize, &Module)| {
        let Module { out, inputs, bias, .. } = *module;
        let parameters = count * (out * inputs + if bias { out } else { 0 });
        let bias = if bias { "yes" } else { "no" }.to_owned();
        let numbers = [count, inputs, out].map(|n| n.to_string());
        [kind].into_iter().chain(numbers).chain([bias, thousands(parameters)]).collect::<Vec<_>>()
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    table(&["linear layers", "count", "in", "out", "bias", "parameters"], &rows)
}

fn files(model: &Model) -> String {
    let row = |file: &TensorFile| {
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size: usize = file.tensors().map(|tensor| tensor.data().len()).sum();
        vec![name, file.tensors().count().to_string(), bytes(size as u64)]
    };
    let rows: Vec<_> = model.weights.files().iter().map(row).collect();
    table(&["files", "tensors", "size"], &rows)
}
