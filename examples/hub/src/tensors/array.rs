//! Tensors in memory: those of an adapter, which are small.

use std::collections::BTreeMap;
use std::path::Path;

use decora::safetensors::Dtype;
use decora::{bf16, f16};

use super::{Layout, Tensor};
use crate::{HubError, files};

/// A tensor in memory: `f32` to compute with, and the format of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its elements, row after row.
    pub values: Vec<f32>,
    /// What its elements are in a file: `F32`, `F16` or `BF16`.
    pub dtype: Dtype,
}

impl Array {
    /// A tensor of `f32`.
    #[must_use]
    pub const fn new(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, values, dtype: Dtype::F32 }
    }

    /// The tensor in a file, all of its elements finite.
    ///
    /// # Errors
    /// As [`Tensor::finite`].
    pub fn read(tensor: &Tensor<'_>) -> Result<Self, HubError> {
        let values = tensor.finite()?;
        Ok(Self { shape: tensor.shape().to_vec(), values, dtype: tensor.dtype() })
    }

    /// The transpose of a matrix; anything else as it is.
    #[must_use]
    pub fn transposed(self) -> Self {
        let &[rows, cols] = &self.shape[..] else { return self };
        let values = super::values::transposed(&self.values, cols);
        Self { shape: vec![cols, rows], values, ..self }
    }

    /// The elements as bytes of a file; of other formats than the three, as `F32`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let values = self.values.iter().copied();
        match self.dtype {
            Dtype::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
            Dtype::Bf16 => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
            _ => values.flat_map(f32::to_le_bytes).collect(),
        }
    }
}

/// Tensors by name.
pub type Arrays = BTreeMap<String, Array>;

/// Writes a file of tensors, with these texts beside them. It appears whole or not at all.
///
/// # Errors
/// [`HubError::Tensor`] for one whose elements do not fill its shape, or are not finite;
/// [`HubError::Io`].
pub fn write(
    path: &Path,
    tensors: &Arrays,
    metadata: BTreeMap<String, String>,
) -> Result<(), HubError> {
    tensors.iter().try_for_each(|(name, array)| writable(path, name, array))?;
    let rows = tensors.iter().map(|(name, a)| (name.clone(), a.dtype, a.shape.clone()));
    let layout = Layout::new(rows, metadata);
    let mut bytes = layout.header();
    for array in layout.names().filter_map(|name| tensors.get(name)) {
        bytes.extend_from_slice(&array.to_bytes());
    }
    files::write(path, &bytes).map_err(HubError::io("write", path))
}

fn writable(path: &Path, name: &str, array: &Array) -> Result<(), HubError> {
    let elements = array.shape.iter().product::<usize>();
    if elements != array.values.len() {
        let found = format!("{} elements", array.values.len());
        return Err(HubError::tensor(path, name, found, format!("{elements}, by its shape")));
    }
    match array.values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let found = format!("element {i} infinite or not a number");
            Err(HubError::tensor(path, name, found, "finite numbers: nothing was written"))
        }
    }
}
