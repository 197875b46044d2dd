//! The program, on the host and on the device: the same code, and the same bits.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod budget;
mod desktop;
mod device;
mod emulator;

use std::sync::OnceLock;

use decora_firmware::app::{ADAPTER, CHECKPOINT, HALFWAY, MERGED};
use decora_firmware::board::{Event, Why};
use decora_firmware::data::{OWNER, Precision};
use decora_firmware::digits::record;
use decora_firmware::setup::STEPS;
use decora_firmware_host::board::Host;
use decora_firmware_host::make::{self, Task};

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

/// Whatever comes or is stored, the device starts anew and ends as if nothing had been there.
fn starts_anew(host: &Host, expected: &[Why]) {
    assert_eq!(host.refused(), expected);
    assert_eq!(host.sent[CHECKPOINT], self::host().sent[CHECKPOINT]);
}

#[test]
fn a_checkpoint_that_came_damaged_is_refused() {
    let whole = &host().sent[HALFWAY];
    let incoming = |bytes: &[u8]| Host::personalize(Some(bytes.to_vec())).unwrap();
    let mut damaged = whole.clone();
    damaged.truncate(whole.len() - 4);
    damaged.extend(f32::NAN.to_le_bytes());
    starts_anew(&incoming(&damaged), &[Why::Shapes]);
    starts_anew(&incoming(&whole[..whole.len() / 2]), &[Why::File]);
    starts_anew(&incoming(b"no safetensors at all"), &[Why::File]);
    starts_anew(&incoming(&[0; 30_000]), &[Why::TooLarge]);
    starts_anew(&incoming(&[]), &[Why::File]);
}

#[test]
fn a_store_that_cannot_be_read_is_begun_anew() {
    let mut flash = vec![0; decora_firmware::flash::CHECKPOINT];
    starts_anew(&Host::personalize_on(&mut flash, None).unwrap(), &[Why::Store]);
    let again = Host::personalize_on(&mut flash, None).unwrap();
    assert_eq!(again.refused(), [], "the next start finds what this one saved");
}

#[test]
fn what_was_saved_before_a_reset_is_found_after_it() {
    let mut flash = vec![decora_firmware::nor::ERASED; decora_firmware::flash::CHECKPOINT];
    Host::personalize_on(&mut flash, Some(host().sent[HALFWAY].clone())).unwrap();
    // A damaged file that comes takes the place of nothing.
    let after = Host::personalize_on(&mut flash, Some(vec![1, 2, 3])).unwrap();
    assert_eq!((after.refused(), after.failures()), (vec![Why::File], vec![]));
    assert!(after.events.contains(&Event::Loaded { steps: STEPS }), "{:?}", after.events);
}

#[test]
fn the_data_is_what_generate_makes() {
    let task = task();
    for precision in [Precision::Single, Precision::Half] {
        assert_eq!(make::base(&task.case.base, precision).unwrap(), precision.base());
    }
    let user: Vec<u8> = OWNER.play().flat_map(|s| record(&s)).collect();
    assert_eq!(make::recording(&task.samples()), user);
}
