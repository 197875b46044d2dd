//! The program `decora-check`; see its `--help`.

#[cfg(feature = "vulkan")]
mod vulkan;

use std::process::ExitCode;

use decora_conformance::check;

fn main() -> ExitCode {
    check::main([
        check::cpu(),
        check::cpu_fast(),
        #[cfg(feature = "vulkan")]
        vulkan::candidate(),
    ])
}
