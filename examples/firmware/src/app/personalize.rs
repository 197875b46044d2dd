//! The main job: the device adapts to its owner, keeps what it learned, and merges it.
//!
//! Each part is a function that is never inlined: what one has on the stack is free for the next.

use super::keep::{self, Found};
use super::{ADAPTER, AppError, CHECKPOINT, HALFWAY, INCOMING, MERGED, Memory};
use crate::adapt::{Run, score};
use crate::base::Base;
use crate::board::{Board, Event, Score, Why};
use crate::data::{OWNER, Precision, TEST_OLD, TEST_OWNER};
use crate::digest::Digest;
use crate::digits::Sample;
use crate::flash::{Shelf, StoreFault};
use crate::learner::{Content, LearnError, Learner, LowRank};
use crate::merged;
use crate::setup::{ACCUMULATE, EPOCHS, SAMPLES, STEPS, Setup, training};
use crate::store::Kind;

/// The owner's network: every layer is adapted.
pub type Owner<'m> = Learner<'m, LowRank<'m>>;

/// A checkpoint is saved after so many epochs: the flash wears.
const SAVE_EVERY: u32 = EPOCHS as u32 / 6;

/// Adapts to the owner, or takes an adapter that came from elsewhere; keeps what was learned, merges it,
/// and hands all of it out. The learner is put into `place`.
///
/// # Errors
/// [`AppError`]: what no device can go on after. What one can go on after is logged as refused.
pub fn run<'m, B: Board>(
    board: &mut B,
    memory: Memory<'m>,
    place: &mut Option<Owner<'m>>,
) -> Result<(), AppError> {
    let Memory { arena, adapter, checkpoint, merged } = memory;
    let base = Base::parse(Precision::Single.base())?;
    let bytes = size_of_val(arena) as u32;
    board.log(&Event::Started { arena: bytes, base: base.fingerprint() });
    let mut progress = keep::open(board, checkpoint)?;
    let learner = Learner::start(place, arena, &base, &Setup::ALL, training())?;
    // As yet that of the base network.
    let before = accuracy(board, learner, "before")?;
    let mut merged = keep::open(board, merged)?;
    if begin(board, learner, &mut merged, &mut progress) == Found::Adapter {
        accuracy(board, learner, "received")?;
        return outputs(board, learner);
    }
    train(board, learner, &mut progress)?;
    let after = accuracy(board, learner, "after")?;
    board.log(&Event::Check { what: "accuracy rose", holds: after.right > before.right });
    keep::save(board, learner, &mut progress, Content::Checkpoint)?;
    send(board, &mut progress, learner, CHECKPOINT)?;
    let mut finished = keep::open(board, adapter)?;
    finish(board, learner, &mut finished)?;
    merge(board, learner, &base, &mut merged)
}

/// Keeps the adapter alone, and hands it out.
#[inline(never)]
fn finish<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    flash: &mut Shelf<'_>,
) -> Result<(), AppError> {
    keep::save(board, learner, flash, Content::Adapter)?;
    send(board, flash, learner, ADAPTER)?;
    outputs(board, learner)
}

/// Merges the adapter into the network, and keeps that too.
#[inline(never)]
fn merge<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    base: &Base<'_>,
    flash: &mut Shelf<'_>,
) -> Result<(), AppError> {
    let mut saving = flash.save(Kind::Merged, base.fingerprint())?;
    merged::write(learner, base, &mut |bytes| saving.write(bytes))?;
    let bytes = saving.finish()?.len;
    board.log(&Event::Saved { what: "merged network", bytes });
    send(board, flash, learner, MERGED)
}

