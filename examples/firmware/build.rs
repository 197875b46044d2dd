//! Puts the memory map where the linker looks for it, on the device.

use std::path::PathBuf;
use std::{env, fs};

/// The programs that log with defmt, whose linker script only they take.
const LOGGING: [&str; 2] = ["decora-firmware", "checks"];

fn main() -> Result<(), Box<dyn core::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("memory.x"), include_str!("memory.x"))?;
    // The names of interrupts: none, as `src/vectors.rs` says.
    fs::write(out.join("device.x"), "")?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    for name in LOGGING {
        println!("cargo:rustc-link-arg-bin={name}=-Tdefmt.x");
    }
    Ok(())
}
