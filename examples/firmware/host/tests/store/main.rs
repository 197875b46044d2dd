//! The store of adapters and checkpoints keeps what it was given, through everything.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod cuts;
mod device;
mod faults;
mod flips;

use core::ops::Range;

use decora_firmware::nor::{Nor, NorError};
use decora_firmware::store::{Kind, Record, Store, StoreError};
use device::{BASE, Device, Error, contents};

#[test]
fn what_is_saved_loads() {
    let mut device = Device::<4096>::new(12);
    assert_eq!(device.load(), Err(StoreError::Empty));
    assert_eq!(device.store().last(), Ok(None));
    for (generation, len) in [5733, 15_001, 0, 1, 64, 4096, 4097, 16_384].into_iter().enumerate() {
        let file = contents(generation as u64, len);
        assert_eq!(device.save(&file).unwrap().generation as usize, generation + 1);
        assert_eq!(device.load(), Ok(file));
    }
}

#[test]
fn a_record_says_what_was_saved() {
    let mut device = Device::<4096>::new(6);
    device.save(b"123456788").unwrap();
    let mut store = device.store();
    let mut saving = store.save(Kind::Checkpoint, 7).unwrap();
    saving.write(b"1234").unwrap();
    saving.write(b"56789").unwrap();
    let saved = saving.finish().unwrap();
    let (kind, crc) = (Kind::Checkpoint, 0xE306_9283);
    let expected = Record { kind, bank: 1, generation: 2, len: 9, crc, fingerprint: 7 };
    assert_eq!(saved, expected);
    assert_eq!(store.last(), Ok(Some(saved)));
    assert_eq!(*store.load(7).unwrap().record(), saved);
}

#[test]
fn any_part_of_a_file_can_be_read() {
    let mut device = Device::<256>::new(8);
    let file = contents(1, 300);
    device.save(&file).unwrap();
    let mut store = device.store();
    for offset in [0, 1, 63, 64, 65, 255, 256, 299, 300, 301, u32::MAX as usize] {
        for len in [0, 1, 64, 65, 299, 300, 301] {
            let mut to = vec![0; len];
            let count = store.load(BASE).unwrap().read(offset as u32, &mut to).unwrap();
            let rest = file.get(offset..).unwrap_or_default();
            assert_eq!(to[..count], rest[..len.min(rest.len())], "{len} from {offset}");
        }
    }
    assert_eq!(store.load(BASE).unwrap().bytes().unwrap(), file);
}

#[test]
fn another_base_is_refused() {
    let mut device = Device::<256>::new(6);
    device.save(b"adapter").unwrap();
    let refused = StoreError::OtherBase { found: BASE, expected: BASE + 1 };
    assert_eq!(device.store().load(BASE + 1).unwrap_err(), refused);
}

#[test]
fn a_file_too_large_leaves_the_old_one() {
    let mut device = Device::<256>::new(9);
    device.save(b"old").unwrap();
    let mut store = device.store();
    assert_eq!(store.capacity(), 512);
    let mut saving = store.save(Kind::Adapter, BASE).unwrap();
    saving.write(&[0; 500]).unwrap();
    let refused = StoreError::TooLarge { found: 513, expected: 512 };
    assert_eq!(saving.write(&[0; 13]), Err(refused));
    assert!(matches!(saving.write(b"x"), Err(StoreError::TooLarge { found: 514, .. })));
    assert!(matches!(saving.finish(), Err(StoreError::TooLarge { found: 514, .. })));
    assert_eq!(device.load().unwrap(), b"old");
    device.save(&[1; 512]).unwrap();
    assert_eq!(device.load().unwrap(), [1; 512]);
}

#[test]
fn a_writer_that_gives_up_leaves_the_old_file() {
    let mut device = Device::<256>::new(8);
    device.save(b"old").unwrap();
    for given in 0..500 {
        let mut store = device.store();
        let mut saving = store.save(Kind::Adapter, BASE).unwrap();
        saving.write(&contents(given, given as usize)).unwrap();
        assert_eq!(device.load().unwrap(), b"old");
    }
    device.save(b"new").unwrap();
    assert_eq!(device.load().unwrap(), b"new");
}

#[test]
fn a_range_that_does_not_suit_is_refused() {
    let mut bytes = [0xFF; 8 * 256];
    let mut layout = |range| match Store::new(Nor::<256, 4>::new(&mut bytes), range) {
        Err(StoreError::Layout { what, found, expected }) => (what, found, expected),
        other => panic!("{other:?}"),
    };
    assert_eq!(layout(4..2048), ("start, a multiple of a sector", 4, 256));
    assert_eq!(layout(0..2044), ("end, a multiple of a sector", 2044, 256));
    assert_eq!(layout(0..2304), ("end, at most the flash's", 2304, 2048));
    assert_eq!(layout(0..1280), ("sectors, at least", 5, 6));
    assert_eq!(layout(Range { start: 1024, end: 256 }), ("sectors, at least", 0, 6));
}

#[test]
fn errors_say_what_was_found() {
    let text = |e: Error| e.to_string();
    let found = text(StoreError::Checksum { found: 1, expected: 0xABCD_0000 });
    assert_eq!(found, "checksum of the file: found 00000001, expected abcd0000");
    let found = text(StoreError::TooLarge { found: 9, expected: 8 });
    assert_eq!(found, "file: found 9 bytes, but there is room for 8");
    assert_eq!(text(StoreError::Flash(NorError::PowerLost)), "flash: PowerLost");
}
