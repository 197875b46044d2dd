//! What is in an adapter's folder or file.

use std::path::{Path, PathBuf};

use decora_hub::foreign::{Origin, origin};
use decora_hub::peft::{Adapter, Config, Layer, Targets};
use decora_hub::tensors::TensorFile;

use super::table::{list, table};
use super::{dtypes, kind_of, thousands};
use crate::error::Error;
use crate::memory::words;

pub(super) fn inspect(path: &Path) -> Result<String, Error> {
    match origin(path)? {
        Origin::Peft | Origin::Nvlabs => {
            let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
            of_peft(&Adapter::read(dir)?)
        }
        Origin::Mlx => others(path, "mlx-lm"),
        Origin::Kohya => others(path, "kohya or LyCORIS"),
    }
}

fn of_peft(adapter: &Adapter) -> Result<String, Error> {
    let Config { rank, alpha, dropout, use_dora, use_rslora, .. } = adapter.config;
    let file = TensorFile::open(&adapter.path)?;
    let parameters = file.tensors().map(|t| t.shape().iter().product::<usize>()).sum();
    let bytes: usize = file.tensors().map(|tensor| tensor.data().len()).sum();
    let scale = if use_rslora { "α/√r" } else { "α/r" };
    let task = adapter.config.task.map_or("no task".to_owned(), |task| format!("{task:?}"));
    let items = [
        ("adapter", format!("{}, {task}", if use_dora { "DoRA" } else { "LoRA" })),
        ("model", adapter.config.base.clone().unwrap_or_else(|| "not named".to_owned())),
        ("rank", format!("r = {rank}, α = {alpha}, s = {scale}, dropout {dropout}")),
        ("targets", targets(adapter.config.targets.as_ref())),
        ("parameters", thousands(parameters)),
        ("stored", format!("{}, {}", dtypes(file.tensors()), words(bytes as u64))),
        ("file", adapter.path.display().to_string()),
    ];
    let mut text = format!("{}\n\n{}", list(&items), modules(adapter));
    if !adapter.saved.is_empty() {
        let rows: Vec<_> = adapter
            .saved
            .iter()
            .map(|(name, x)| vec![name.clone(), format!("{:?}", x.shape)])
            .collect();
        text += &format!("\n\n{}", table(&["trained as a whole", "shape"], &rows));
    }
    Ok(text)
}

fn targets(targets: Option<&Targets>) -> String {
    match targets {
        None => "those of the family".to_owned(),
        Some(Targets::Names(names)) => names.join(", "),
        Some(Targets::Pattern(pattern)) => pattern.clone(),
    }
}

/// The adapted layers, a line for those that are alike.
fn modules(adapter: &Adapter) -> String {
    let mut rows: Vec<(Vec<String>, usize, usize)> = Vec::new();
    for (path, Layer { a, b, m }) in &adapter.layers {
        let sizes = [&a.shape, &b.shape].map(|shape| shape.clone());
        let size =
            |shape: &[usize], i: usize| shape.get(i).map_or("?".to_owned(), usize::to_string);
        let alike = vec![
            kind_of(path),
            size(&sizes[0], 1),
            size(&sizes[1], 0),
            size(&sizes[0], 0),
            if m.is_some() { "yes" } else { "no" }.to_owned(),
        ];
        let parameters = a.values.len() + b.values.len() + m.as_ref().map_or(0, |m| m.values.len());
        match rows.iter_mut().find(|row| row.0 == alike) {
            Some(row) => (row.1, row.2) = (row.1 + 1, row.2 + parameters),
            None => rows.push((alike, 1, parameters)),
        }
    }
    let row = |(mut cells, count, parameters): (Vec<String>, usize, usize)| {
        cells.insert(1, count.to_string());
        cells.push(thousands(parameters));
        cells
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    table(&["adapted layers", "count", "in", "out", "r", "m", "parameters"], &rows)
}

/// The tensors of a file that only its model could say more about.
fn others(path: &Path, program: &str) -> Result<String, Error> {
    let path: PathBuf = match path.is_dir() {
        true => path.join("adapters.safetensors"),
        false => path.to_owned(),
    };
    let path = if path.exists() { path } else { the_only_file(&path) };
    let file = TensorFile::open(&path)?;
    let parameters = file.tensors().map(|t| t.shape().iter().product::<usize>()).sum();
    let items = [
        ("adapter", format!("of {program}")),
        ("parameters", thousands(parameters)),
        ("stored", dtypes(file.tensors())),
        ("file", path.display().to_string()),
    ];
    let row =
        |t: decora_hub::tensors::Tensor<'_>| vec![t.name().to_owned(), format!("{:?}", t.shape())];
    let rows: Vec<_> = file.tensors().map(row).collect();
    Ok(format!("{}\n\n{}", list(&items), table(&["tensors", "shape"], &rows)))
}

/// The only file of tensors beside `path`, or `path`.
fn the_only_file(path: &Path) -> PathBuf {
    let all = path.parent().and_then(|dir| std::fs::read_dir(dir).ok());
    let mut paths = all.into_iter().flatten().flatten().map(|entry| entry.path());
    paths
        .find(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .unwrap_or_else(|| path.to_owned())
}
