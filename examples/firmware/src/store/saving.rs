//! A file on its way into the store.

use embedded_storage::nor_flash::NorFlash;

use super::Store;
use super::crc::Crc;
use super::error::StoreError;
use super::index;
use super::layout::{PAGE, Page};
use super::record::Record;

/// A file on its way into the store. Until [`finish`](Saving::finish) answers, the store holds what
/// it held; dropped before, nothing was saved.
#[derive(Debug)]
pub struct Saving<'s, F> {
    store: &'s mut Store<F>,
    /// Of the file so far, but for its checksum.
    record: Record,
    crc: Crc,
    page: Page,
}

impl<'s, F: NorFlash> Saving<'s, F> {
    pub(super) const fn new(store: &'s mut Store<F>, record: Record) -> Self {
        Self { store, record, crc: Crc::new(), page: Page::ERASED }
    }

    /// Takes the next bytes of the file, and erases the sectors they come to.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; flash errors. The file cannot be finished after either.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError<F::Error>> {
        self.fits(bytes.len())?;
        self.crc.update(bytes);
        for &byte in bytes {
            let at = self.record.len as usize % PAGE;
            if let Some(slot) = self.page.0.get_mut(at) {
                *slot = byte;
            }
            self.record.len += 1;
            if at == PAGE - 1 {
                self.flush(PAGE)?;
            }
        }
        Ok(())
    }

    /// Makes the file the one that the store holds: reads it back, then writes its record. Cut
    /// anywhere in this, the store holds the file it held, or this one.
    ///
    /// # Errors
    /// [`StoreError::Checksum`] where the flash does not hold what it was given, or a write failed;
    /// [`StoreError::TooLarge`] where one did not fit; flash errors; [`StoreError::Storage`].
    pub fn finish(mut self) -> Result<Record, StoreError<F::Error>> {
        self.fits(0)?;
        let tail = self.record.len as usize % PAGE;
        if tail > 0 {
            self.page.0.iter_mut().skip(tail).for_each(|byte| *byte = 0xFF);
            self.flush(tail)?;
        }
        self.record.crc = self.crc.value();
        self.store.verify(&self.record)?;
        index::write(&mut self.store.flash, &self.store.layout, &self.record)?;
        Ok(self.record)
    }

    /// Refuses what does not fit, for good: the length stays beyond the capacity.
    fn fits(&mut self, more: usize) -> Result<(), StoreError<F::Error>> {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let (found, expected) = (self.record.len.saturating_add(more), self.store.layout.capacity);
        if found > expected {
            self.record.len = found;
            return Err(StoreError::TooLarge { found, expected });
        }
        Ok(())
    }

    /// Writes the page's first `count` bytes, the file's last.
    fn flush(&mut self, count: usize) -> Result<(), StoreError<F::Error>> {
        let (flash, layout) = (&mut self.store.flash, &self.store.layout);
        let at = layout.bank(self.record.bank) + self.record.len - count as u32;
        let sector = F::ERASE_SIZE as u32;
        if at.is_multiple_of(sector) {
            flash.erase(at, at + sector).map_err(StoreError::Flash)?;
        }
        let whole_words = count.next_multiple_of(F::WRITE_SIZE);
        let bytes = self.page.0.get(..whole_words).unwrap_or(&self.page.0);
        flash.write(at, bytes).map_err(StoreError::Flash)
    }
}
