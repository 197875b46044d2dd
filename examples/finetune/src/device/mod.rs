//! What computes: a device, and work that any device can do.

mod auto;
mod list;

use std::io::{self, Write};

use decora::scalar::Scalar;
use decora::sequence::Sequence;
use decora::{bf16, f16};
use decora_cpu::FastCpu;
use decora_vulkan::{Gpu, GpuScalar, Settings, Vulkan};

use crate::error::Error;
use crate::options::{Backend, Device as Options, Precision};
pub use list::list;

/// A device that trains and runs transformers, with sums in f32.
pub trait Device: Sequence<Scalar: Scalar<Accum = f32>> {}

impl<B: Sequence<Scalar: Scalar<Accum = f32>>> Device for B {}

/// Something that any device can do.
pub trait Work {
    /// What comes out.
    type Output;

    /// Does it on a device; `name` is what people call it.
    ///
    /// # Errors
    /// The work's own.
    fn run<B: Device>(self, be: B, name: &str) -> Result<Self::Output, Error>;
}

/// A device that was chosen.
#[derive(Debug)]
enum Chosen {
    Cpu,
    Vulkan(Gpu),
}

/// Does `work` on the device that the options ask for, with activations of the type they ask for.
///
/// # Errors
/// [`Error::Network`] for a device that cannot be had; those of the work.
pub fn on<W: Work>(options: &Options, work: W) -> Result<W::Output, Error> {
    match choose(options)? {
        Chosen::Cpu => match options.dtype {
            Precision::F32 => on_cpu::<f32, W>(work),
            Precision::Bf16 => on_cpu::<bf16, W>(work),
            Precision::F16 => on_cpu::<f16, W>(work),
        },
        Chosen::Vulkan(gpu) => match options.dtype {
            Precision::F32 => on_gpu::<f32, W>(&gpu, work),
            Precision::Bf16 => on_gpu::<bf16, W>(&gpu, work),
            Precision::F16 => on_gpu::<f16, W>(&gpu, work),
        },
    }
}

fn choose(options: &Options) -> Result<Chosen, Error> {
    match options.backend {
        Backend::Cpu => Ok(Chosen::Cpu),
        Backend::Vulkan => open(options.device.as_deref()).map(Chosen::Vulkan),
        Backend::Auto => {
            // A device that somebody names must be there, even if the CPU turns out to be faster.
            if options.device.is_some() {
                open(options.device.as_deref())?;
            }
            let (gpu, why) = auto::fastest(options.device.as_deref(), options.dtype);
            if let Some(why) = why {
                // Whoever closed standard error does not want it.
                let _ = writeln!(io::stderr(), "{why}");
            }
            Ok(gpu.map_or(Chosen::Cpu, Chosen::Vulkan))
        }
    }
}

/// The Vulkan device of this name or number; without, the one that `DECORA_DEVICE` names, or else the
/// fastest kind there is.
fn open(device: Option<&str>) -> Result<Gpu, Error> {
    let settings = Settings::from_env();
    let settings = match device {
        Some(device) => settings.on(device),
        None => settings,
    };
    Gpu::with(settings).map_err(Error::network)
}

fn on_cpu<T: Scalar<Accum = f32>, W: Work>(work: W) -> Result<W::Output, Error> {
    work.run(FastCpu::<T>::fast(), &cpu_name())
}

fn on_gpu<T: GpuScalar, W: Work>(gpu: &Gpu, work: W) -> Result<W::Output, Error> {
    work.run(Vulkan::<T>::new(gpu).map_err(Error::network)?, gpu.name())
}

/// The CPU's name.
#[must_use]
pub fn cpu_name() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU, {threads} threads")
}
