//! What computes: the CPU, or a Vulkan device.

use core::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::ValueEnum;
use decora::backend::Backend as _;
use decora::buffer::Acc;
use decora::error::{DeviceError, ErrorKind};
use decora_cpu::Cpu;
use decora_vulkan::{DeviceInfo, Gpu, Settings, Vulkan, VulkanError};
use serde::Serialize;

use crate::error::Error;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// This machine's CPU, with portable kernels: the same bits on every machine
    #[default]
    Cpu,
    /// A Vulkan device: see --devices
    Vulkan,
    /// Whichever takes a training step faster, measured now
    Auto,
}

/// What computed, as a report names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hardware {
    /// `cpu` or `vulkan`.
    pub backend: &'static str,
    /// The name of the device.
    pub name: String,
    /// Its driver, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

impl Hardware {
    /// The CPU.
    #[must_use]
    pub fn cpu() -> Self {
        Self { backend: "cpu", name: "CPU, portable kernels".to_owned(), driver: None }
    }

    /// What `device` is called, and its driver.
    #[must_use]
    pub fn vulkan(device: &DeviceInfo) -> Self {
        let (name, driver) = (device.name.clone(), Some(device.driver.clone()));
        Self { backend: "vulkan", name, driver }
    }

    /// Whether it is the CPU.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        self.backend == "cpu"
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.driver.as_ref().map_or(Ok(()), |driver| write!(f, ", driver {driver}"))
    }
}

/// The CPU as a device.
///
/// # Errors
/// None.
pub fn cpu() -> Result<Cpu<'static, f32>, Error> {
    Ok(Cpu::heap())
}

/// A Vulkan device that is opened anew when it was lost. Threads share it.
#[derive(Debug)]
pub struct Gpus {
    settings: Settings,
    gpu: Mutex<Gpu>,
}

impl Gpus {
    /// Opens the device of this name or number; without, the one that `DECORA_DEVICE` names, or
    /// else the fastest kind there is.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn open(device: Option<&str>) -> Result<Self, Error> {
        let settings = match device {
            Some(device) => Settings::from_env().on(device),
            None => Settings::from_env(),
        };
        Self::with(settings).map_err(Error::device)
    }

    /// Opens the device that `settings` ask for.
    ///
    /// # Errors
    /// What [`Gpu::with`] answers.
    pub fn with(settings: Settings) -> Result<Self, VulkanError> {
        let gpu = Mutex::new(Gpu::with(settings.clone())?);
        Ok(Self { settings, gpu })
    }

    /// Its name, and that of its driver.
    #[must_use]
    pub fn hardware(&self) -> Hardware {
        Hardware::vulkan(self.gpu.lock().unwrap_or_else(PoisonError::into_inner).info())
    }

    /// A backend on the device. Where the device was lost, on the same device opened anew.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn make(&self) -> Result<Vulkan<f32>, Error> {
        let mut gpu = self.gpu.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match alive(&gpu) {
            Err(e) if e.kind() == ErrorKind::Lost => {
                *gpu = Gpu::with(self.settings.clone()).map_err(Error::device)?;
                alive(&gpu)
            }
            made => made,
        };
        made.map_err(Error::device)
    }
}

/// A backend that has shown that its device answers.
fn alive(gpu: &Gpu) -> Result<Vulkan<f32>, VulkanError> {
    let mut be = Vulkan::new(gpu)?;
    let word = be.alloc::<Acc>(1)?;
    be.read::<Acc>(&word, 0, &mut [0.0])?;
    Ok(be)
}

/// A line for each device: how to ask for it, and what it can do.
#[must_use]
pub fn devices() -> String {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut lines = vec![format!("cpu: {}, {threads} threads", Hardware::cpu().name)];
    match Gpu::list() {
        Ok(all) if all.is_empty() => lines.push("no Vulkan device".to_owned()),
        Ok(all) => lines.extend(all.iter().enumerate().map(|(i, info)| format!("{i}: {info}"))),
        Err(e) => lines.push(format!("no Vulkan device: {e}")),
    }
    lines.join("\n")
}
