//! The program, on the host: the same code, and the same bits, as on the device.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use decora_firmware::app::{ADAPTER, CHECKPOINT, HALFWAY};
use decora_firmware_host::board::Host;

#[test]
fn it_adapts_and_all_checks_hold() {
    let host = Host::run(None).unwrap();
    for e in &host.events {
        println!("{e:?}");
    }
    assert_eq!(host.failures(), [""; 0]);
    for name in [ADAPTER, CHECKPOINT, HALFWAY] {
        assert!(host.sent.contains_key(name), "{name}");
    }
}
