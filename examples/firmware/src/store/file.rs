//! A file that was found whole.

use embedded_storage::nor_flash::NorFlash;

use super::error::StoreError;
use super::layout::{PAGE, Page};
use super::record::Record;

/// A flash that the processor reads as memory: its files are read in place.
pub trait Mapped {
    /// All of it, from address 0 of the flash on.
    fn bytes(&self) -> &[u8];
}

impl<F: Mapped> Mapped for &mut F {
    fn bytes(&self) -> &[u8] {
        F::bytes(self)
    }
}

/// A file that was found whole. It borrows the store: while it is at hand nothing is saved.
#[derive(Debug)]
pub struct File<'s, F> {
    pub(super) flash: &'s mut F,
    pub(super) start: u32,
    pub(super) record: Record,
}

impl<'s, F: NorFlash> File<'s, F> {
    /// What the store knows of the file.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Copies the bytes from `offset` on, as many as `to` has room for and the file has, and says
    /// how many these are. Any offset and length will do, whatever the flash reads at a time.
    ///
    /// # Errors
    /// Flash errors.
    pub fn read(&mut self, offset: u32, to: &mut [u8]) -> Result<usize, StoreError<F::Error>> {
        let mut done = 0;
        while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let copied = self.read_within_page(offset.saturating_add(done as u32), rest)?;
            if copied == 0 {
                break;
            }
            done += copied;
        }
        Ok(done)
    }

    fn read_within_page(&mut self, at: u32, to: &mut [u8]) -> Result<usize, StoreError<F::Error>> {
        let left = self.record.len.saturating_sub(at) as usize;
        let from = at as usize % PAGE;
        let count = left.min(PAGE - from).min(to.len());
        if count > 0 {
            let page = read_page(self.flash, self.start + (at - from as u32))?;
            for (to, &byte) in to.iter_mut().zip(page.0.iter().skip(from)).take(count) {
                *to = byte;
            }
        }
        Ok(count)
    }

    /// The whole file, in place.
    ///
    /// # Errors
    /// [`StoreError::Layout`] where less of the flash is mapped than it has.
    pub fn bytes(self) -> Result<&'s [u8], StoreError<F::Error>>
    where
        F: Mapped,
    {
        let mapped = F::bytes(self.flash);
        let (start, end) = (self.start, self.start + self.record.len);
        let what = "mapped bytes, at least";
        let short = StoreError::Layout { what, found: mapped.len() as u32, expected: end };
        mapped.get(start as usize..end as usize).ok_or(short)
    }
}

pub(super) fn read_page<F: NorFlash>(
    flash: &mut F,
    address: u32,
) -> Result<Page, StoreError<F::Error>> {
    let mut page = Page::ERASED;
    flash.read(address, &mut page.0).map_err(StoreError::Flash)?;
    Ok(page)
}