/// What there is to begin with: what came from outside, or else what was stored. What comes is put
/// where the merged network will be, so that a damaged file takes the place of nothing good.
#[inline(never)]
fn begin<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    inbox: &mut Shelf<'_>,
    progress: &mut Shelf<'_>,
) -> Found {
    if board.has(INCOMING) {
        match receive(board, inbox, learner.fingerprint()).map_err(keep::why_store) {
            Err(why) => board.log(&Event::Refused { why }),
            Ok(()) => match keep::load(board, learner, inbox) {
                Found::Refused(_) | Found::Nothing => {}
                found => return found,
            },
        }
    }
    keep::load(board, learner, progress)
}

/// Puts what came from outside into the store, as it is: it is checked when it is loaded.
#[inline(never)]
fn receive<B: Board>(
    board: &mut B,
    flash: &mut Shelf<'_>,
    fingerprint: u64,
) -> Result<(), StoreFault> {
    let mut saving = flash.save(Kind::Checkpoint, fingerprint)?;
    board.receive(INCOMING, &mut |bytes| saving.write(bytes).is_ok());
    saving.finish()?;
    Ok(())
}

/// Hands out the file in the store.
#[inline(never)]
fn send<B: Board>(
    board: &mut B,
    shelf: &mut Shelf<'_>,
    learner: &Owner<'_>,
    name: &str,
) -> Result<(), AppError> {
    board.send(name, shelf.load(learner.fingerprint())?.bytes()?);
    Ok(())
}

/// All epochs, with a checkpoint now and then. A loss that is not finite takes the device back to
/// the last of them, and ends the training.
#[inline(never)]
fn train<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    progress: &mut Shelf<'_>,
) -> Result<(), AppError> {
    let mut run = Run::default();
    while learner.steps() < STEPS {
        match run.epoch(board, learner, OWNER) {
            Ok(loss) => after_epoch(board, learner, progress, loss)?,
            Err(LearnError::Diverged { .. }) => return roll_back(board, learner, progress),
            Err(e) => return Err(e.into()),
        }
    }
    board.log(&Event::Spent(run.cost(Setup::ALL.words())));
    Ok(())
}

#[inline(never)]
fn after_epoch<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    progress: &mut Shelf<'_>,
    loss: f32,
) -> Result<(), AppError> {
    let number = epochs(learner.steps());
    board.log(&Event::Epoch { number, loss });
    if number.is_multiple_of(SAVE_EVERY) && learner.steps() < STEPS {
        keep::save(board, learner, progress, Content::Checkpoint)?;
    }
    if number == epochs(STEPS) / 2 {
        send(board, progress, learner, HALFWAY)?;
    }
    Ok(())
}

/// Back to the last good state in flash, or to the beginning when there is none.
#[inline(never)]
fn roll_back<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    progress: &mut Shelf<'_>,
) -> Result<(), AppError> {
    board.log(&Event::Refused { why: Why::Diverged });
    match keep::load(board, learner, progress) {
        Found::Adapter | Found::Checkpoint(_) => Ok(()),
        Found::Nothing | Found::Refused(_) => Ok(learner.reset()?),
    }
}

/// Whole epochs in so many steps.
const fn epochs(steps: u64) -> u32 {
    steps as u32 * ACCUMULATE as u32 / SAMPLES as u32
}

#[inline(never)]
fn accuracy<B: Board>(
    board: &mut B,
    learner: &mut Owner<'_>,
    when: &'static str,
) -> Result<Score, AppError> {
    let (owner, old) = (score(learner, TEST_OWNER)?, score(learner, TEST_OLD)?);
    board.log(&Event::Accuracy { when, owner, old });
    Ok(owner)
}

/// A hash of the outputs for all test images, for others to compare with theirs.
#[inline(never)]
fn outputs<B: Board>(board: &mut B, learner: &mut Owner<'_>) -> Result<(), AppError> {
    let mut digest = Digest::default();
    let mut sample = Sample::BLANK;
    for number in 0..TEST_OWNER.len() {
        TEST_OWNER.read(number, &mut sample);
        digest.extend(&learner.outputs(&sample.pixels)?);
    }
    board.log(&Event::Digest { steps: learner.steps(), hash: digest.value() });
    Ok(())
}
