//! A model folder written anew with some of its tensors changed, a few rows at a time: what merging an
//! adapter into a model larger than memory takes.

mod folder;
mod shard;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use decora::safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::config::Stored;
use crate::json::Object;
use crate::tensors::{Arrays, Tensor, TensorFile};
use crate::weights::{INDEX, SINGLE};
use crate::{HubError, Weights, config, files};

/// What becomes of the tensors of a model.
pub trait Change {
    /// Why a row cannot be computed.
    type Error: From<HubError>;

    /// Whether the values of this tensor change. Each tensor is asked for once, file by file.
    fn changes(&mut self, tensor: &Tensor<'_>) -> bool;

    /// Changes rows of a tensor, from `first` on, in place: all of a row, for as many rows as there are
    /// elements for. They come in order and each once, as they are stored: those of a `Conv1D` are
    /// columns of its weight. A tensor of less than two dimensions is one row.
    ///
    /// # Errors
    /// Whatever makes the new folder not worth having: nothing of it is kept.
    fn rows(
        &mut self,
        tensor: &Tensor<'_>,
        first: usize,
        rows: &mut [f32],
    ) -> Result<(), Self::Error>;
}

/// How a model is written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format of all floating-point tensors; `None`: each in its own.
    pub stored: Option<Stored>,
    /// Tensors that the model does not have yet: a new classifier.
    pub more: Arrays,
    /// Keys of `config.json` that get other values.
    pub config: Map<String, Value>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files with tensors.
    pub files: usize,
    /// Tensors in them.
    pub tensors: usize,
    /// Tensors that were changed or added.
    pub changed: usize,
    /// Bytes of all tensors.
    pub bytes: usize,
}

/// Writes a model anew into the folder `to`, which must not be there, or be empty. It has the same files
/// with the same tensors, those that `change` takes with other values, and everything else of the
/// folder that is no weight: settings and tokenizer. At no time are more than some rows of one tensor in
/// memory. The folder appears whole, when everything is on the disk, or not at all.
///
/// # Errors
/// What `change` says; [`HubError::Tensor`] for a new value that is infinite, not a number, or too large
/// for its format; [`HubError::Damaged`] for a folder with something in it; [`HubError::Io`], be it that
/// the disk is full.
pub fn rewrite<C: Change>(
    model: &Weights,
    to: &Path,
    options: &Options,
    change: &mut C,
) -> Result<Written, C::Error> {
    let folder = folder::Folder::beside(to)?;
    let dir = folder.path();
    let mut all = Vec::new();
    let mut written = Written::default();
    for (i, file) in model.files().iter().enumerate() {
        let name = name_of(file);
        let last = i + 1 == model.files().len();
        let more = if last { options.more.clone() } else { Arrays::new() };
        let shard = shard::Shard { file, more, stored: options.stored };
        let places = shard.write(&dir.join(&name), change)?;
        written.changed += places.changed;
        written.bytes += places.bytes;
        all.extend(places.elements.into_iter().map(|(tensor, n)| (tensor, n, name.clone())));
    }
    written.files = model.files().len();
    written.tensors = all.len();
    if is_sharded(model) {
        write_index(&dir.join(INDEX), &all, written.bytes)?;
    }
    folder::copy_rest(model.dir(), dir)?;
    write_config(model.dir(), dir, options)?;
    folder.keep()?;
    Ok(written)
}

fn name_of(file: &TensorFile) -> String {
    file.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_sharded(model: &Weights) -> bool {
    !matches!(model.files(), [file] if name_of(file) == SINGLE)
}

/// The format in which a tensor is written.
fn dtype(tensor: &Tensor<'_>, stored: Option<Stored>) -> Dtype {
    let is_float = matches!(tensor.dtype(), Dtype::F32 | Dtype::F16 | Dtype::Bf16);
    match stored.filter(|_| is_float) {
        None => tensor.dtype(),
        Some(Stored::F32) => Dtype::F32,
        Some(Stored::F16) => Dtype::F16,
        Some(Stored::Bf16) => Dtype::Bf16,
    }
}

fn write_index(path: &Path, all: &[(String, usize, String)], bytes: usize) -> Result<(), HubError> {
    let map: BTreeMap<&str, &str> =
        all.iter().map(|(tensor, _, file)| (&**tensor, &**file)).collect();
    let parameters: usize = all.iter().map(|row| row.1).sum();
    let metadata = json!({"total_parameters": parameters, "total_size": bytes});
    write_json(path, &json!({"metadata": metadata, "weight_map": map}))
}

fn write_config(from: &Path, to: &Path, options: &Options) -> Result<(), HubError> {
    let source = from.join(config::FILE);
    if !source.exists() {
        return Ok(());
    }
    let mut map = Object::read(&source)?.into_map();
    if let Some(stored) = options.stored {
        let key = if map.contains_key("torch_dtype") { "torch_dtype" } else { "dtype" };
        map.insert(key.to_owned(), json!(stored.torch_name()));
    }
    map.extend(options.config.clone());
    write_json(&to.join(config::FILE), &Value::Object(map))
}

fn write_json(path: &Path, value: &Value) -> Result<(), HubError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| HubError::Json { path: path.to_path_buf(), message: e.to_string() })?;
    text.push('\n');
    files::write(path, text.as_bytes()).map_err(HubError::io("write", path))
}

/// Removes a folder that is not wanted any more, as well as it can.
fn discard(dir: &Path) {
    let _ = fs::remove_dir_all(dir);
}
