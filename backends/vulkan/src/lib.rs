#![doc = include_str!("../README.md")]

mod backend;
mod bfloat;
mod buffer;
mod cache;
mod commands;
mod error;
mod gpu;
mod hazard;
mod inspect;
mod instance;
mod kernel;
mod memory;
mod network;
mod pipelines;
mod product;
mod profile;
mod push;
mod recorder;
mod reduction;
mod rowwise;
mod select;
mod settings;
mod slot;
mod transfer;
mod vulkan;
mod weight;

pub use buffer::{VulkanBuf, VulkanWeight};
pub use error::VulkanError;
pub use gpu::Gpu;
pub use profile::{KernelTime, Profile};
pub use select::{DeviceInfo, DeviceKind};
pub use settings::{Faults, Limits, Settings};
pub use vulkan::{GpuScalar, Vulkan};
