//! To flash and back: what is learned is kept, and what is kept is trusted only after it was checked.

use decora::direction::Direction;
use decora::safetensors::File;

use super::AppError;
use crate::board::{Board, Event, Why};
use crate::flash::{Shelf, StoreFault, shelf};
use crate::learner::{Content, Device, Learner, LoadFault};
use crate::store::{Kind, StoreError};

/// The store in this part of the flash, begun anew where its records cannot be read: nothing that could
/// be read is lost.
pub(super) fn open<'m, B: Board>(
    board: &mut B,
    bytes: &'m mut [u8],
) -> Result<Shelf<'m>, AppError> {
    let mut flash = shelf(bytes)?;
    if let Err(e) = flash.last() {
        board.log(&Event::Refused { why: why_store(e) });
        flash.format()?;
    }
    Ok(flash)
}

/// Saves what was learned, and says so.
pub(super) fn save<'m, B: Board, D: Direction<Device<'m>>>(
    board: &mut B,
    learner: &mut Learner<'m, D>,
    shelf: &mut Shelf<'_>,
    content: Content,
) -> Result<(), AppError> {
    let (kind, what) = match content {
        Content::Adapter => (Kind::Adapter, "adapter"),
        Content::Checkpoint => (Kind::Checkpoint, "checkpoint"),
    };
    let mut saving = shelf.save(kind, learner.fingerprint())?;
    learner.save(content, &mut |bytes| saving.write(bytes))?;
    let bytes = saving.finish()?.len;
    board.log(&Event::Saved { what, bytes });
    Ok(())
}

/// What became of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is stored.
    Nothing,
    /// An adapter: no training follows it.
    Adapter,
    /// A checkpoint, after so many steps.
    Checkpoint(u64),
    /// Something that is refused: everything is as it was.
    Refused(Why),
}

/// Loads what is stored, if it can be trusted, and says what became of it.
pub(super) fn load<'m, B: Board, D: Direction<Device<'m>>>(
    board: &mut B,
    learner: &mut Learner<'m, D>,
    shelf: &mut Shelf<'_>,
) -> Found {
    let found = match stored(learner, shelf) {
        Ok(found) => found,
        Err(why) => Found::Refused(why),
    };
    board.log(&match found {
        Found::Nothing => Event::Fresh,
        Found::Adapter => Event::Loaded { steps: 0 },
        Found::Checkpoint(steps) => Event::Loaded { steps },
        Found::Refused(why) => Event::Refused { why },
    });
    found
}

fn stored<'m, D: Direction<Device<'m>>>(
    learner: &mut Learner<'m, D>,
    shelf: &mut Shelf<'_>,
) -> Result<Found, Why> {
    let file = match shelf.load(learner.fingerprint()) {
        Err(StoreError::Empty) => return Ok(Found::Nothing),
        other => other.map_err(why_store)?,
    };
    let bytes = file.bytes().map_err(why_store)?;
    let steps = parsed(learner, bytes)?;
    Ok(steps.map_or(Found::Adapter, Found::Checkpoint))
}

/// Loads the bytes of a file: its steps, when it is a checkpoint.
pub(super) fn parsed<'m, D: Direction<Device<'m>>>(
    learner: &mut Learner<'m, D>,
    bytes: &[u8],
) -> Result<Option<u64>, Why> {
    let file = File::parse(bytes).map_err(|_| Why::File)?;
    learner.load(&file).map_err(why_load)
}

/// Why the store did not give or take a file.
pub(super) fn why_store(e: StoreFault) -> Why {
    match e {
        StoreError::TooLarge { .. } => Why::TooLarge,
        StoreError::Checksum { .. } => Why::Checksum,
        StoreError::OtherBase { .. } => Why::OtherBase,
        _ => Why::Store,
    }
}

fn why_load(e: LoadFault) -> Why {
    match e {
        LoadFault::Base { .. } => Why::OtherBase,
        _ => Why::Shapes,
    }
}
