//! A command that tries everything on a device and says what it found: as a table, as JSON, as
//! JUnit's XML. Needs the feature `check`.
//!
//! The program `decora-check` is this command for the backends of this project. For another device
//! it is a program of a few lines, with the same options, outputs and exit codes:
//!
//! ```no_run
//! # use decora_cpu::Cpu as Mine;
//! use decora_conformance::check::{self, Candidate, Devices};
//!
//! fn main() -> std::process::ExitCode {
//!     check::main([Candidate::new("mine", || {
//!         // Err where there is no such device: that is told apart from a device that fails.
//!         Ok(Devices::named("my device, driver 3.1")
//!             .sequence(|| Mine::<f32>::heap()) // or network, or backend: what it implements
//!             .sequence(|| Mine::<decora::f16>::heap()))
//!     })])
//! }
//! ```
//!
//! | exit code | what it says |
//! |---|---|
//! | 0 | something was compared, and everything was as it should be |
//! | 1 | something was not |
//! | 2 | wrong options; nothing was tried |
//! | 3 | the device, or that to compare with, is not there; nothing was tried |

mod candidate;
mod cli;
mod json;
mod junit;
mod list;
mod output;
mod run;
mod table;

pub use candidate::{Candidate, Devices, Group, Trialled};
pub use cli::{from, main};
pub use run::{Results, Row, run};

use decora::scalar::Scalar;
use decora::{bf16, f16};
use decora_cpu::{Cpu, FastCpu};

/// The portable CPU kernels, in every scalar: `cpu`.
#[must_use]
pub fn cpu() -> Candidate {
    fn heap<T: Scalar>() -> Cpu<'static, T> {
        Cpu::heap()
    }
    Candidate::new("cpu", || {
        let devices = Devices::named("portable CPU kernels");
        let devices = devices.sequence(heap::<f32>).sequence(heap::<f64>).gradients(heap::<f64>);
        let devices = devices.sequence_gradients(heap::<f64>);
        Ok(devices.sequence(heap::<f16>).sequence(heap::<bf16>))
    })
}

/// The CPU with blocked, threaded products, in every scalar: `cpu-fast`.
#[must_use]
pub fn cpu_fast() -> Candidate {
    fn fast<T: Scalar>() -> FastCpu<T> {
        FastCpu::fast()
    }
    Candidate::new("cpu-fast", || {
        let devices = Devices::named("CPU with blocked, threaded products");
        let devices = devices.sequence(fast::<f32>).sequence(fast::<f64>).gradients(fast::<f64>);
        let devices = devices.sequence_gradients(fast::<f64>);
        Ok(devices.sequence(fast::<f16>).sequence(fast::<bf16>))
    })
}

/// What results are compared with unless something else is asked for: the portable CPU kernels in
/// `f64`, whatever the scalar of the device under test.
fn cpu_f64() -> Candidate {
    Candidate::new("cpu-f64", || {
        Ok(Devices::named("portable CPU kernels in f64").sequence(Cpu::<f64>::heap))
    })
}
