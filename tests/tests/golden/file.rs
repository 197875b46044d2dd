//! Golden files: tensors by name.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

pub(crate) struct Golden(Vec<u8>);

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

impl Golden {
    pub(crate) fn open(name: &str) -> Self {
        Self(std::fs::read(path(name)).unwrap())
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.tensors().names().iter().map(|s| s.to_string()).collect();
        names.sort();
        names
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).unwrap().shape().to_vec()
    }

    /// The elements of a tensor, whatever its type, or `None` when the file has none of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Vec<f64>> {
        let tensors = self.tensors();
        let t = tensors.tensor(name).ok()?;
        let eight = |b: &[u8]| <[u8; 8]>::try_from(b).unwrap();
        let four = |b: &[u8]| <[u8; 4]>::try_from(b).unwrap();
        Some(match t.dtype() {
            Dtype::F64 => t.data().chunks(8).map(|b| f64::from_le_bytes(eight(b))).collect(),
            Dtype::F32 => {
                t.data().chunks(4).map(|b| f64::from(f32::from_le_bytes(four(b)))).collect()
            }
            Dtype::I64 => t.data().chunks(8).map(|b| i64::from_le_bytes(eight(b)) as f64).collect(),
            other => panic!("{name}: no golden file has {other:?}"),
        })
    }

    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> Vec<f64> {
        self.find(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// A whole number, exactly: `f64` would round a large seed.
    pub(crate) fn whole(&self, name: &str) -> u64 {
        let tensors = self.tensors();
        let data = tensors.tensor(name).unwrap().data().to_vec();
        u64::from_le_bytes(data.try_into().unwrap())
    }
}
