//! What can go wrong on a GPU, each with its cause.

use core::fmt;

use ash::vk;
use decora::error::{DeviceError, ErrorKind, ShapeError};

/// The errors of the Vulkan backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VulkanError {
    /// A call that failed in a way no other variant names.
    Api {
        /// The Vulkan function.
        call: &'static str,
        /// What it answered.
        result: vk::Result,
    },
    /// A frozen weight in a storage format this version does not read.
    Format,
    /// An activation this version has no kernel for.
    Function,
    /// The driver ended the work, or the device is gone. All that was on it is lost.
    Lost {
        /// The Vulkan function that said so first.
        call: &'static str,
    },
    /// No device is there, or none with the name or number that was asked for.
    NoDevice {
        /// What was asked for, if anything was.
        wanted: Option<String>,
        /// The devices that are there.
        found: Vec<String>,
    },
    /// There is no Vulkan on this machine, or no driver for it.
    NoDriver {
        /// What the loader said.
        reason: String,
    },
    /// The validation layer was asked for, and is not installed.
    NoValidation,
    /// The memory of the device, or the host memory it shares, is used up.
    OutOfMemory {
        /// How many bytes were asked for; 0 where the driver needed some for itself.
        asked: u64,
        /// What the driver said.
        reason: String,
    },
    /// Operands do not fit each other.
    Shape(ShapeError),
    /// One buffer larger than the device can bind.
    TooLarge {
        /// How many bytes it would have.
        asked: u64,
        /// How many the device can bind.
        limit: u64,
    },
    /// Rows so long, or so many of them, that the driver would end the loops of a kernel early.
    TooLong {
        /// The kernel.
        kernel: &'static str,
        /// How many steps its loops would take.
        steps: usize,
        /// How many the driver allows.
        limit: usize,
    },
    /// The device lacks something that every operation here needs.
    Unsupported {
        /// The device.
        device: String,
        /// What it lacks.
        what: &'static str,
    },
}

impl VulkanError {
    /// What a Vulkan function's answer means.
    pub(crate) fn of(call: &'static str, result: vk::Result) -> Self {
        match result {
            vk::Result::ERROR_DEVICE_LOST => Self::Lost { call },
            vk::Result::ERROR_OUT_OF_DEVICE_MEMORY | vk::Result::ERROR_OUT_OF_HOST_MEMORY => {
                Self::OutOfMemory { asked: 0, reason: format!("{call}: {result}") }
            }
            result => Self::Api { call, result },
        }
    }
}

impl fmt::Display for VulkanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api { call, result } => write!(f, "{call} failed: {result}"),
            Self::Format => f.write_str("frozen weight in a format that this version cannot read"),
            Self::Function => f.write_str("an activation that this version has no kernel for"),
            Self::Lost { call } => write!(
                f,
                "the device was lost (found by {call}): make a new one and load the last checkpoint"
            ),
            Self::NoDevice { wanted: None, .. } => {
                f.write_str("no Vulkan device: install a driver for your GPU, or lavapipe")
            }
            Self::NoDevice { wanted: Some(wanted), found } => {
                let found = found.join(", ");
                write!(f, "no Vulkan device {wanted:?}: found {found} (set DECORA_DEVICE)")
            }
            Self::NoDriver { reason } => write!(
                f,
                "Vulkan is not installed ({reason}): install a Vulkan loader and a driver"
            ),
            Self::NoValidation => {
                f.write_str("validation was asked for: install the Khronos validation layer")
            }
            Self::OutOfMemory { asked: 0, reason } => write!(f, "out of memory: {reason}"),
            Self::OutOfMemory { asked, reason } => {
                write!(f, "out of memory: {asked} bytes asked for: {reason}")
            }
            Self::Shape(e) => e.fmt(f),
            Self::TooLarge { asked, limit } => write!(
                f,
                "a buffer of {asked} bytes: this device takes up to {limit} in one; use fewer rows"
            ),
            Self::TooLong { kernel, steps, limit } => write!(
                f,
                "{kernel} would take {steps} steps, and this driver ends loops after {limit}: use \
                 shorter rows or fewer, or a GPU"
            ),
            Self::Unsupported { device, what } => write!(f, "{device} lacks {what}"),
        }
    }
}

impl core::error::Error for VulkanError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Api { result, .. } => Some(result),
            Self::Shape(e) => Some(e),
            _ => None,
        }
    }
}

impl From<ShapeError> for VulkanError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl DeviceError for VulkanError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Lost { .. } => ErrorKind::Lost,
            Self::OutOfMemory { .. } | Self::TooLarge { .. } => ErrorKind::OutOfMemory,
            Self::Shape(_) => ErrorKind::Shape,
            _ => ErrorKind::Other,
        }
    }
}

/// Names the Vulkan function a result came from.
pub(crate) trait Called<T> {
    /// The error as this crate's own.
    fn called(self, call: &'static str) -> Result<T, VulkanError>;
}

impl<T> Called<T> for Result<T, vk::Result> {
    fn called(self, call: &'static str) -> Result<T, VulkanError> {
        self.map_err(|result| VulkanError::of(call, result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_loss_and_the_rest_are_told_apart() {
        let kind = |result| VulkanError::of("vkQueueSubmit", result).kind();
        assert_eq!(kind(vk::Result::ERROR_DEVICE_LOST), ErrorKind::Lost);
        assert_eq!(kind(vk::Result::ERROR_OUT_OF_DEVICE_MEMORY), ErrorKind::OutOfMemory);
        assert_eq!(kind(vk::Result::ERROR_OUT_OF_HOST_MEMORY), ErrorKind::OutOfMemory);
        assert_eq!(kind(vk::Result::ERROR_INITIALIZATION_FAILED), ErrorKind::Other);
    }
}
