//! One file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::header::{self, Entry, Header};
use super::map::Map;
use super::tensor::Tensor;
use crate::HubError;

/// A file of tensors, mapped into memory; its header is checked, its values are not.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    map: Map,
    header: Header,
    by_name: HashMap<String, usize>,
}

impl TensorFile {
    /// Opens a file. It must be left as it is until this is dropped.
    ///
    /// # Errors
    /// [`HubError::Io`]; [`HubError::Damaged`], [`HubError::Json`] and [`HubError::Tensor`] for what is
    /// wrong in it. No bytes make this panic.
    pub fn open(path: &Path) -> Result<Self, HubError> {
        let map = Map::open(path).map_err(HubError::io("read", path))?;
        let header = header::parse(path, map.bytes())?;
        let names = header.entries.iter().enumerate();
        let by_name = names.map(|(i, entry)| (entry.name.clone(), i)).collect();
        Ok(Self { path: path.to_path_buf(), map, header, by_name })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The texts beside the tensors, by key.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.header.metadata
    }

    /// The tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Tensor<'_>> {
        let entry = self.header.entries.get(*self.by_name.get(name)?)?;
        Some(self.view(entry))
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// [`HubError::Missing`].
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, HubError> {
        let missing = || HubError::Missing { path: self.path.clone(), tensor: name.to_owned() };
        self.get(name).ok_or_else(missing)
    }

    /// All tensors, in the order of their data.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.header.entries.iter().map(|entry| self.view(entry))
    }

    fn view<'a>(&'a self, entry: &'a Entry) -> Tensor<'a> {
        let (start, end) = (self.header.start + entry.range.0, self.header.start + entry.range.1);
        Tensor {
            path: &self.path,
            name: &entry.name,
            dtype: entry.dtype,
            shape: &entry.shape,
            data: self.map.bytes().get(start..end).unwrap_or_default(),
            start,
        }
    }
}
