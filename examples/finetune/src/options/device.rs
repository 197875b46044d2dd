//! The options that say what computes.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::error::UsageError;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// This machine's CPU
    Cpu,
    /// A Vulkan device: see decora devices
    Vulkan,
    /// Whichever takes a training step faster, measured now
    #[default]
    Auto,
}

/// What activations are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits
    #[default]
    F32,
    /// 16 bits with the range of f32
    Bf16,
    /// 16 bits with a precision of 11
    F16,
}

/// What computes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Device")]
pub struct Device {
    /// What computes
    #[arg(long, value_enum, value_name = "BACKEND", default_value_t)]
    pub backend: Backend,
    /// Vulkan device, by the number or a part of the name that `decora devices` shows [default: what
    /// DECORA_DEVICE says, or else the fastest kind there is]
    #[arg(long, value_name = "NAME|NUMBER")]
    pub device: Option<String>,
    /// What activations are made of; parameters, their gradients and sums are f32 always
    #[arg(long, value_enum, value_name = "TYPE", default_value_t)]
    pub dtype: Precision,
}

impl Device {
    /// `Ok` when the options fit each other.
    ///
    /// # Errors
    /// The first two that do not.
    pub fn check(&self) -> Result<(), UsageError> {
        let cpu = self.backend == Backend::Cpu;
        if cpu && self.device.is_some() {
            return Err(UsageError::Pair { option: "--device", with: "--backend cpu" });
        }
        Ok(())
    }
}
