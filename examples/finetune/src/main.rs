//! The program `decora`; see its `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    decora_finetune::commands::main(std::env::args_os())
}
