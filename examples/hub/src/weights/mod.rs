//! The tensors of a model folder: `model.safetensors`, or the shards that
//! `model.safetensors.index.json` names.

mod index;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::HubError;
use crate::config::Architecture;
use crate::modules::Module;
use crate::tensors::{Tensor, TensorFile, Values};

/// The only file of a model, when there are no shards.
pub const SINGLE: &str = "model.safetensors";
/// The file that names the shards.
pub const INDEX: &str = "model.safetensors.index.json";

/// What the names of a headless network start with in files of one with a head.
const PREFIXES: [&str; 3] = ["model.", "transformer.", "bert."];

/// What the numbers of a layer norm are called, and were by the first BERT, whose files are still used.
const OLD: [(&str, &str); 2] =
    [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")];

/// The tensors of a model, mapped into memory.
///
/// Names are found with and without the prefix of the network inside: a file of `LlamaModel` has
/// `layers.0...`, one of `LlamaForCausalLM` has `model.layers.0...`, and either serves for both.
#[derive(Debug)]
pub struct Weights {
    dir: PathBuf,
    files: Vec<TensorFile>,
    by_name: HashMap<String, usize>,
}

impl Weights {
    /// Opens all files of a model, which must be left as they are until this is dropped.
    ///
    /// # Errors
    /// [`HubError::Io`] for a file that is not there; what [`TensorFile::open`] finds in one; and
    /// [`HubError::Setting`], [`HubError::Missing`] and [`HubError::Tensor`] when the index names what
    /// is not there, or a tensor stands in two files.
    pub fn open(dir: &Path) -> Result<Self, HubError> {
        let index = dir.join(INDEX);
        let single = dir.join(SINGLE);
        let (files, index) = match index.exists() && !single.exists() {
            true => (index::shards(&index)?, Some(index)),
            false => (vec![single], None),
        };
        refuse_pickles(dir, &files)?;
        let files: Vec<TensorFile> =
            files.iter().map(|path| TensorFile::open(path)).collect::<Result<_, _>>()?;
        let by_name = by_name(&files)?;
        let weights = Self { dir: dir.to_path_buf(), files, by_name };
        if let Some(index) = index {
            index::check(&index, &weights)?;
        }
        Ok(weights)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files, in the order of their names.
    #[must_use]
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// All tensors, file by file.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.files.iter().flat_map(TensorFile::tensors)
    }

    /// The tensor of this very name.
    #[must_use]
    pub fn exactly(&self, name: &str) -> Option<Tensor<'_>> {
        self.files.get(*self.by_name.get(name)?)?.get(name)
    }

    /// The tensor of this name; or else of the same without the prefix of a network with a head, or with
    /// it; or else, for a layer norm, of its old name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Tensor<'_>> {
        self.prefixed(name).or_else(|| {
            let old =
                OLD.iter().find_map(|(new, old)| Some(name.strip_suffix(new)?.to_owned() + old));
            self.prefixed(&old?)
        })
    }

    fn prefixed(&self, name: &str) -> Option<Tensor<'_>> {
        let stripped = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
        let longer = || PREFIXES.iter().find_map(|p| self.exactly(&format!("{p}{name}")));
        self.exactly(name).or_else(|| self.exactly(stripped?)).or_else(longer)
    }

    /// Whether the language head, which `config.json` says is the table of embeddings, is another one in
    /// these files: transformers takes both as they are then.
    #[must_use]
    pub fn unties(&self, architecture: &Architecture) -> bool {
        match (self.exactly("lm_head.weight"), self.get(&architecture.table_name())) {
            (Some(head), Some(table)) => {
                architecture.tied && (head.dtype() != table.dtype() || head.data() != table.data())
            }
            _ => false,
        }
    }

    /// The same, with this shape.
    ///
    /// # Errors
    /// [`HubError::Missing`]; [`HubError::Tensor`] for another shape.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, HubError> {
        let path = self.files.first().filter(|_| self.files.len() == 1).map(TensorFile::path);
        let path = path.unwrap_or(&self.dir).to_path_buf();
        let found = self.get(name).ok_or(HubError::Missing { path, tensor: name.to_owned() });
        found?.of_shape(shape)
    }

    /// The elements of a tensor of this shape: a norm, a bias, a table.
    ///
    /// # Errors
    /// As [`Weights::tensor`], and [`HubError::Tensor`] for elements that are not `F32`, `F16` or
    /// `BF16`.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Values<'_>, HubError> {
        self.tensor(name, shape)?.values()
    }

    /// The weight of a linear layer `(out, in)`: of a `Conv1D`, which is stored `[in, out]`, the
    /// transpose. A tied language head has none of its own.
    ///
    /// # Errors
    /// As [`Weights::values`].
    pub fn matrix(&self, module: &Module) -> Result<Values<'_>, HubError> {
        let (name, out, inputs) = (module.weight_name(), module.out, module.inputs);
        match module.transposed {
            true => Ok(self.values(&name, &[inputs, out])?.transposed(out)),
            false => self.values(&name, &[out, inputs]),
        }
    }

    /// The bias of a linear layer `(out)`; `None` for one without.
    ///
    /// # Errors
    /// As [`Weights::values`].
    pub fn bias(&self, module: &Module) -> Result<Option<Values<'_>>, HubError> {
        let read = || self.values(&module.bias_name(), &[module.out]);
        module.bias.then(read).transpose()
    }
}

/// Says what to do with a folder that has its weights in PyTorch's own format alone.
fn refuse_pickles(dir: &Path, files: &[PathBuf]) -> Result<(), HubError> {
    let pickle = dir.join("pytorch_model.bin");
    match pickle.exists() && !files.iter().any(|path| path.exists()) {
        true => Err(HubError::damaged(
            &pickle,
            "weights in a pickle alone",
            "model.safetensors: \
            load and save the model once with transformers",
        )),
        false => Ok(()),
    }
}

fn by_name(files: &[TensorFile]) -> Result<HashMap<String, usize>, HubError> {
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for (i, file) in files.iter().enumerate() {
        for tensor in file.tensors() {
            if let Some(other) = by_name.insert(tensor.name().to_owned(), i) {
                let other = files.get(other).map_or(Path::new(""), TensorFile::path);
                let found = format!("it in {} as well", other.display());
                return Err(tensor.wrong(found, "it in one file"));
            }
        }
    }
    Ok(by_name)
}
