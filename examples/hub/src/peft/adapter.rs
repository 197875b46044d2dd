//! The tensors of an adapter, read and written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::keys::{self, Key, PREFIX, Part, key};
use super::select::Selection;
use super::{CONFIG, MODEL};
use crate::config::Architecture;
use crate::modules::Module;
use crate::tensors::{Array, Arrays, Tensor, TensorFile, write};
use crate::{HubError, files};

/// The adapter of one module.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// A `[r, in]`.
    pub a: Array,
    /// B `[out, r]`.
    pub b: Array,
    /// m `[out]`, of a DoRA adapter.
    pub m: Option<Array>,
    /// b `[out]`, in place of the module's own, where it is trained.
    pub bias: Option<Array>,
}

/// A LoRA or DoRA adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Its settings.
    pub config: Config,
    /// The adapters of modules, by path.
    pub layers: BTreeMap<String, Layer>,
    /// The tensors of modules that are trained as a whole, and trained biases of modules that are not
    /// adapted, by their names in the model: `classifier.weight`.
    pub saved: Arrays,
    /// The file of its tensors: for errors.
    pub path: PathBuf,
}

/// The parts of a layer while a file is read.
#[derive(Debug, Default)]
struct Parts {
    a: Option<Array>,
    b: Option<Array>,
    m: Option<Array>,
    bias: Option<Array>,
}

impl Adapter {
    /// Reads the adapter in a folder. Whether it is one of a certain network is for [`Adapter::fit`] to
    /// say.
    ///
    /// # Errors
    /// What [`Config::read`] and [`TensorFile::open`] find; [`HubError::Missing`] for a part that is not
    /// there, be it the magnitude of a DoRA adapter; [`HubError::Unexpected`] for a name that is not
    /// known; [`HubError::Tensor`] for a wrong shape, or elements that are not finite.
    pub fn read(dir: &Path) -> Result<Self, HubError> {
        let config = Config::read(dir)?;
        let path = dir.join(MODEL);
        let old = dir.join("adapter_model.bin");
        if old.exists() && !path.exists() {
            let expected = format!("{MODEL}: load and save the adapter once with PEFT");
            return Err(HubError::damaged(&old, "an adapter in a pickle", expected));
        }
        let (parts, saved) = collect(&TensorFile::open(&path)?)?;
        let layers = parts.into_iter().map(|(module, parts)| {
            let layer = parts.layer(&path, &module, &config)?;
            Ok((module, layer))
        });
        let layers = layers.collect::<Result<_, HubError>>()?;
        Ok(Self { config, layers, saved, path })
    }

    /// What this trains of a network, when it fits: every module that the settings select has an adapter
    /// of the right shapes, and there is nothing else.
    ///
    /// # Errors
    /// What [`Config::select`] finds; [`HubError::Missing`], [`HubError::Unexpected`] and
    /// [`HubError::Tensor`].
    pub fn fit(&self, architecture: &Architecture) -> Result<Selection, HubError> {
        let selection = self.config.select(architecture)?;
        for adapted in &selection.adapted {
            self.fits_module(&adapted.module, adapted.spec.rank())?;
        }
        let expected =
            |what: &str| format!("tensors of the modules that {what} of {CONFIG} selects");
        let taken = |path: &String| selection.adapted.iter().any(|a| a.module.path == *path);
        if let Some(path) = self.layers.keys().find(|path| !taken(path)) {
            return Err(self.unexpected(key(path, Part::A), expected("target_modules")));
        }
        let mut names = Vec::new();
        for module in &selection.saved {
            names.extend(self.fits_saved(module)?);
        }
        for module in &selection.biases {
            names.push(self.fits_whole(module.bias_name(), &[module.out])?);
        }
        match self.saved.keys().find(|name| !names.contains(name)) {
            Some(name) => {
                let keys = "modules_to_save, or bias,";
                Err(self.unexpected(format!("{PREFIX}{name}"), expected(keys)))
            }
            None => Ok(selection),
        }
    }

    /// Writes the adapter into a folder, which is made when it is not there. Each file appears whole.
    ///
    /// # Errors
    /// [`HubError::Tensor`] for what cannot be written; [`HubError::Io`].
    pub fn write(&self, dir: &Path) -> Result<(), HubError> {
        fs::create_dir_all(dir).map_err(HubError::io("make", dir))?;
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        write(&dir.join(MODEL), &self.tensors(), metadata)?;
        let path = dir.join(CONFIG);
        let text = self.config.to_json()?;
        files::write(&path, text.as_bytes()).map_err(HubError::io("write", &path))
    }

    /// All tensors, by PEFT's names.
    #[must_use]
    pub fn tensors(&self) -> Arrays {
        let saved = self.saved.iter().map(|(name, x)| (format!("{PREFIX}{name}"), x.clone()));
        let layers = self.layers.iter().flat_map(|(path, layer)| {
            let parts = [
                (Part::A, Some(&layer.a)),
                (Part::B, Some(&layer.b)),
                (Part::Magnitude, layer.m.as_ref()),
                (Part::Bias, layer.bias.as_ref()),
            ];
            parts.into_iter().filter_map(|(part, x)| Some((key(path, part), x?.clone())))
        });
        layers.chain(saved).collect()
    }

