//! Adapters between the device's program and the desktop's, `personalize`.

use decora_cpu::Cpu;
use decora_firmware::app::{ADAPTER, MERGED};
use decora_firmware::data::TEST_OWNER;
use decora_firmware::digest::Digest;
use decora_firmware::setup::{RANK, STEPS};
use decora_firmware_host::board::Host;
use decora_firmware_host::make::source;
use personalize::config::{Method, Purpose, Variant, rng};
use personalize::net;
use personalize::peft::{self, Tensors};

use super::{host, task};

const DORA: Variant = Variant::of(Method::Dora, RANK);

/// The digest of the outputs for all test images, of the desktop's network with these tensors.
fn outputs(tensors: &Tensors) -> u64 {
    let (mut be, base) = (Cpu::<f32>::heap(), &task().case.base);
    let mut seed = rng(1, Purpose::Adapter);
    let mut network = net::build(&mut be, base, DORA.spec(), &mut seed).unwrap();
    net::set(&mut be, &mut network, tensors).unwrap();
    let mut digest = Digest::default();
    for sample in TEST_OWNER.play() {
        let mut y = [0.0f32; 10];
        network.infer(&mut be, &sample.pixels, &mut y).unwrap();
        digest.extend(&y);
    }
    digest.value()
}

/// An adapter that the desktop has trained for a while, as a file.
pub(crate) fn adapter() -> (Vec<u8>, u64) {
    let case = &task().case;
    let outcome = case.adapt(&mut source().open().unwrap(), DORA, 1e-2, 40).unwrap();
    let base = case.base.fingerprint().unwrap();
    (peft::encode(&outcome.tensors, Some(base)).unwrap(), outputs(&outcome.tensors))
}

#[test]
fn the_desktop_reads_the_devices_adapter_and_answers_the_same() {
    let tensors = peft::decode(&host().sent[ADAPTER]).unwrap();
    let last = host().digests().into_iter().rev().find(|(steps, _)| *steps == STEPS);
    assert_eq!(last, Some((STEPS, outputs(&tensors))));
}

#[test]
fn the_device_reads_the_desktops_adapter_and_answers_the_same() {
    let (bytes, expected) = adapter();
    let received = Host::personalize(Some(bytes)).unwrap();
    assert_eq!(received.digests(), [(0, expected)]);
    assert!(received.sent.is_empty(), "an adapter is used, not trained on");
}

#[test]
fn the_merged_network_is_that_of_the_desktop() {
    let tensors = peft::decode(&host().sent[ADAPTER]).unwrap();
    let (mut be, base) = (Cpu::<f32>::heap(), &task().case.base);
    let mut seed = rng(1, Purpose::Adapter);
    let mut network = net::build(&mut be, base, DORA.spec(), &mut seed).unwrap();
    net::set(&mut be, &mut network, &tensors).unwrap();
    let merged = net::merged(&mut be, &mut network, base).unwrap();
    let found = peft::decode(&host().sent[MERGED]).unwrap();
    for (i, layer) in merged.layers.iter().enumerate() {
        assert_eq!(found[&format!("layers.{i}.weight")].values, layer.w, "layer {i}");
        assert_eq!(found[&format!("layers.{i}.bias")].values, layer.b, "layer {i}");
    }
}
