//! The firmware: adapts the network to its owner on a Cortex-M4F, and logs over defmt.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("this is firmware: examples/firmware/run builds it for a Cortex-M4F and runs it");
}
