//! What computes: a device, and work that any device can do.

use decora::scalar::Scalar;
use decora::sequence::Sequence;
use decora_cpu::FastCpu;

use crate::error::Error;
use crate::options::{Backend, Device as Options};

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

/// Does `work` on the device that the options ask for.
///
/// # Errors
/// [`Error::Network`] for a device that cannot be had; those of the work.
pub fn on<W: Work>(options: &Options, work: W) -> Result<W::Output, Error> {
    match options.backend {
        Backend::Cpu | Backend::Auto => work.run(FastCpu::<f32>::fast(), &cpu_name()),
        Backend::Vulkan => Err(Error::network("no Vulkan device")),
    }
}

/// The CPU's name.
#[must_use]
pub fn cpu_name() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU, {threads} threads")
}
