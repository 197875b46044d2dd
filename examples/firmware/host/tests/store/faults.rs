//! A flash that says it wrote what it did not write is found out before the old file is let go.

use crate::device::{Device, contents, save};
use decora_firmware::nor::{Nor, NorError};
use decora_firmware::store::{Store, StoreError};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Leaves out one write, or clears one bit too many in it, and tells nobody.
struct Faulty<'m> {
    nor: Nor<'m, 256>,
    /// The writes until then.
    left: Option<u32>,
    leaves_out: bool,
}

impl ErrorType for Faulty<'_> {
    type Error = NorError;
}

impl ReadNorFlash for Faulty<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        self.nor.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.nor.capacity()
    }
}

impl NorFlash for Faulty<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 256;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        self.nor.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        let fails = self.left == Some(0);
        self.left = self.left.and_then(|left| left.checked_sub(1));
        if !fails {
            return self.nor.write(offset, bytes);
        }
        if self.leaves_out {
            return Ok(());
        }
        let mut changed = bytes.to_vec();
        changed.iter_mut().rev().take(1).for_each(|byte| *byte &= *byte - u8::from(*byte > 0));
        self.nor.write(offset, &changed)
    }
}

/// What was saved loads although either copy of the records is erased.
fn each_copy_suffices(device: &Device<256>, file: &[u8]) {
    for copy in device.records().step_by(512) {
        let mut device = device.clone();
        device.0[copy..copy + 512].fill(0xFF);
        assert_eq!(device.load().unwrap(), file);
    }
}

#[test]
fn a_write_that_did_not_happen_as_told_is_found() {
    let mut refused = 0;
    let mut device = Device::<256>::new(8);
    for generation in 0..24 {
        let (old, new) = (device.load(), contents(generation, 301));
        for (write, leaves_out) in (0..30).flat_map(|write| [(write, false), (write, true)]) {
            let mut device = device.clone();
            let range = 256..device.0.len() as u32 - 256;
            let nor = Nor::new(&mut device.0);
            let mut store =
                Store::new(Faulty { nor, left: Some(write), leaves_out }, range).unwrap();
            match save(&mut store, &new) {
                Ok(_) => each_copy_suffices(&device, &new),
                Err(StoreError::Checksum { .. }) => assert_eq!(device.load(), old),
                Err(e) => panic!("{e}"),
            }
            refused += u32::from(device.load() == old);
            device.save(b"the next").unwrap();
            assert_eq!(device.load().unwrap(), b"the next");
        }
        device.save(&new).unwrap();
    }
    assert!(refused > 0);
}
