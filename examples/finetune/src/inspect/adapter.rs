//! What is in an adapter's folder or file.

use std::path::Path;

use decora_hub::foreign::{Origin, find};
use decora_hub::peft::{Adapter, Bias, Config, Layer, Targets};
use decora_hub::tensors::{Array, Tensor, TensorFile};

use super::table::{list, table};
use super::{kind_of, parameters, stored};
use crate::error::Error;
use crate::words::thousands;

pub(super) fn inspect(path: &Path) -> Result<String, Error> {
    let (origin, file) = find(path)?;
    match origin {
        Origin::Peft | Origin::Nvlabs => of_peft(&Adapter::read(file.parent().unwrap_or(path))?),
        Origin::Mlx => others(&file, "mlx-lm"),
        Origin::Kohya => others(&file, "kohya or LyCORIS"),
    }
}

fn of_peft(adapter: &Adapter) -> Result<String, Error> {
    let Config { rank, alpha, dropout, use_dora, use_rslora, bias, .. } = adapter.config;
    let file = TensorFile::open(&adapter.path)?;
    let scale = if use_rslora { "α/√r" } else { "α/r" };
    let task = serde_json::to_value(adapter.config.task).unwrap_or_default();
    let task = task.as_str().unwrap_or("no task");
    let biases = match bias {
        Bias::None => "",
        Bias::All => ", all biases trained",
        Bias::LoraOnly => ", their biases trained",
    };
    let items = [
        ("adapter", format!("{}, {task}", if use_dora { "DoRA" } else { "LoRA" })),
        ("model", adapter.config.base.clone().unwrap_or_else(|| "not named".to_owned())),
        ("rank", format!("r = {rank}, α = {alpha}, s = {scale}, dropout {dropout}")),
        ("targets", targets(adapter.config.targets.as_ref()) + biases),
        ("parameters", thousands(parameters(file.tensors()))),
        ("stored", stored(file.tensors())),
        ("file", adapter.path.display().to_string()),
    ];
    let mut text = format!("{}\n\n{}", list(&items), modules(adapter));
    if !adapter.saved.is_empty() {
        let row = |(name, x): (&String, &Array)| vec![name.clone(), format!("{:?}", x.shape)];
        let rows: Vec<_> = adapter.saved.iter().map(row).collect();
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
    for (path, layer) in &adapter.layers {
        let Layer { a, b, m, bias } = layer;
        let side = |array: &Array, i: usize| array.shape.get(i).map_or(0, |&n| n).to_string();
        let magnitude = if m.is_some() { "yes" } else { "no" };
        let alike = vec![kind_of(path), side(a, 1), side(b, 0), side(a, 0), magnitude.to_owned()];
        let parts = [Some(a), Some(b), m.as_ref(), bias.as_ref()];
        let parameters = parts.into_iter().flatten().map(|part| part.values.len()).sum();
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
    let file = TensorFile::open(path)?;
    let items = [
        ("adapter", format!("of {program}")),
        ("parameters", thousands(parameters(file.tensors()))),
        ("stored", stored(file.tensors())),
        ("file", path.display().to_string()),
    ];
    let row = |t: Tensor<'_>| vec![t.name().to_owned(), format!("{:?}", t.shape())];
    let rows: Vec<_> = file.tensors().map(row).collect();
    Ok(format!("{}\n\n{}", list(&items), table(&["tensors", "shape"], &rows)))
}
