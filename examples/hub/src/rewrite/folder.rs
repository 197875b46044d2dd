//! A folder that appears whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::discard;
use crate::HubError;
use crate::weights::INDEX;

/// A folder under another name beside its place, until [`Folder::keep`]; dropped before, it is gone.
#[derive(Debug)]
pub(super) struct Folder {
    temporary: PathBuf,
    to: PathBuf,
    kept: bool,
}

impl Folder {
    pub(super) fn beside(to: &Path) -> Result<Self, HubError> {
        let there = fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
        if there || to.is_file() {
            let expected = "a new folder: choose another name, or remove it";
            return Err(HubError::damaged(to, "something there", expected));
        }
        let mut name = OsString::from(".");
        name.push(to.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = to.with_file_name(name);
        discard(&temporary);
        fs::create_dir_all(&temporary).map_err(HubError::io("make", &temporary))?;
        Ok(Self { temporary, to: to.to_path_buf(), kept: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the folder its name.
    pub(super) fn keep(mut self) -> Result<(), HubError> {
        sync(&self.temporary)?;
        fs::rename(&self.temporary, &self.to).map_err(HubError::io("write", &self.to))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            discard(&self.temporary);
        }
    }
}

/// Copies the files of a model that are no weights. Folders in it and hidden files stay where they are.
pub(super) fn copy_rest(from: &Path, to: &Path) -> Result<(), HubError> {
    for entry in fs::read_dir(from).map_err(HubError::io("read", from))? {
        let entry = entry.map_err(HubError::io("read", from))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !path.is_file() || is_weight(&name) || name.starts_with('.') {
            continue;
        }
        let copy = to.join(&name);
        if copy.exists() {
            continue;
        }
        fs::copy(&path, &copy).map_err(HubError::io("write", &copy))?;
        sync(&copy)?;
    }
    Ok(())
}

/// Whether a file has weights, of this model or of an adapter of it, in whatever format.
fn is_weight(name: &str) -> bool {
    let ends = ["safetensors", "bin", "pt", "pth", "ckpt", "gguf", "h5", "msgpack", "onnx", "ot"];
    let end = name.rsplit('.').next().unwrap_or_default();
    ends.contains(&end)
        || name == INDEX
        || name == "adapter_config.json"
        || name.ends_with(".bin.index.json")
}

fn sync(path: &Path) -> Result<(), HubError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(HubError::io("write", path))
}
