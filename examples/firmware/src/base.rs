//! The base network, read in place from a safetensors file in flash.

use core::fmt;

use decora::checkpoint::fingerprint;
use decora::error::{Error, ShapeError, same};
use decora::frozen::{Format, Frozen};
use decora::linear::Linear;
use decora::safetensors::{File, FileError};

use crate::learner::{Device, Fault};
use crate::setup::{LAYERS, MODULES, SIDES};

/// W and b of a layer, where the file has them.
type Layer<'f> = (Frozen<'f>, &'f [f32]);

/// The frozen network.
#[derive(Clone, Copy, Debug)]
pub struct Base<'f> {
    layers: [Layer<'f>; LAYERS],
}

/// Why a file is no base network.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BaseError {
    /// A bias that is not stored as `f32`, at a place where `f32` may lie.
    Bias {
        /// Of which layer.
        layer: usize,
    },
    /// No safetensors file, or a tensor that cannot be read in place.
    File(FileError),
    /// There is no such tensor.
    Missing {
        /// Of which layer.
        layer: usize,
        /// `weight` or `bias`.
        what: &'static str,
    },
    /// A tensor of another shape.
    Shape(ShapeError),
}

impl fmt::Display for BaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bias { layer } => {
                write!(f, "base network: the bias of layer {layer} is no aligned f32")
            }
            Self::File(e) => write!(f, "base network: {e}"),
            Self::Missing { layer, what } => {
                write!(f, "base network: found no {what} of layer {layer}, expected one")
            }
            Self::Shape(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for BaseError {}

impl From<FileError> for BaseError {
    fn from(e: FileError) -> Self {
        Self::File(e)
    }
}

impl From<ShapeError> for BaseError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl<'f> Base<'f> {
    /// The network in the bytes of a file.
    ///
    /// # Errors
    /// [`BaseError`].
    pub fn parse(bytes: &'f [u8]) -> Result<Self, BaseError> {
        let file = File::parse(bytes)?;
        Ok(Self { layers: [layer(&file, 0)?, layer(&file, 1)?, layer(&file, 2)?] })
    }

    /// What tells this network from others: a hash of all its numbers.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.layers.iter().map(|&(w, b)| (w, Some(b))))
    }

    /// A layer on the device. Its weight stays in flash; its bias is copied.
    ///
    /// # Errors
    /// [`Error::Capacity`] when there is no such layer; out of memory; a bias that is not finite.
    pub fn linear<'m>(
        &self,
        be: &mut Device<'m>,
        layer: usize,
    ) -> Result<Linear<'f, Device<'m>>, Fault> {
        let none = Error::capacity("layers", layer + 1, LAYERS);
        let &(weight, bias) = self.layers.get(layer).ok_or(none)?;
        Linear::new(be, weight, Some(bias))
    }

    /// The bias of a layer; empty where there is no such layer.
    #[must_use]
    pub fn bias(&self, layer: usize) -> &'f [f32] {
        self.layers.get(layer).map_or(&[], |layer| layer.1)
    }
}

fn layer<'f>(file: &File<'f>, layer: usize) -> Result<Layer<'f>, BaseError> {
    let tensor = |what| {
        let missing = BaseError::Missing { layer, what };
        let module = MODULES.get(layer).copied().unwrap_or_default();
        file.tensor_of(&[module, ".", what]).ok_or(missing)
    };
    let weight = tensor("weight")?.frozen()?;
    let (inputs, out) = match SIDES.get(layer..) {
        Some(&[inputs, out, ..]) => (inputs, out),
        _ => (0, 0),
    };
    same("base network: weight", weight.shape(), (out, inputs))?;
    let Format::F32(bias) = tensor("bias")?.in_place()? else {
        return Err(BaseError::Bias { layer });
    };
    same("base network: bias", (bias.len(), 1), (out, 1))?;
    Ok((weight, bias))
}
