//! `decora inspect`.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::Path;

use decora_hub::foreign::{Origin, origin};
use decora_hub::peft::{Adapter, Config, Targets};
use decora_hub::{Architecture, Weights, config};

use crate::error::Error;
use crate::memory::words;
use crate::options::Inspect;

/// Says what is in a model or an adapter.
///
/// # Errors
/// [`Error::Hub`] for a folder that is neither, or a damaged file.
pub(super) fn run(options: &Inspect) -> Result<String, Error> {
    let path = &options.path;
    if path.join(config::FILE).exists() {
        return model(path);
    }
    match origin(path)? {
        Origin::Peft | Origin::Nvlabs => {
            let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
            Ok(adapter(&Adapter::read(folder)?))
        }
        other => foreign(path, other),
    }
}

fn model(path: &Path) -> Result<String, Error> {
    let architecture = Architecture::read(path)?;
    let weights = Weights::open(path)?;
    let Architecture { family, head, layers, hidden, inner, heads, kv_heads, head_dim, .. } =
        &architecture;
    let mut text = format!(
        "model of the family {family:?}, head: {head:?}\n\
         vocabulary {}, {layers} layers, width {hidden}, inner width {inner}, {heads} heads of \
         {head_dim}, of keys {kv_heads}, at most {} tokens\n",
        architecture.vocab, architecture.max_positions
    );
    let (mut formats, mut numbers, mut bytes) = (BTreeMap::<&str, usize>::new(), 0usize, 0usize);
    for tensor in weights.tensors() {
        *formats.entry(tensor.dtype().name()).or_default() += 1;
        numbers += tensor.shape().iter().product::<usize>();
        bytes += tensor.data().len();
    }
    let formats: Vec<_> = formats.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let _ = write!(
        text,
        "{numbers} numbers in {} tensors, {} in {} files",
        formats.join(", "),
        words(bytes as u64),
        weights.files().len()
    );
    let mut ends = BTreeMap::<&str, (usize, usize, usize)>::new();
    let modules = architecture.modules();
    for module in &modules {
        let end = module.path.rsplit('.').next().unwrap_or_default();
        let entry = ends.entry(end).or_insert((0, module.out, module.inputs));
        entry.0 += 1;
    }
    for (end, (count, out, inputs)) in ends {
        let _ = write!(text, "\n  {end} ({out}, {inputs}), {count}×");
    }
    Ok(text)
}

fn adapter(adapter: &Adapter) -> String {
    let Config { rank, alpha, use_dora, use_rslora, dropout, base, targets, .. } = &adapter.config;
    let method = if *use_dora { "DoRA" } else { "LoRA" };
    let mut text = format!("{method}, rank {rank}, alpha {alpha}");
    if *use_rslora {
        text += ", scaled by the root of the rank";
    }
    if *dropout > 0.0 {
        let _ = write!(text, ", dropout {dropout}");
    }
    let targets = match targets {
        Some(Targets::Names(names)) => names.join(", "),
        Some(Targets::Pattern(pattern)) => pattern.clone(),
        None => "those of the family".to_owned(),
    };
    let _ = write!(text, "\nbase: {}; targets: {targets}", base.as_deref().unwrap_or("not said"));
    let numbers: usize = adapter.tensors().values().map(|array| array.values.len()).sum();
    let _ = write!(text, "\n{numbers} numbers on {} layers", adapter.layers.len());
    let mut ends = BTreeMap::<(String, usize, Vec<usize>), usize>::new();
    for (path, layer) in &adapter.layers {
        let end = path.rsplit('.').next().unwrap_or_default().to_owned();
        let sides = vec![layer.b.shape.first().copied(), layer.a.shape.get(1).copied()];
        let rank = layer.a.shape.first().copied().unwrap_or_default();
        *ends.entry((end, rank, sides.into_iter().flatten().collect())).or_default() += 1;
    }
    for ((end, rank, sides), count) in ends {
        let _ = write!(text, "\n  {end} {sides:?}, rank {rank}, {count}×");
    }
    for (name, array) in &adapter.saved {
        let _ = write!(text, "\n  {name} {:?}, trained as a whole", array.shape);
    }
    text
}

/// Names and shapes: what they belong to depends on the model.
fn foreign(path: &Path, origin: Origin) -> Result<String, Error> {
    let folder = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let is_tensors = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "safetensors");
    let file = match path.is_dir() {
        true => folder(path).map(|entry| entry.path()).find(is_tensors).unwrap_or_default(),
        false => path.to_owned(),
    };
    let file = decora_hub::tensors::TensorFile::open(&file)?;
    let mut text = format!("adapter in the format of {origin:?}");
    for tensor in file.tensors() {
        let _ =
            write!(text, "\n  {} {:?} {}", tensor.name(), tensor.shape(), tensor.dtype().name());
    }
    Ok(text)
}
