//! The records: kept twice, each copy by `sequential-storage`.
//!
//! One copy is not enough. A lost erase leaves a sector in any state, and in some of them
//! `sequential-storage` repairs in the wrong direction or finds records that it had superseded.
//! So one copy is written after the other, each only while the other holds a record that is good:
//! whatever becomes of the one, the other knows. A copy that fails, or reads back something other
//! than was stored, is erased and written anew.

use core::ops::Range;

use embassy_futures::block_on;
use embedded_storage::nor_flash::NorFlash;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

use super::blocking::Blocking;
use super::error::{Fault, StoreError};
use super::layout::{Layout, Page};
use super::record::Record;

/// One copy: a map with one key. Nothing is cached: it is read a few times between two resets.
type Copy<'f, F> = MapStorage<(), Blocking<'f, F>, Cache<Uncached, Uncached, Uncached, ()>>;

/// What a copy holds.
type Found<F> = Result<Option<Record>, StoreError<F>>;

/// The record of the last file that was saved whole, if any was.
///
/// # Errors
/// Where neither copy can be read, what is wrong with the first; device errors.
pub(super) fn newest<F: NorFlash>(flash: &mut F, layout: &Layout) -> Found<F::Error> {
    let [first, second] = layout.copies().map(|copy| read(flash, copy, layout.capacity));
    match (first, second) {
        (Ok(Some(a)), Ok(Some(b))) => Ok(Some(if b.generation > a.generation { b } else { a })),
        (Ok(Some(record)), _) | (_, Ok(Some(record))) => Ok(Some(record)),
        (Err(StoreError::Flash(e)), _) | (_, Err(StoreError::Flash(e))) => {
            Err(StoreError::Flash(e))
        }
        (Ok(None), _) | (_, Ok(None)) => Ok(None),
        (Err(e), Err(_)) => Err(e),
    }
}

/// Makes `record` the newest, in both copies. Where the newest already is in both, or `record` is
/// the newest of those in them, a cut leaves the old newest or this one.
///
/// # Errors
/// Flash errors; [`StoreError::Storage`] where a copy cannot be written even after an erase.
pub(super) fn write<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    record: &Record,
) -> Result<(), StoreError<F::Error>> {
    for copy in layout.copies() {
        if !holds(flash, copy.clone(), layout, record) {
            write_copy(flash, copy, layout, record)?;
        }
    }
    Ok(())
}

/// Forgets all records.
///
/// # Errors
/// Flash errors.
pub(super) fn erase<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<(), F::Error> {
    layout.copies().into_iter().try_for_each(|copy| flash.erase(copy.start, copy.end))
}

fn write_copy<F: NorFlash>(
    flash: &mut F,
    copy: Range<u32>,
    layout: &Layout,
    record: &Record,
) -> Result<(), StoreError<F::Error>> {
    if store(flash, copy.clone(), record).is_ok() && holds(flash, copy.clone(), layout, record) {
        return Ok(());
    }
    flash.erase(copy.start, copy.end).map_err(StoreError::Flash)?;
    store(flash, copy.clone(), record)?;
    if holds(flash, copy, layout, record) {
        return Ok(());
    }
    Err(StoreError::Storage(Fault::Unverified))
}

fn holds<F: NorFlash>(flash: &mut F, copy: Range<u32>, layout: &Layout, record: &Record) -> bool {
    matches!(read(flash, copy, layout.capacity), Ok(Some(found)) if found == *record)
}

fn read<F: NorFlash>(flash: &mut F, copy: Range<u32>, capacity: u32) -> Found<F::Error> {
    let mut buffer = Page::ERASED;
    let item = block_on(open(flash, copy)?.fetch_item::<&[u8]>(&mut buffer.0, &()))?;
    item.map(|bytes| Record::decode(bytes, capacity)).transpose()
}

fn store<F: NorFlash>(
    flash: &mut F,
    copy: Range<u32>,
    record: &Record,
) -> Result<(), StoreError<F::Error>> {
    let (mut buffer, bytes) = (Page::ERASED, record.encode());
    Ok(block_on(open(flash, copy)?.store_item(&mut buffer.0, &(), &bytes.as_slice()))?)
}

fn open<F: NorFlash>(flash: &mut F, copy: Range<u32>) -> Result<Copy<'_, F>, StoreError<F::Error>> {
    let config = MapConfig::try_new(copy).map_err(|_| StoreError::Storage(Fault::Other))?;
    Ok(MapStorage::new(Blocking(flash), config, Cache::new_uncached()))
}
