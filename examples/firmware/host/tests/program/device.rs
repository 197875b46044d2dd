//! The device in its emulator gives the bits that the host gives, and takes what the host has made.

use decora_firmware::app::{ADAPTER, CHECKPOINT, HALFWAY, MERGED};
use decora_firmware_host::board::Host;

use super::emulator::{Outcome, run};
use super::{desktop, host};

const DEVICE: &str = "decora-firmware";

fn same_files(found: &Outcome, names: &[&str]) {
    for &name in names {
        let (found, expected) = (found.sent.get(name), host().sent.get(name));
        assert!(found == expected, "{name} differs between device and host");
    }
}

#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn every_file_and_digest_is_that_of_the_host() {
    let device = run(DEVICE, None);
    assert!(device.succeeded, "{}", device.log);
    same_files(&device, &[ADAPTER, CHECKPOINT, HALFWAY, MERGED]);
    assert_eq!(device.digests(), host().digests());
    assert_eq!(device.digests().len(), 2, "after ten steps, and of the outputs at the end");
}

#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn the_checks_hold_and_every_setup_computes_what_the_host_computes() {
    let (device, host) = (run("checks", None), Host::checks().unwrap());
    assert!(device.succeeded, "{}", device.log);
    assert_eq!(device.digests(), host.digests());
    assert!(!device.digests().is_empty());
}

#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn training_resumes_on_the_other_side_with_the_same_bits() {
    let here = host().sent[HALFWAY].as_slice();
    same_files(&run(DEVICE, Some(here)), &[ADAPTER, CHECKPOINT]);
    let there = run(DEVICE, None).sent[HALFWAY].clone();
    let resumed = Host::personalize(Some(there)).unwrap();
    assert_eq!(resumed.sent[CHECKPOINT], host().sent[CHECKPOINT]);
}

#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn an_adapter_trained_on_the_desktop_is_read_from_flash() {
    let (bytes, expected) = desktop::adapter();
    let device = run(DEVICE, Some(&bytes));
    assert!(device.succeeded, "{}", device.log);
    assert_eq!(device.digests(), [(0, expected)]);
}
