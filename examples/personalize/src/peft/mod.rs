//! Adapters in the files of Hugging Face PEFT: `adapter_model.safetensors` and
//! `adapter_config.json` in one folder.
//!
//! For each module, PEFT's key is `base_model.model.<module>.` and then `lora_A.weight` (A `[r, in]`),
//! `lora_B.weight` (B `[out, r]`), and for DoRA `lora_magnitude_vector` (m `[out]`).

mod config;
mod error;
mod tensors;

pub use config::{Config, Targets};
pub use error::PeftError;
pub use tensors::{Tensor, Tensors, base, decode, encode};

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use decora::param::Slot;
use decora_hub::files;

/// The file with the tensors.
pub const MODEL: &str = "adapter_model.safetensors";
/// The file with the settings.
pub const CONFIG: &str = "adapter_config.json";
/// What every key starts with.
pub const PREFIX: &str = "base_model.model.";

/// A LoRA or DoRA adapter whose tensors and settings fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    config: Config,
    tensors: Tensors,
    base: Option<u64>,
}

/// The adapter of one module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Module<'a> {
    /// A `(r, in)`.
    pub a: &'a Tensor,
    /// B `(out, r)`.
    pub b: &'a Tensor,
    /// m `(out)`, of a DoRA adapter.
    pub m: Option<&'a Tensor>,
}

impl Adapter {
    /// An adapter from settings and tensors. A magnitude whose key ends in `.weight`, as some
    /// programs write it, gets PEFT's own key.
    ///
    /// # Errors
    /// [`PeftError`] when they do not fit: tensors that are missing, left over, or of another
    /// shape than rank and module ask for.
    pub fn new(config: Config, tensors: Tensors) -> Result<Self, PeftError> {
        config.check()?;
        let tensors = tensors.into_iter().map(|(key, t)| (own_key(key), t)).collect();
        let adapter = Self { config, tensors, base: None };
        let modules = adapter.modules()?;
        for module in &modules {
            adapter.check_module(module)?;
        }
        if let Targets::Names(names) = &adapter.config.target_modules {
            let unmatched = |name: &&String| !modules.iter().any(|m| config::is_end_of(name, m));
            if let Some(name) = names.iter().find(unmatched) {
                return Err(PeftError::Missing { tensor: format!("tensors for module {name}") });
            }
        }
        Ok(adapter)
    }

    /// The same, of the base network with this fingerprint; `None`: of any that it fits.
    #[must_use]
    pub fn of_base(self, base: Option<u64>) -> Self {
        Self { base, ..self }
    }

