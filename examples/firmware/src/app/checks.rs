//! What must hold on every device, tried on this one: what is wrong is refused by name and changes
//! nothing, and merging changes nothing but the cost.

use super::keep::{self, Found};
use super::{AppError, Memory};
use crate::adapt::Run;
use crate::base::Base;
use crate::board::{Board, Event, Why};
use crate::data::{OWNER, Precision, TEST_OWNER};
use crate::digest::Digest;
use crate::digits::{CLASSES, Sample};
use crate::flash::{BANKS, bank, shelf};
use crate::learner::{Any, Content, LearnError, Learner};
use crate::merged;
use crate::setup::{Setup, training};
use crate::store::Kind;

type Net<'m> = Learner<'m, Any<'m>>;

/// Tries all of it.
///
/// # Errors
/// [`AppError`]: what no device can go on after.
pub fn run<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    prepare(board, memory)?;
    rotten(board, memory)?;
    foreign(board, memory)?;
    samples(board, memory)?;
    divergence(board, memory)?;
    merging(board, memory)
}

/// What a device has in flash that has learned for an epoch.
fn prepare<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    let base = Base::parse(Precision::Single.base())?;
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &base, &Setup::ALL, training())?;
    Run::default().epoch(board, learner, OWNER)?;
    keep::save(board, learner, &mut shelf(memory.checkpoint)?, Content::Checkpoint)?;
    keep::save(board, learner, &mut shelf(memory.adapter)?, Content::Adapter)
}

fn check<B: Board>(board: &mut B, what: &'static str, holds: bool) {
    board.log(&Event::Check { what, holds });
}

fn digest(learner: &mut Net<'_>) -> Result<u64, AppError> {
    let mut digest = Digest::default();
    learner.digest(&mut digest)?;
    Ok(digest.value())
}

/// A bit that changed in flash, and a file that was cut short: the device runs on as it was.
fn rotten<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    let base = Base::parse(Precision::Single.base())?;
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &base, &Setup::ALL, training())?;
    let before = digest(learner)?;
    flip(memory.adapter);
    let found = keep::load(board, learner, &mut shelf(memory.adapter)?);
    flip(memory.adapter);
    check(board, "a changed bit is refused", found == Found::Refused(Why::Checksum));
    let mut store = shelf(memory.adapter)?;
    let bytes = store.load(base.fingerprint())?.bytes()?;
    let short = bytes.get(..bytes.len() - 1).unwrap_or_default();
    let found = keep::parsed(learner, short);
    check(board, "a file cut short is refused", found == Err(Why::File));
    let same = digest(learner)? == before;
    check(board, "what is refused changes nothing", same);
    Ok(())
}

/// One bit in each bank: one of them has the file.
fn flip(flash: &mut [u8]) {
    const WHERE: usize = 1000;
    for number in 0..BANKS {
        let at = bank(flash.len(), number) + WHERE;
        if let Some(byte) = flash.get_mut(at) {
            *byte ^= 0x10;
        }
    }
}

/// An adapter of other layers, and one of another base network.
fn foreign<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    let mut store = shelf(memory.adapter)?;
    let base = Base::parse(Precision::Single.base())?;
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &base, &Setup::CACHED, training())?;
    let found = keep::load(board, learner, &mut store);
    check(board, "other layers are refused", found == Found::Refused(Why::Shapes));
    drop(place);
    let half = Base::parse(Precision::Half.base())?;
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &half, &Setup::ALL, training())?;
    let found = keep::load(board, learner, &mut store);
    check(board, "another base network is refused", found == Found::Refused(Why::OtherBase));
    let bytes = store.load(base.fingerprint())?.bytes()?;
    let found = keep::parsed(learner, bytes);
    check(board, "so it is in the file itself", found == Err(Why::OtherBase));
    Ok(())
}

/// Samples that are not finite or have no label.
fn samples<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    let base = Base::parse(Precision::Single.base())?;
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &base, &Setup::ALL, training())?;
    let Some(good) = OWNER.play().next() else { return Ok(()) };
    let mut pixels = good.pixels;
    pixels[17] = f32::NAN;
    let nan = learner.learn(0, &Sample { pixels, ..good });
    check(board, "a NaN is refused", matches!(nan, Err(LearnError::Pixel { index: 17 })));
    let label = learner.learn(0, &Sample { label: 10, ..good });
    check(board, "no digit is refused", matches!(label, Err(LearnError::Label { found: 10 })));
    check(board, "neither counts as a sample", learner.pending() == 0);
    board.log(&Event::Refused { why: Why::Sample });
    Ok(())
}

/// A learning rate at which no loss stays finite: the device goes back to what it had saved.
fn divergence<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    let base = Base::parse(Precision::Single.base())?;
    let mut store = shelf(memory.checkpoint)?;
    let wild = decora::optim::Training { lr: 1e30, ..decora::optim::Training::default() };
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &base, &Setup::ALL, wild)?;
    keep::load(board, learner, &mut store);
    let (before, steps) = (digest(learner)?, learner.steps());
    let outcome = Run::default().epoch(board, learner, OWNER);
    let diverged = matches!(outcome, Err(LearnError::Diverged { .. }));
    check(board, "a loss that is not finite is noticed", diverged);
    board.log(&Event::Refused { why: Why::Diverged });
    keep::load(board, learner, &mut store);
    let back = digest(learner)? == before && learner.steps() == steps;
    check(board, "the device goes back to what it had saved", back);
    Ok(())
}

/// How many images' outputs are compared one by one.
const COMPARED: usize = 8;
/// Both are f32 sums of at most 64 terms in three layers, rounded differently.
const TOLERANCE: f32 = 1e-5;

/// Merged into the base network, the adapter answers as before.
fn merging<B: Board>(board: &mut B, memory: &mut Memory<'_>) -> Result<(), AppError> {
    let base = Base::parse(Precision::Single.base())?;
    let mut flash = shelf(memory.merged)?;
    let mut place = None::<Net<'_>>;
    let learner = Learner::start(&mut place, memory.arena, &base, &Setup::ALL, training())?;
    keep::load(board, learner, &mut shelf(memory.adapter)?);
    let adapted = outputs(learner)?;
    let mut saving = flash.save(Kind::Merged, base.fingerprint())?;
    merged::write(learner, &base, &mut |bytes| saving.write(bytes))?;
    saving.finish()?;
    drop(place);
    let merged = Base::parse(flash.load(base.fingerprint())?.bytes()?)?;
    let mut place = None::<Net<'_>>;
    let plain = Learner::start(&mut place, memory.arena, &merged, &Setup::FROZEN, training())?;
    let close = difference(&adapted, &outputs(plain)?) <= TOLERANCE;
    check(board, "merged outputs are those of the adapter", close);
    Ok(())
}

type Outputs = [[f32; CLASSES]; COMPARED];

fn outputs(learner: &mut Net<'_>) -> Result<Outputs, AppError> {
    let mut outputs = [[0.0; CLASSES]; COMPARED];
    for (y, sample) in outputs.iter_mut().zip(TEST_OWNER.play()) {
        *y = learner.outputs(&sample.pixels)?;
    }
    Ok(outputs)
}

/// The largest difference, relative to the largest output.
fn difference(a: &Outputs, b: &Outputs) -> f32 {
    let (mut largest, mut apart) = (0.0f32, 0.0f32);
    for (a, b) in a.as_flattened().iter().zip(b.as_flattened()) {
        largest = largest.max(a.abs());
        apart = apart.max((a - b).abs());
    }
    apart / largest
}
