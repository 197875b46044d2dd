//! Adapters in the files of Hugging Face PEFT 0.21.2: `adapter_config.json` and
//! `adapter_model.safetensors` in one folder.
//!
//! For each module, PEFT's key is `base_model.model.<module>.` and then `lora_A.weight` (A `[r, in]`),
//! `lora_B.weight` (B `[out, r]`), for DoRA `lora_magnitude_vector` (m `[out]`), and `base_layer.bias`
//! (b `[out]`) where biases are trained. Modules that are trained as a whole, and biases of others, have
//! their own names, `base_model.model.classifier.weight`.

mod adapter;
mod bias;
mod config;
mod init;
mod keys;
mod options;
mod pairs;
mod pattern;
mod select;
mod text;

pub use adapter::{Adapter, Layer};
pub use bias::Bias;
pub use config::{Config, Targets, Task};
pub use init::Init;
pub use keys::{PREFIX, Part, key};
pub use select::{Adapted, Selection};

use std::fs;
use std::path::{Path, PathBuf};

use crate::HubError;

/// The file with the tensors.
pub const MODEL: &str = "adapter_model.safetensors";
/// The file with the settings.
pub const CONFIG: &str = "adapter_config.json";
/// The name of the adapter that lies in the folder itself.
pub const DEFAULT: &str = "default";

/// The folder of the adapter of this name: `dir` itself for [`DEFAULT`], else one in it.
#[must_use]
pub fn folder(dir: &Path, name: &str) -> PathBuf {
    if name == DEFAULT { dir.to_path_buf() } else { dir.join(name) }
}

/// The names of all adapters in a folder: [`DEFAULT`] when one lies in it, and then the folders in it
/// that have one, in order.
///
/// # Errors
/// [`HubError::Io`] for a folder that cannot be read.
pub fn names(dir: &Path) -> Result<Vec<String>, HubError> {
    let mut inner = Vec::new();
    for entry in fs::read_dir(dir).map_err(HubError::io("read", dir))? {
        let entry = entry.map_err(HubError::io("read", dir))?;
        if entry.path().join(CONFIG).is_file() {
            inner.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    inner.sort();
    let own = dir.join(CONFIG).is_file().then(|| DEFAULT.to_owned());
    Ok(own.into_iter().chain(inner).collect())
}