    /// `Ok` when it was made on the base network with this fingerprint, or does not say on which.
    ///
    /// # Errors
    /// [`PeftError::Base`].
    pub fn check_base(&self, expected: u64) -> Result<(), PeftError> {
        match self.base {
            Some(found) if found != expected => Err(PeftError::Base { found, expected }),
            _ => Ok(()),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its tensors, by PEFT's keys.
    #[must_use]
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// The adapter of the module with this name.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<Module<'_>> {
        let of = |slot| self.tensors.get(&key(name, slot));
        Some(Module { a: of(Slot::LoraA)?, b: of(Slot::LoraB)?, m: of(Slot::Magnitude) })
    }

    /// `Ok` when it adapts exactly these modules, `(name, out, in)`.
    ///
    /// # Errors
    /// [`PeftError`] naming the first tensor that is missing, left over or of the wrong shape.
    pub fn fits(&self, network: &[(String, usize, usize)]) -> Result<(), PeftError> {
        for (name, out, inputs) in network {
            let missing = || PeftError::Missing { tensor: format!("tensors for module {name}") };
            let Module { a, b, .. } = self.module(name).ok_or_else(missing)?;
            let rank = self.config.rank(name);
            expect(&key(name, Slot::LoraA), a, &[rank, *inputs])?;
            expect(&key(name, Slot::LoraB), b, &[*out, rank])?;
        }
        let other = self.modules()?.into_iter().find(|m| !network.iter().any(|(n, ..)| n == m));
        match other {
            None => Ok(()),
            Some(m) => Err(PeftError::Unexpected {
                tensor: format!("tensors for module {m}"),
                expected: "only modules of the network".to_owned(),
            }),
        }
    }

    /// The names of all modules that tensors are for.
    fn modules(&self) -> Result<BTreeSet<String>, PeftError> {
        let slots = [Slot::LoraA, Slot::LoraB, Slot::Magnitude];
        let slots = if self.config.use_dora { &slots[..] } else { &slots[..2] };
        let module = |key: &String| {
            let name =
                slots.iter().find_map(|s| key.strip_suffix(s.peft_name())?.strip_suffix('.'));
            let name = name.and_then(|name| name.strip_prefix(PREFIX));
            let known = name.filter(|name| self.config.target_modules.covers(name));
            known.map(str::to_owned).ok_or_else(|| PeftError::Unexpected {
                tensor: key.clone(),
                expected: match self.config.use_dora {
                    true => "lora_A, lora_B and lora_magnitude_vector of target_modules".to_owned(),
                    false => "lora_A and lora_B of target_modules".to_owned(),
                },
            })
        };
        self.tensors.keys().map(module).collect()
    }

    fn check_module(&self, name: &str) -> Result<(), PeftError> {
        let of = |slot| {
            let tensor = key(name, slot);
            let missing = PeftError::Missing { tensor: tensor.clone() };
            self.tensors.get(&tensor).ok_or(missing)
        };
        let (a, b, rank) = (of(Slot::LoraA)?, of(Slot::LoraB)?, self.config.rank(name));
        if !matches!(a.shape[..], [r, _] if r == rank) {
            return Err(wrong(&key(name, Slot::LoraA), a, format!("[{rank}, in]")));
        }
        let &[out, r] = &b.shape[..] else {
            return Err(wrong(&key(name, Slot::LoraB), b, format!("[out, {rank}]")));
        };
        if r != rank {
            return Err(wrong(&key(name, Slot::LoraB), b, format!("[out, {rank}]")));
        }
        match self.config.use_dora {
            true => expect(&key(name, Slot::Magnitude), of(Slot::Magnitude)?, &[out]),
            false => Ok(()),
        }
    }
}

/// Writes an adapter into a folder, which is made when it is not there. Each file appears whole.
///
/// # Errors
/// [`PeftError::File`].
pub fn save(dir: &Path, adapter: &Adapter) -> Result<(), PeftError> {
    fs::create_dir_all(dir).map_err(file("write", dir))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        files::write(&path, bytes).map_err(file("write", &path))
    };
    write(MODEL, &encode(&adapter.tensors, adapter.base)?)?;
    write(CONFIG, adapter.config.to_json()?.as_bytes())
}

/// Reads the adapter in a folder.
///
/// # Errors
/// [`PeftError`], naming what was found and what was expected.
pub fn load(dir: &Path) -> Result<Adapter, PeftError> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read(&path).map_err(file("read", &path))
    };
    let config = Config::parse(&read(CONFIG)?)?;
    let bytes = read(MODEL)?;
    let adapter = Adapter::new(config, decode(&bytes)?)?;
    Ok(adapter.of_base(base(&bytes)?))
}

/// PEFT's key of a tensor.
#[must_use]
pub fn key(module: &str, slot: Slot) -> String {
    format!("{PREFIX}{module}.{}", slot.peft_name())
}

fn own_key(key: String) -> String {
    let magnitude = format!("{}.weight", Slot::Magnitude.peft_name());
    match key.ends_with(&magnitude) {
        true => key.trim_end_matches(".weight").to_owned(),
        false => key,
    }
}

fn expect(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<(), PeftError> {
    match tensor.shape == shape {
        true => Ok(()),
        false => Err(wrong(name, tensor, format!("{shape:?}"))),
    }
}

fn wrong(name: &str, tensor: &Tensor, expected: String) -> PeftError {
    PeftError::Shape { tensor: name.to_owned(), found: tensor.shape.clone(), expected }
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PeftError {
    let path = path.to_path_buf();
    move |source| PeftError::File { action, path, source }
}
