//! The program `personalize`; see its `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    personalize::cli::main(std::env::args_os())
}
