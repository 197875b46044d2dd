//! Names of tensors in files, without room for them as a whole.

use core::cmp::Ordering;
use core::fmt;

use crate::param::Slot;
use crate::safetensors::{Dims, File, Tensor};

use super::PREFIX;

/// Which of the numbers of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// The values themselves.
    Value,
    /// Momentum, or AdamW's first moment.
    FirstMoment,
    /// AdamW's second moment.
    SecondMoment,
}

impl Part {
    /// All of them, in the order of their names.
    pub(super) const ALL: [Self; 3] = [Self::Value, Self::FirstMoment, Self::SecondMoment];

    /// The end of the tensor's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Value => "",
            Self::FirstMoment => ".exp_avg",
            Self::SecondMoment => ".exp_avg_sq",
        }
    }
}

/// Which tensor of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key {
    /// The number of the layer.
    pub layer: usize,
    /// Which of its parameters.
    pub slot: Slot,
    /// Which of that parameter's numbers.
    pub part: Part,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {}, {}{}", self.layer, self.slot.peft_name(), self.part.suffix())
    }
}

impl Key {
    /// Its name, in parts.
    pub(super) fn name<'n>(&self, modules: &[&'n str]) -> [&'n str; 6] {
        let module = modules.get(self.layer).copied().unwrap_or_default();
        [PREFIX, module, ".", self.slot.peft_name(), "", self.part.suffix()]
    }

    /// By the bytes of the names.
    #[inline(never)]
    pub(super) fn compare(&self, other: &Self, modules: &[&str]) -> Ordering {
        let (a, b) = (self.name(modules), other.name(modules));
        a.iter().flat_map(|part| part.bytes()).cmp(b.iter().flat_map(|part| part.bytes()))
    }

    /// Its tensor in a file. Some programs write magnitudes with `.weight` after PEFT's name.
    #[inline(never)]
    pub(super) fn find<'a>(&self, modules: &[&str], file: &File<'a>) -> Option<Tensor<'a>> {
        let mut name = self.name(modules);
        let own = file.tensor_of(&name);
        if own.is_some() || self.slot != Slot::Magnitude {
            return own;
        }
        name[4] = ".weight";
        file.tensor_of(&name)
    }

    /// The dimensions in a file of a parameter `(rows, cols)`.
    pub(super) fn dims(&self, (rows, cols): crate::error::Shape) -> Dims {
        let sizes = [rows, cols];
        Dims::new(sizes.get(..self.slot.dimensions()).unwrap_or_default()).unwrap_or_default()
    }
}
