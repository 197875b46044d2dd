//! Bits that rot are found; where only the records suffer, the file still loads.

use crate::device::{Device, contents};
use decora_firmware::store::StoreError;

/// Saves often enough that the records fill more than a sector, then flips each bit of `at` in turn.
fn flip_each(
    at: impl Fn(&Device<256>) -> Vec<Vec<usize>>,
    check: impl Fn(Device<256>, [&[u8]; 2]),
) {
    let mut device = Device::<256>::new(8);
    let files: Vec<_> = (0..17).map(|i| contents(i, 290 + i as usize)).collect();
    files.iter().for_each(|file| assert!(device.save(file).is_ok()));
    for together in at(&device) {
        for bit in 0..8 {
            let mut device = device.clone();
            together.iter().for_each(|&at| device.0[at] ^= 1 << bit);
            check(device, [&files[15], &files[16]]);
        }
    }
}

#[test]
fn every_flip_in_the_file_is_found() {
    // The seventeenth save is in the first bank, which follows the records.
    let file = |device: &Device<256>| (0..306).map(|i| vec![device.records().end + i]).collect();
    flip_each(file, |mut device, [_, new]| {
        let refused = device.load();
        assert!(matches!(refused, Err(StoreError::Checksum { .. })), "{refused:?}");
        device.save(new).unwrap();
        assert_eq!(device.load().unwrap(), new);
    });
}

#[test]
fn a_flip_in_one_copy_of_the_records_costs_nothing() {
    let each = |device: &Device<256>| device.records().map(|at| vec![at]).collect();
    flip_each(each, |mut device, [_, new]| {
        assert_eq!(device.load().unwrap(), new);
        device.save(b"the next").unwrap();
        assert_eq!(device.load().unwrap(), b"the next");
    });
}

#[test]
fn the_same_flip_in_both_copies_never_gives_a_wrong_file() {
    let both =
        |device: &Device<256>| device.records().take(512).map(|at| vec![at, at + 512]).collect();
    flip_each(both, |mut device, [old, new]| match device.load() {
        Ok(file) => assert!(file == new || file == old),
        Err(e) => assert!(matches!(e, StoreError::Checksum { .. } | StoreError::Storage(_)), "{e}"),
    });
}

/// Noise, but that each sector's marks at its start and its end are there or not.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let (mut bytes, mut marks) = (contents(seed, len), seed);
    for sector in bytes.chunks_mut(256) {
        for at in [0, 255] {
            sector[at] = if marks & 1 == 0 { 0 } else { 0xFF };
            marks >>= 1;
        }
    }
    bytes
}

#[test]
fn records_that_are_noise_are_refused_or_hold_nothing_until_formatted() {
    let mut unreadable = 0;
    for seed in 0..4096 {
        let mut device = Device::<256>::new(8);
        let records = device.records();
        device.0[records].copy_from_slice(&noise(seed, 1024));
        let found = device.load();
        match found {
            Err(StoreError::Empty) => device.save(b"first").map(|_| ()).unwrap(),
            Err(StoreError::Storage(_)) => unreadable += 1,
            other => panic!("{other:?}"),
        }
        device.store().format().unwrap();
        assert_eq!(device.load(), Err(StoreError::Empty));
        device.save(b"anew").unwrap();
        assert_eq!(device.load().unwrap(), b"anew");
    }
    assert!(unreadable > 0);
}
