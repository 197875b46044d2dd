//! A file in memory, without a copy.
#![allow(unsafe_code, reason = "mapping a file is the one thing here that safe code cannot do")]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// The bytes of a file, read when they are touched.
#[derive(Debug)]
pub(super) struct Map(Option<Mmap>);

impl Map {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the map is read-only and private to this type. Nothing here writes to a file that
        // it has mapped: new files get other names and are renamed. That other programs leave the file
        // alone is the caller's part, as the crate's documentation says; it is that of every program
        // that maps a model.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(Some(map)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
