//! Adapters in the files of other programs, read as if PEFT had written them.
//!
//! | program | files | names |
//! |---|---|---|
//! | PEFT | `adapter_model.safetensors`, `adapter_config.json` | `base_model.model.<module>.lora_A.weight` |
//! | `NVlabs` DoRA | the same | magnitude `weight_m_wdecomp.weight [out, 1]` |
//! | mlx-lm | `adapters.safetensors`, `adapter_config.json` | `<module>.lora_a [in, r]`, `.lora_b [r, out]`, `.m [out]` |
//! | kohya, `LyCORIS` | one file | `lora_te_<module with _>.lora_down.weight`, `.lora_up.weight`, `.alpha`, `.dora_scale` |
//!
//! `NVlabs` writes pickles; they must be saved as safetensors once. A magnitude must be one for each output,
//! as in DoRA; `LyCORIS` can write one for each input as well, which is another method, and refused.

mod assemble;
mod kohya;
mod mlx;

use std::path::{Path, PathBuf};

use crate::config::Architecture;
use crate::json::Object;
use crate::tensors::TensorFile;
use crate::{Adapter, HubError, peft};

/// Who wrote an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Hugging Face PEFT.
    Peft,
    /// The authors of DoRA.
    Nvlabs,
    /// mlx-lm.
    Mlx,
    /// kohya's scripts, or `LyCORIS`.
    Kohya,
}

/// The file of tensors of mlx-lm.
const MLX: &str = "adapters.safetensors";

/// Who wrote the adapter in a folder, or in a file of its own.
///
/// # Errors
/// [`HubError::Io`]; [`HubError::Damaged`] for a folder without an adapter, or with several files that
/// could be one.
pub fn origin(path: &Path) -> Result<Origin, HubError> {
    Ok(find(path)?.0)
}

/// Reads the adapter in a folder, or in a file of its own, whoever wrote it. It fits this network.
///
/// # Errors
/// What [`Adapter::read`] and [`Adapter::fit`] find, and the same for the other files.
pub fn read(path: &Path, architecture: &Architecture) -> Result<Adapter, HubError> {
    let (origin, file) = find(path)?;
    let adapter = match origin {
        Origin::Peft | Origin::Nvlabs => Adapter::read(file.parent().unwrap_or(Path::new(".")))?,
        Origin::Mlx => mlx::read(&file, architecture)?,
        Origin::Kohya => kohya::read(&file, architecture)?,
    };
    adapter.fit(architecture)?;
    Ok(adapter)
}

/// Who wrote the adapter in a folder, or in a file of its own, and the file of its tensors.
///
/// # Errors
/// As [`origin`].
pub fn find(path: &Path) -> Result<(Origin, PathBuf), HubError> {
    let file = if path.is_dir() { file_in(path)? } else { path.to_path_buf() };
    if file.file_name().is_some_and(|name| name == peft::MODEL) {
        let config = Object::read(&file.with_file_name(peft::CONFIG))?;
        let nvlabs = config.text("peft_type")? == Some("DORA");
        return Ok((if nvlabs { Origin::Nvlabs } else { Origin::Peft }, file));
    }
    let tensors = TensorFile::open(&file)?;
    let any = |part: &str| tensors.tensors().any(|tensor| tensor.name().contains(part));
    if any(".lora_down.") || any(".dora_scale") {
        return Ok((Origin::Kohya, file));
    }
    if any(".lora_a") {
        return Ok((Origin::Mlx, file));
    }
    let expected = "lora_A, lora_a or lora_down: an adapter of PEFT, mlx-lm or kohya";
    Err(HubError::damaged(&file, "no tensors of LoRA", expected))
}

/// The file of tensors in a folder.
fn file_in(dir: &Path) -> Result<PathBuf, HubError> {
    let pickle = dir.join("adapter_model.bin");
    let known = [peft::MODEL, MLX].map(|name| dir.join(name));
    if let Some(file) = known.iter().find(|file| file.exists()) {
        return Ok(file.clone());
    }
    if pickle.exists() {
        let expected = format!("{}: save it once as safetensors", peft::MODEL);
        return Err(HubError::damaged(&pickle, "an adapter in a pickle", expected));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(HubError::io("read", dir))? {
        let path = entry.map_err(HubError::io("read", dir))?.path();
        if path.extension().is_some_and(|end| end == "safetensors") {
            files.push(path);
        }
    }
    match &files[..] {
        [file] => Ok(file.clone()),
        _ => {
            let found = format!("{} files of tensors", files.len());
            let expected = format!("{}, {MLX}, or one other file of an adapter", peft::MODEL);
            Err(HubError::damaged(dir, found, expected))
        }
    }
}
