//! mlx-lm: the transposes of A and B, and a scale s instead of α.

use std::path::Path;

use super::assemble::{Layers, assemble, fits, no_module};
use crate::config::Architecture;
use crate::json::Object;
use crate::tensors::{Array, TensorFile};
use crate::{Adapter, HubError, peft};

pub(super) fn read(path: &Path, architecture: &Architecture) -> Result<Adapter, HubError> {
    let config = Object::read(&path.with_file_name(peft::CONFIG))?;
    let use_dora = match config.text("fine_tune_type")? {
        None | Some("lora") => false,
        Some("dora") => true,
        Some(_) => return Err(config.wrong("fine_tune_type", "\"lora\" or \"dora\"")),
    };
    let inner = "lora_parameters";
    let inner = config.object(inner)?.ok_or_else(|| config.wrong(inner, "rank and scale"))?;
    let scale = scale(&inner)?;
    let dropout = inner.number("dropout")?.unwrap_or(0.0);
    let layers = layers(path, architecture)?;
    let mut adapter = assemble(path, architecture, layers, use_dora, |rank| scale * rank as f64)?;
    adapter.config.dropout = dropout;
    adapter.config.check()?;
    Ok(adapter)
}

fn layers(path: &Path, architecture: &Architecture) -> Result<Layers, HubError> {
    let modules = architecture.modules();
    let file = TensorFile::open(path)?;
    let mut layers = Layers::new();
    for tensor in file.tensors() {
        let name = tensor.name();
        let (module, part) = name.rsplit_once('.').unwrap_or(("", name));
        let module = modules.iter().find(|m| m.path == module);
        let module = module.ok_or_else(|| no_module(path, name, &modules))?;
        let array = |shape: &[Option<usize>]| fits(path, name, Array::read(&tensor)?, shape);
        let (out, inputs) = (Some(module.out), Some(module.inputs));
        let layer = layers.entry(module.path.clone()).or_default();
        match part {
            "lora_a" => layer.a = Some(array(&[inputs, None])?.transposed()),
            "lora_b" => layer.b = Some(array(&[None, out])?.transposed()),
            "m" => layer.m = Some(array(&[out])?),
            _ => {
                let (path, tensor) = (path.to_path_buf(), name.to_owned());
                let expected = "lora_a, lora_b or m".to_owned();
                return Err(HubError::Unexpected { path, tensor, expected });
            }
        }
    }
    Ok(layers)
}

/// s. Early versions multiplied it with α/r, where a file has an α.
fn scale(inner: &Object) -> Result<f64, HubError> {
    let (scale, alpha, rank) =
        (inner.number("scale")?, inner.number("alpha")?, inner.number("rank")?);
    match (scale, alpha, rank) {
        (Some(scale), None, _) => Ok(scale),
        (Some(scale), Some(alpha), Some(rank)) if alpha == rank => Ok(scale),
        (_, Some(_), _) => {
            Err(inner
                .wrong("alpha", "none, or the rank: versions of mlx-lm differ in what it does"))
        }
        (None, None, _) => Err(inner.wrong("scale", "s, a number")),
    }
}
