//! One file of tensors, written piece by piece.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use decora::safetensors::Dtype;

use super::{Change, dtype};
use crate::HubError;
use crate::config::Stored;
use crate::tensors::{Array, Arrays, Layout, Tensor, TensorFile};

/// Elements in memory at a time, unless a row has more.
const PIECE: usize = 1 << 20;

/// A file, and what is different in the new one.
#[derive(Debug)]
pub(super) struct Shard<'a> {
    pub(super) file: &'a TensorFile,
    pub(super) more: Arrays,
    pub(super) stored: Option<Stored>,
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Names of tensors, and how many elements each has.
    pub(super) elements: Vec<(String, usize)>,
    pub(super) changed: usize,
    pub(super) bytes: usize,
}

impl Shard<'_> {
    /// Writes the file, through to the disk.
    pub(super) fn write<C: Change>(&self, path: &Path, change: &mut C) -> Result<Places, C::Error> {
        let more = self.more.iter().map(|(name, array)| self.added(name, array));
        let more = more.collect::<Result<Vec<_>, _>>()?;
        let own = self.file.tensors().map(|tensor| {
            (tensor.name().to_owned(), dtype(&tensor, self.stored), tensor.shape().to_vec())
        });
        let layout = Layout::new(own.chain(more), self.file.metadata().clone());
        let io = |e| HubError::io("write", path)(e);
        let mut out = BufWriter::new(File::create(path).map_err(io)?);
        out.write_all(&layout.header()).map_err(io)?;
        let mut source = Source::open(self.file.path())?;
        let mut places = Places { bytes: layout.data_len(), ..Places::default() };
        for name in layout.names() {
            let mut sink = |bytes: &[u8]| out.write_all(bytes).map_err(io);
            let (elements, changed) = match (self.file.get(name), self.more.get(name)) {
                (Some(tensor), _) => self.tensor(&tensor, &mut source, &mut sink, change)?,
                (None, Some(array)) => {
                    let array = Array { dtype: self.format(array), ..array.clone() };
                    sink(&array.to_bytes())?;
                    (array.values.len(), true)
                }
                (None, None) => (0, false),
            };
            places.changed += usize::from(changed);
            places.elements.push((name.to_owned(), elements));
        }
        let file = out.into_inner().map_err(|e| io(e.into_error()))?;
        file.sync_all().map_err(io)?;
        Ok(places)
    }

    fn added(&self, name: &str, array: &Array) -> Result<(String, Dtype, Vec<usize>), HubError> {
        if let Some(there) = self.file.get(name) {
            return Err(there.wrong("it in the model", "a new tensor"));
        }
        Ok((name.to_owned(), self.format(array), array.shape.clone()))
    }

    fn format(&self, array: &Array) -> Dtype {
        match self.stored {
            None => array.dtype,
            Some(Stored::F32) => Dtype::F32,
            Some(Stored::F16) => Dtype::F16,
            Some(Stored::Bf16) => Dtype::Bf16,
        }
    }

    /// Writes one tensor: how many elements it has, and whether it was changed.
    fn tensor<C: Change>(
        &self,
        tensor: &Tensor<'_>,
        source: &mut Source,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), HubError>,
        change: &mut C,
    ) -> Result<(usize, bool), C::Error> {
        let width = tensor.dtype().bytes().max(1);
        let elements = tensor.data().len() / width;
        let (changes, dtype) = (change.changes(tensor), dtype(tensor, self.stored));
        let copies = !changes && dtype == tensor.dtype();
        let columns = match tensor.shape() {
            [_, inner @ ..] if !inner.is_empty() && !copies => inner.iter().product(),
            _ => elements,
        };
        let columns = if copies { PIECE.min(columns) } else { columns };
        let piece = (PIECE / columns.max(1)).max(1) * columns;
        for start in (0..elements).step_by(piece.max(1)) {
            let end = elements.min(start + piece);
            let old = source.read(tensor.start() + start * width, (end - start) * width)?;
            if copies {
                sink(&old)?;
                continue;
            }
            let mut values = tensor.values_of(&old)?.to_f32();
            if changes {
                change.rows(tensor, start / columns.max(1), &mut values)?;
            }
            sink(&bytes(tensor, values, dtype, start)?)?;
        }
        Ok((elements, changes))
    }
}

/// A file that is read piece by piece: bytes that are read through its map would stay in memory as long as
/// nobody else asks for it.
#[derive(Debug)]
struct Source {
    file: File,
    path: PathBuf,
}

impl Source {
    fn open(path: &Path) -> Result<Self, HubError> {
        let file = File::open(path).map_err(HubError::io("read", path))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    fn read(&mut self, start: usize, length: usize) -> Result<Vec<u8>, HubError> {
        let mut bytes = vec![0; length];
        let there = self.file.seek(SeekFrom::Start(start as u64));
        let read = there.and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(HubError::io("read", &self.path))?;
        Ok(bytes)
    }
}

/// Elements as bytes, all of them finite in their format.
fn bytes(
    tensor: &Tensor<'_>,
    values: Vec<f32>,
    dtype: Dtype,
    start: usize,
) -> Result<Vec<u8>, HubError> {
    let most = match dtype {
        Dtype::F16 => half::f16::MAX.to_f32(),
        Dtype::Bf16 => half::bf16::MAX.to_f32(),
        _ => f32::MAX,
    };
    let array = Array { shape: vec![values.len()], values, dtype };
    let fits = |x: &f32| match dtype {
        Dtype::F16 => half::f16::from_f32(*x).is_finite(),
        Dtype::Bf16 => half::bf16::from_f32(*x).is_finite(),
        _ => x.is_finite(),
    };
    match array.values.iter().enumerate().find(|(_, x)| !fits(x)) {
        None => Ok(array.to_bytes()),
        Some((i, x)) => {
            let found = format!("{x} in element {}", start + i);
            let expected = format!("at most {most:e}, for {}: nothing was kept", dtype.name());
            Err(tensor.wrong(found, expected))
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    struct Nothing;

    impl Change for Nothing {
        type Error = HubError;

        fn changes(&mut self, _: &Tensor<'_>) -> bool {
            false
        }

        fn rows(&mut self, _: &Tensor<'_>, _: usize, _: &mut [f32]) -> Result<(), HubError> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        let model =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models/gpt2/model.safetensors");
        let file = TensorFile::open(Path::new(model)).expect("a model");
        let shard = Shard { file: &file, more: Arrays::new(), stored: None };
        let error = shard.write(Path::new("/dev/full"), &mut Nothing).expect_err("a full disk");
        assert!(error.is_disk_full());
        let text = "cannot write /dev/full: the disk is full, make space and try again";
        assert_eq!(error.to_string(), text);
    }
}
