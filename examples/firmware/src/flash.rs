//! How the flash is divided, and what is kept in each part.

use crate::nor::{ERASED, Nor, NorError};
use crate::store::{Store, StoreError};

/// Bytes that are erased at a time.
pub const SECTOR: usize = 4096;
/// Sectors of a store before its banks.
const RECORDS: usize = 4;

/// Bytes of a store whose files have at most so many sectors.
const fn store(sectors: usize) -> usize {
    (RECORDS + 2 * sectors) * SECTOR
}

/// For the finished adapter.
pub const ADAPTER: usize = store(2);
/// For training on its way: an adapter and its moments.
pub const CHECKPOINT: usize = store(5);
/// For the network with the adapter merged into it.
pub const MERGED: usize = store(7);

/// What can go wrong with a store on this flash.
pub type StoreFault = StoreError<NorError>;
/// A store in the emulated flash.
pub type Shelf<'m> = Store<Nor<'m>>;

/// What flash is when nothing was ever written to it.
pub fn erased(bytes: &mut [u8]) -> &mut [u8] {
    bytes.fill(ERASED);
    bytes
}

/// The store in this part of the flash.
///
/// # Errors
/// [`StoreError::Layout`] for a part that is too small.
pub fn shelf(bytes: &mut [u8]) -> Result<Shelf<'_>, StoreFault> {
    let len = bytes.len() as u32;
    Store::new(Nor::new(bytes), 0..len)
}

/// Banks of a store.
pub const BANKS: usize = 2;

/// Where the bank with this number begins, in a store of so many bytes.
#[must_use]
pub const fn bank(len: usize, number: usize) -> usize {
    let records = RECORDS * SECTOR;
    records + number * (len - records) / BANKS
}
