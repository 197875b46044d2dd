//! Makes the data of the firmware: the base network that `personalize` trains, in single and in half
//! precision, and recordings of the new user's samples and of the test images.
//!
//! `generate DIR` writes them, `generate DIR --check` compares them with what is there. Computed with
//! the portable kernels: the same bytes on every machine.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use decora_firmware::data::Precision;
use decora_firmware_host::make::{self, Task};

type Outcome<T> = Result<T, Box<dyn core::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("generate: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let mut args = env::args_os().skip(1);
    let dir = args.next().map(PathBuf::from).ok_or("usage: generate DIR [--check]")?;
    let check = args.next().is_some_and(|arg| arg == "--check");
    let task = Task::new()?;
    let files = [
        ("base.f32.safetensors", make::base(&task.case.base, Precision::Single)?),
        ("base.f16.safetensors", make::base(&task.case.base, Precision::Half)?),
        ("user.bin", make::recording(&task.samples())),
        ("test-user.bin", make::recording(&task.user())),
        ("test-old.bin", make::recording(&task.old())),
    ];
    for (name, bytes) in files {
        if check { compare(&dir.join(name), &bytes)? } else { write(&dir.join(name), &bytes)? }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    println!("{} bytes  {}", bytes.len(), path.display());
    Ok(())
}

fn compare(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let found = fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    match found == bytes {
        true => Ok(()),
        false => Err(format!("{} is not what generate makes", path.display()).into()),
    }
}
