//! The numbers of a checkpoint, one parameter in memory at a time: a whole model's are three times its size.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use decora_hub::HubError;
use decora_hub::tensors::{Dtype, TensorFile};
use safetensors::tensor::{Dtype as Stored, Metadata, TensorInfo};

use super::error::CheckpointError;
use super::{TENSORS, damaged, file};

/// Bytes of a number.
const WIDTH: usize = 4;
/// Numbers that are made bytes at a time.
const PIECE: usize = 1 << 16;

/// A file of numbers that is being written.
#[derive(Debug)]
pub struct Writer {
    out: BufWriter<File>,
    path: PathBuf,
}

impl Writer {
    /// Begins the file of a checkpoint: what follows has these names, and so many numbers each, in this
    /// order.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn create(folder: &Path, sizes: &[(String, usize)]) -> Result<Self, CheckpointError> {
        let path = folder.join(TENSORS);
        let header = header(sizes).map_err(damaged(&path))?;
        let created = File::create(&path).map(BufWriter::new);
        let mut writer = Self { out: created.map_err(file("write", &path))?, path };
        writer.bytes(&(header.len() as u64).to_le_bytes())?;
        writer.bytes(&header)?;
        Ok(writer)
    }

    /// The next numbers.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn push(&mut self, numbers: &[f32]) -> Result<(), CheckpointError> {
        numbers.chunks(PIECE).try_for_each(|piece| {
            let bytes: Vec<u8> = piece.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.bytes(&bytes)
        })
    }

    /// Makes sure that all of it is on the disk.
    ///
    /// # Errors
    /// [`CheckpointError::File`].
    pub fn finish(self) -> Result<(), CheckpointError> {
        let file_of =
            |out: BufWriter<File>| out.into_inner().map_err(io::IntoInnerError::into_error);
        let synced = file_of(self.out).and_then(|file| file.sync_all());
        synced.map_err(file("write", &self.path))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.out.write_all(bytes).map_err(file("write", &self.path))
    }
}

/// The header of a file of tensors, filled up with spaces to a multiple of 8 bytes.
fn header(sizes: &[(String, usize)]) -> Result<Vec<u8>, String> {
    let mut end = 0;
    let infos = sizes.iter().map(|(name, count)| {
        let start = end;
        end += WIDTH * count;
        let (dtype, shape) = (Stored::F32, vec![*count]);
        (name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) })
    });
    let metadata = Metadata::new(None, infos.collect()).map_err(|e| e.to_string())?;
    let mut header = serde_json::to_vec(&metadata).map_err(|e| e.to_string())?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// The numbers of a checkpoint that was written, mapped into memory.
#[derive(Debug)]
pub struct Numbers {
    file: TensorFile,
}

impl Numbers {
    /// Those of the checkpoint in this folder.
    ///
    /// # Errors
    /// [`CheckpointError::File`], [`CheckpointError::Damaged`].
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let path = folder.join(TENSORS);
        let wrong = |e| match e {
            HubError::Io { action, path, source } => CheckpointError::File { action, path, source },
            e => {
                let (text, named) = (e.to_string(), format!("{}: ", path.display()));
                damaged(&path)(text.strip_prefix(&named).unwrap_or(&text).to_owned())
            }
        };
        Ok(Self { file: TensorFile::open(&path).map_err(wrong)? })
    }

    /// The numbers of this name, as many as there must be.
    ///
    /// # Errors
    /// [`CheckpointError::Parameter`]; [`CheckpointError::Damaged`] for numbers that are no `f32`.
    pub fn get(&self, name: &str, count: usize) -> Result<Vec<f32>, CheckpointError> {
        let tensor = self.file.get(name);
        if let Some(found) = tensor.as_ref().map(|t| t.dtype()).filter(|found| *found != Dtype::F32)
        {
            let reason = format!("{name}: found {}, expected F32", found.name());
            return Err(damaged(self.file.path())(reason));
        }
        let bytes = tensor.map(|tensor| tensor.data().as_chunks::<WIDTH>().0);
        let wrong = || CheckpointError::Parameter {
            path: self.file.path().to_owned(),
            name: name.to_owned(),
            found: bytes.map(<[_]>::len),
            expected: count,
        };
        let bytes = bytes.filter(|bytes| bytes.len() == count).ok_or_else(wrong)?;
        Ok(bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let all =
            [("b", vec![1.0, f32::MIN_POSITIVE]), ("a", vec![-0.5; PIECE + 1]), ("c", vec![])];
        let sizes: Vec<_> = all.iter().map(|(name, x)| ((*name).to_owned(), x.len())).collect();
        let mut writer = Writer::create(dir.path(), &sizes).unwrap();
        all.iter().try_for_each(|(_, numbers)| writer.push(numbers)).unwrap();
        writer.finish().unwrap();
        let read = Numbers::open(dir.path()).unwrap();
        for (name, numbers) in &all {
            assert_eq!(&read.get(name, numbers.len()).unwrap(), numbers);
        }
        let wrong = |name, count| read.get(name, count).unwrap_err().to_string();
        assert!(wrong("b", 3).contains("found 2 numbers, expected 3"), "{}", wrong("b", 3));
        assert!(wrong("d", 3).contains("d: not found"), "{}", wrong("d", 3));
    }

    #[test]
    fn the_file_is_one_that_the_library_reads() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(dir.path(), &[("a".to_owned(), 1)]).unwrap();
        writer.push(&[0.5]).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(dir.path().join(TENSORS)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.tensor("a").unwrap().data(), 0.5f32.to_le_bytes());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        #[cfg(target_os = "linux")]
        {
            let out = BufWriter::new(File::create("/dev/full").unwrap());
            let mut writer = Writer { out, path: "/dev/full".into() };
            let written = writer.push(&[0.0; 8]).and_then(|()| writer.finish());
            assert!(matches!(written, Err(CheckpointError::File { action: "write", .. })));
        }
    }
}
