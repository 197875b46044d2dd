//! Where what lies: four sectors of records, and all others halved into two banks.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use super::error::StoreError;

/// The bytes that travel at a time, through a buffer of this size on the stack.
pub(super) const PAGE: usize = 64;

/// The sectors of one copy of the records: the least that `sequential-storage` keeps them in.
const COPY_SECTORS: u32 = 2;

/// The sectors of the two copies, and of two banks of one sector.
const LEAST: u32 = 2 * COPY_SECTORS + 2;

/// A buffer, aligned as some flash controllers want it.
#[derive(Clone, Copy, Debug)]
#[repr(align(4))]
pub(super) struct Page(pub(super) [u8; PAGE]);

impl Page {
    /// What an unwritten page reads as.
    pub(super) const ERASED: Self = Self([0xFF; PAGE]);
}

/// A store's part of a flash: whole sectors, at least six.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    start: u32,
    sector: u32,
    /// The bytes of one bank.
    pub(super) capacity: u32,
}

impl Layout {
    /// The layout of `range`.
    ///
    /// # Errors
    /// [`StoreError::Layout`].
    pub(super) fn new<F: NorFlash>(
        flash: &F,
        range: Range<u32>,
    ) -> Result<Self, StoreError<F::Error>> {
        const { assert!(F::ERASE_SIZE.is_multiple_of(PAGE) && F::ERASE_SIZE >= 256) };
        const { assert!(PAGE.is_multiple_of(F::WRITE_SIZE) && F::WRITE_SIZE <= 32) };
        const { assert!(PAGE.is_multiple_of(F::READ_SIZE) && F::READ_SIZE <= 32) };
        let sector = F::ERASE_SIZE as u32;
        let end = u32::try_from(flash.capacity()).unwrap_or(u32::MAX);
        let sectors = range.end.saturating_sub(range.start) / sector;
        let aligned = |at: u32| at.is_multiple_of(sector);
        check(aligned(range.start), "start, a multiple of a sector", range.start, sector)?;
        check(aligned(range.end), "end, a multiple of a sector", range.end, sector)?;
        check(range.end <= end, "end, at most the flash's", range.end, end)?;
        check(sectors >= LEAST, "sectors, at least", sectors, LEAST)?;
        let capacity = (sectors - 2 * COPY_SECTORS) / 2 * sector;
        Ok(Self { start: range.start, sector, capacity })
    }

    /// The two copies of the records.
    pub(super) const fn copies(&self) -> [Range<u32>; 2] {
        let middle = self.start + COPY_SECTORS * self.sector;
        [self.start..middle, middle..middle + COPY_SECTORS * self.sector]
    }

    /// The address of a bank.
    pub(super) const fn bank(&self, bank: u8) -> u32 {
        let first = self.start + 2 * COPY_SECTORS * self.sector;
        if bank == 0 { first } else { first + self.capacity }
    }
}

const fn check<E>(
    holds: bool,
    what: &'static str,
    found: u32,
    expected: u32,
) -> Result<(), StoreError<E>> {
    if holds { Ok(()) } else { Err(StoreError::Layout { what, found, expected }) }
}
