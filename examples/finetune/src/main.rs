//! The program `decora`; see its `--help`.

use std::process::ExitCode;

use decora_finetune::options::{Request, parse};

fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        Ok(Request::Text(text)) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Ok(Request::Task(_)) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}
