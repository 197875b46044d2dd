#![doc = include_str!("../README.md")]

mod backend;
mod bfloat;
mod buffer;
mod cache;
mod error;
mod gpu;
mod hazard;
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
mod select;
mod settings;
mod slot;
mod vulkan;
mod weight;

pub use buffer::{VulkanBuf, VulkanWeight};
pub use error::VulkanError;
pub use gpu::Gpu;
pub use profile::{KernelTime, Profile};
pub use select::{DeviceInfo, DeviceKind};
pub use settings::{Faults, Limits, Settings};
pub use vulkan::{GpuScalar, Vulkan};
