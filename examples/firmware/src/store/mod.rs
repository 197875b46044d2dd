//! Keeps the last adapter or checkpoint in NOR flash, through power cuts.
//!
//! The store holds one file, whichever was saved last. There are two *banks*: a file is written
//! into the one that does not hold the last, read back, and becomes the last as its [`Record`] is
//! written. Power lost at any write or erase leaves the old file or the new one. A bank is
//! contiguous and starts at a sector: where the flash is [`Mapped`], a file is read in place.
//!
//! # Wear
//! A save erases each sector of one bank that the file comes to, every other save the same one: a
//! flash that stands *n* erases of a sector takes 2·*n* saves, 20 000 for a common 10 000. The
//! records wear far less: one takes 32 bytes where words have 4, so each of their sectors is erased
//! once in 254 saves (4 KiB sectors).
//!
//! # Limits
//! Bits that rot are found, not corrected. A word that was torn but reads as erased is taken as
//! erased.

mod blocking;
mod crc;
mod error;
mod file;
mod index;
mod layout;
mod record;
mod saving;

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crc::Crc;
use layout::{Layout, PAGE};

pub use error::{Fault, StoreError};
pub use file::{File, Mapped};
pub use record::{Kind, Record};
pub use saving::Saving;

/// Keeps the last file in a part of `F`. Holds no state but where that is: making one anew, as
/// after a reset, costs nothing.
#[derive(Debug)]
pub struct Store<F> {
    flash: F,
    layout: Layout,
}

impl<F: NorFlash> Store<F> {
    /// The store in `range` of `flash`: four sectors for records, and half of the others for each
    /// bank. Nothing is read or written.
    ///
    /// # Errors
    /// [`StoreError::Layout`] unless `range` is at least six whole sectors of the flash.
    pub fn new(flash: F, range: Range<u32>) -> Result<Self, StoreError<F::Error>> {
        let layout = Layout::new(&flash, range)?;
        Ok(Self { flash, layout })
    }

    /// The largest file there is room for, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.layout.capacity
    }

    /// Forgets what was saved. Needed only where the records cannot be read: an erased flash is an
    /// empty store.
    ///
    /// # Errors
    /// Flash errors.
    pub fn format(&mut self) -> Result<(), StoreError<F::Error>> {
        index::erase(&mut self.flash, &self.layout).map_err(StoreError::Flash)
    }

    /// The record of the last file; `None` where nothing was saved yet. The file is not read.
    ///
    /// # Errors
    /// [`StoreError::Storage`] and [`StoreError::Record`] where no record can be read; flash errors.
    pub fn last(&mut self) -> Result<Option<Record>, StoreError<F::Error>> {
        index::newest(&mut self.flash, &self.layout)
    }

    /// The last file, whole, of the base network with this fingerprint.
    ///
    /// # Errors
    /// [`StoreError::Empty`]; [`StoreError::OtherBase`]; [`StoreError::Checksum`]; as `last`.
    pub fn load(&mut self, fingerprint: u64) -> Result<File<'_, F>, StoreError<F::Error>> {
        let record = self.last()?.ok_or(StoreError::Empty)?;
        if record.fingerprint != fingerprint {
            let (found, expected) = (record.fingerprint, fingerprint);
            return Err(StoreError::OtherBase { found, expected });
        }
        self.verify(&record)?;
        Ok(File { start: self.layout.bank(record.bank), flash: &mut self.flash, record })
    }

    /// Begins to save a file of the base network with this fingerprint.
    ///
    /// # Errors
    /// As `last`: records that cannot be read are not overwritten; and as [`Saving::finish`], for
    /// the record of the last file where a cut left it in one copy only.
    pub fn save(
        &mut self,
        kind: Kind,
        fingerprint: u64,
    ) -> Result<Saving<'_, F>, StoreError<F::Error>> {
        let last = self.last()?;
        if let Some(last) = last {
            // Both copies must know it before the bank that one of them may still name is erased.
            index::write(&mut self.flash, &self.layout, &last)?;
        }
        let (bank, before) = last.map_or((0, 0), |last| (1 - last.bank, last.generation));
        let generation = before.saturating_add(1);
        let record = Record { kind, bank, generation, len: 0, crc: 0, fingerprint };
        Ok(Saving::new(self, record))
    }

    /// The flash, for other uses.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn verify(&mut self, record: &Record) -> Result<(), StoreError<F::Error>> {
        let (mut crc, start) = (Crc::new(), self.layout.bank(record.bank));
        for at in (0..record.len).step_by(PAGE) {
            let page = file::read_page(&mut self.flash, start + at)?;
            let count = PAGE.min((record.len - at) as usize);
            crc.update(page.0.get(..count).unwrap_or(&page.0));
        }
        let (found, expected) = (crc.value(), record.crc);
        if found == expected { Ok(()) } else { Err(StoreError::Checksum { found, expected }) }
    }
}
