//! The portable kernels give the same bits on this machine and on an emulated Cortex-M4F.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::process::Command;

#[path = "../cortex-m/src/fingerprint.rs"]
mod fingerprint;

use fingerprint::{WORDS, fingerprint};

#[test]
fn a_run_is_repeatable_and_fills_its_arena() {
    let mut arena = [f32::NAN; WORDS];
    let first = fingerprint(&mut arena).unwrap();
    assert_eq!(fingerprint(&mut arena).unwrap(), first);
    let short = fingerprint(&mut arena[1..]);
    assert!(short.unwrap_err().to_string().contains("out of memory"));
}

/// `tests/run` builds the firmware, and says here where it is.
#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn ten_steps_on_a_cortex_m4f_give_the_same_bits() {
    let elf = std::env::var("DECORA_CORTEX_M").expect("DECORA_CORTEX_M: path of the firmware");
    let output = Command::new("qemu-system-arm")
        .args(["-cpu", "cortex-m4", "-machine", "mps2-an386", "-nographic"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel", &elf])
        .output()
        .expect("qemu-system-arm runs");
    let found = String::from_utf8_lossy(&output.stdout);
    let here = format!("fingerprint {:016x}", fingerprint(&mut [0.0; WORDS]).unwrap());
    assert_eq!(found.trim(), here, "{}", String::from_utf8_lossy(&output.stderr));
}
