//! kohya's scripts and `LyCORIS`: `lora_down` is A, `lora_up` is B, `dora_scale` is m, and `_` stands for `.`
//! in the paths of modules.

use std::collections::HashMap;
use std::path::Path;

use super::assemble::{Layers, assemble, fits, no_module};
use crate::config::Architecture;
use crate::tensors::{Array, Tensor, TensorFile};
use crate::{Adapter, HubError, Module};

/// What the names of modules start with.
const PREFIXES: [&str; 7] =
    ["lora_unet_", "lora_te1_", "lora_te2_", "lora_te_", "lora_transformer_", "lycoris_", "lora_"];

pub(super) fn read(path: &Path, architecture: &Architecture) -> Result<Adapter, HubError> {
    let modules = architecture.modules();
    let names = names(architecture, &modules);
    let file = TensorFile::open(path)?;
    let vectors = Vectors::of(&file, &names);
    let mut layers = Layers::new();
    for tensor in file.tensors() {
        let (name, part) = split(tensor.name());
        let module = names.get(name).ok_or_else(|| no_module(path, tensor.name(), &modules))?;
        let array =
            |shape: &[Option<usize>]| fits(path, tensor.name(), Array::read(&tensor)?, shape);
        let layer = layers.entry(module.path.clone()).or_default();
        match part {
            "lora_down.weight" => layer.a = Some(array(&[None, Some(module.inputs)])?),
            "lora_up.weight" => layer.b = Some(array(&[Some(module.out), None])?),
            "alpha" => layer.alpha = Some(alpha(&tensor)?),
            "dora_scale" => layer.m = Some(magnitude(&tensor, module, vectors)?),
            _ => {
                let (path, tensor) = (path.to_path_buf(), tensor.name().to_owned());
                let expected = "lora_down.weight, lora_up.weight, alpha or dora_scale".to_owned();
                return Err(HubError::Unexpected { path, tensor, expected });
            }
        }
    }
    assemble(path, architecture, layers, false, |rank| rank as f64)
}

/// Modules by their names in such files: of the whole path, and of that in the headless network.
fn names<'a>(architecture: &Architecture, modules: &'a [Module]) -> HashMap<String, &'a Module> {
    let prefix = architecture.prefix();
    let mut names = HashMap::new();
    for module in modules {
        let inner = module.path.strip_prefix(&prefix).unwrap_or(&module.path);
        names.insert(inner.replace('.', "_"), module);
    }
    for module in modules {
        names.insert(module.path.replace('.', "_"), module);
    }
    names
}

/// The name of a module without its prefix, and what comes after it.
fn split(tensor: &str) -> (&str, &str) {
    let (name, part) = tensor.split_once('.').unwrap_or((tensor, ""));
    let inner = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    (inner.unwrap_or(name), part)
}

fn alpha(tensor: &Tensor<'_>) -> Result<f64, HubError> {
    match tensor.finite()?[..] {
        [alpha] => Ok(f64::from(alpha)),
        _ => Err(tensor.wrong(format!("shape {:?}", tensor.shape()), "one number")),
    }
}

/// What magnitudes without a second dimension are, by those of matrices that are not square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vectors {
    /// One number for each output.
    Outputs,
    /// No matrix tells.
    Unknown,
}

impl Vectors {
    fn of(file: &TensorFile, names: &HashMap<String, &Module>) -> Self {
        let tells = |tensor: Tensor<'_>| {
            let (name, part) = split(tensor.name());
            let module = names.get(name).filter(|m| part == "dora_scale" && m.out != m.inputs)?;
            match *tensor.shape() {
                [n] => Some(n == module.out),
                _ => None,
            }
        };
        let all: Vec<bool> = file.tensors().filter_map(tells).collect();
        match !all.is_empty() && all.iter().all(|&outputs| outputs) {
            true => Self::Outputs,
            false => Self::Unknown,
        }
    }
}

/// m `[out]`. Of a square matrix, the place of the 1 in the shape tells what the numbers are for; without
/// it, those of the other matrices in the file tell.
fn magnitude(tensor: &Tensor<'_>, module: &Module, vectors: Vectors) -> Result<Array, HubError> {
    let (out, inputs) = (module.out, module.inputs);
    let outputs = match *tensor.shape() {
        [n, 1] => n == out,
        [n] if out == inputs => n == out && vectors == Vectors::Outputs,
        [n] => n == out,
        _ => false,
    };
    if outputs {
        return Ok(Array { shape: vec![out], ..Array::read(tensor)? });
    }
    let expected = match *tensor.shape() {
        [n] if n == out => {
            format!("[{out}, 1]: the weight is square, and nothing tells outputs from inputs")
        }
        [1, n] | [n] | [n, 1] if n == inputs => format!(
            "[{out}, 1], one for each output: one for each input is not DoRA (train with wd_on_out)"
        ),
        _ => format!("[{out}, 1] or [{out}]"),
    };
    Err(tensor.wrong(format!("shape {:?}", tensor.shape()), expected))
}
