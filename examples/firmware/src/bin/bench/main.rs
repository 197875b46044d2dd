//! Counts the instructions of training on a Cortex-M4F: whole steps, their products, and the
//! kernels between them. Prints `name instructions macs instructions/mac`, a line for each case.
//!
//! For an emulator that counts instructions: `qemu-system-arm -icount shift=0 …`.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device;
#[cfg(target_os = "none")]
mod kernels;
#[cfg(target_os = "none")]
mod steps;
#[cfg(target_os = "none")]
mod ticks;
#[cfg(target_os = "none")]
#[path = "../../vectors.rs"]
mod vectors;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("counts instructions on a Cortex-M4F: build for thumbv7em-none-eabihf");
}
