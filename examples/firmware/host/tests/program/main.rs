//! The program, on the host and on the device: the same code, and the same bits.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod budget;
mod desktop;
mod device;
mod emulator;

use std::sync::OnceLock;

use decora_firmware::app::{ADAPTER, CHECKPOINT, HALFWAY, MERGED};
use decora_firmware_host::board::Host;
use decora_firmware_host::make::{self, Precision, Task};

/// The program, run once on this host with nothing that came from elsewhere.
fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::personalize(None).unwrap())
}

fn task() -> &'static Task {
    static TASK: OnceLock<Task> = OnceLock::new();
    TASK.get_or_init(|| Task::new().unwrap())
}

#[test]
fn accuracy_rises_and_everything_is_handed_out() {
    assert_eq!(host().failures(), [""; 0]);
    for name in [ADAPTER, CHECKPOINT, HALFWAY, MERGED] {
        assert!(host().sent.contains_key(name), "{name}");
    }
}

#[test]
fn all_checks_hold() {
    let host = Host::checks().unwrap();
    assert!(host.events.len() > 20, "they were made at all: {:?}", host.events);
    assert_eq!(host.failures(), [""; 0]);
}

#[test]
fn a_run_that_was_interrupted_half_way_ends_in_the_same_bits() {
    let halfway = host().sent[HALFWAY].clone();
    let resumed = Host::personalize(Some(halfway)).unwrap();
    for name in [ADAPTER, CHECKPOINT, MERGED] {
        assert_eq!(resumed.sent[name], host().sent[name], "{name}");
    }
}

#[test]
fn a_checkpoint_that_came_damaged_is_refused_and_the_device_starts_anew() {
    let mut damaged = host().sent[HALFWAY].clone();
    let end = damaged.len();
    damaged[end - 2] = 0xFF;
    damaged[end - 1] = 0xFF;
    let fresh = Host::personalize(Some(damaged)).unwrap();
    assert_eq!(fresh.sent[CHECKPOINT], host().sent[CHECKPOINT]);
}

#[test]
fn the_data_is_what_generate_makes() {
    let (task, flash) = (task(), decora_firmware::data::Precision::base);
    let base = |precision| make::base(&task.case.base, precision).unwrap();
    assert_eq!(base(Precision::Single), flash(decora_firmware::data::Precision::Single));
    assert_eq!(base(Precision::Half), flash(decora_firmware::data::Precision::Half));
    let user: Vec<u8> = decora_firmware::data::OWNER.play().flat_map(|s| record(&s)).collect();
    assert_eq!(make::recording(&task.samples()), user);
}

use decora_firmware::digits::record;