    fn fits_module(&self, module: &Module, rank: usize) -> Result<(), HubError> {
        let name = |part| key(&module.path, part);
        let Some(layer) = self.layers.get(&module.path) else {
            let expected = "it in an adapter of this model";
            return Err(HubError::tensor(&self.path, name(Part::A), "no such tensor", expected));
        };
        self.has_shape(name(Part::A), &layer.a, &[rank, module.inputs])?;
        self.has_shape(name(Part::B), &layer.b, &[module.out, rank])?;
        if let Some(m) = &layer.m {
            self.has_shape(name(Part::Magnitude), m, &[module.out])?;
        }
        match (&layer.bias, module.bias && self.config.bias.of_adapted()) {
            (None, false) => Ok(()),
            (None, true) => Err(self.missing(name(Part::Bias))),
            (Some(b), true) => self.has_shape(name(Part::Bias), b, &[module.out]),
            (Some(_), false) => {
                let expected = "none: this layer of the model has no bias";
                Err(self.unexpected(name(Part::Bias), expected.to_owned()))
            }
        }
    }

    /// The names of the tensors of a module that is trained as a whole.
    fn fits_saved(&self, module: &Module) -> Result<Vec<String>, HubError> {
        let mut expected = vec![(module.weight_name(), vec![module.out, module.inputs])];
        if module.transposed {
            expected = vec![(module.weight_name(), vec![module.inputs, module.out])];
        }
        if module.bias {
            expected.push((module.bias_name(), vec![module.out]));
        }
        expected.into_iter().map(|(name, shape)| self.fits_whole(name, &shape)).collect()
    }

    /// The name again, when there is a tensor of this name and shape.
    fn fits_whole(&self, name: String, shape: &[usize]) -> Result<String, HubError> {
        let full = format!("{PREFIX}{name}");
        let array = self.saved.get(&name).ok_or_else(|| self.missing(full.clone()))?;
        self.has_shape(full, array, shape)?;
        Ok(name)
    }

    fn has_shape(&self, name: String, array: &Array, shape: &[usize]) -> Result<(), HubError> {
        match array.shape == shape {
            true => Ok(()),
            false => {
                let found = format!("shape {:?}", array.shape);
                let expected = format!("{shape:?}: an adapter of this model");
                Err(HubError::tensor(&self.path, name, found, expected))
            }
        }
    }

    fn missing(&self, tensor: String) -> HubError {
        HubError::Missing { path: self.path.clone(), tensor }
    }

    fn unexpected(&self, tensor: String, expected: String) -> HubError {
        HubError::Unexpected { path: self.path.clone(), tensor, expected }
    }
}

/// The tensors of a file: parts of layers by module, and those of modules that are trained as a whole.
fn collect(file: &TensorFile) -> Result<(BTreeMap<String, Parts>, Arrays), HubError> {
    let (mut parts, mut saved) = (BTreeMap::<String, Parts>::new(), Arrays::new());
    for tensor in file.tensors() {
        match keys::parse(tensor.name()) {
            Key::Part(module, part) => {
                parts.entry(module.to_owned()).or_default().put(part, &tensor)?;
            }
            Key::Saved(name) => {
                saved.insert(name.to_owned(), Array::read(&tensor)?);
            }
            Key::Unknown(expected) => {
                let (path, tensor) = (file.path().to_path_buf(), tensor.name().to_owned());
                return Err(HubError::Unexpected { path, tensor, expected: expected.to_owned() });
            }
        }
    }
    Ok((parts, saved))
}

impl Parts {
    fn put(&mut self, part: Part, tensor: &Tensor<'_>) -> Result<(), HubError> {
        let place = match part {
            Part::A => &mut self.a,
            Part::B => &mut self.b,
            Part::Magnitude => &mut self.m,
            Part::Bias => &mut self.bias,
        };
        match place.replace(Array::read(tensor)?) {
            None => Ok(()),
            Some(_) => Err(tensor.wrong("it under two names", "one")),
        }
    }

    /// The layer, when its parts are there and fit each other.
    fn layer(self, path: &Path, module: &str, config: &Config) -> Result<Layer, HubError> {
        let missing =
            |part| HubError::Missing { path: path.to_path_buf(), tensor: key(module, part) };
        let a = self.a.ok_or_else(|| missing(Part::A))?;
        let b = self.b.ok_or_else(|| missing(Part::B))?;
        let wrong = |part, array: &Array, expected: String| {
            HubError::tensor(path, key(module, part), format!("shape {:?}", array.shape), expected)
        };
        let &[r, _] = &a.shape[..] else { return Err(wrong(Part::A, &a, "[r, in]".to_owned())) };
        let out = match b.shape[..] {
            [out, columns] if columns == r => out,
            _ => return Err(wrong(Part::B, &b, format!("[out, {r}]"))),
        };
        let unexpected = |part, expected: &str| {
            let (tensor, expected) = (key(module, part), expected.to_owned());
            Err(HubError::Unexpected { path: path.to_path_buf(), tensor, expected })
        };
        if self.m.is_none() && config.use_dora {
            return Err(missing(Part::Magnitude));
        }
        if self.m.is_some() && !config.use_dora {
            let expected = "none, for use_dora is false in adapter_config.json";
            return unexpected(Part::Magnitude, expected);
        }
        if self.bias.is_some() && !config.bias.of_adapted() {
            return unexpected(Part::Bias, "none, for bias is none in adapter_config.json");
        }
        let m = match self.m {
            Some(m) if m.shape != [out] && m.shape != [out, 1] => {
                return Err(wrong(Part::Magnitude, &m, format!("[{out}], one for each output")));
            }
            m => m.map(|m| Array { shape: vec![out], ..m }),
        };
        Ok(Layer { a, b, m, bias: self.bias })
    }
}
