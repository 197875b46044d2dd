//! The log, over defmt: strings stay on the host, only numbers travel.

use decora_firmware::board::{Cost, Event, Score};
use defmt::{error, info, warn};

/// Whole percents and tenths.
fn percent(score: &Score) -> (u32, u32) {
    (score.permille() / 10, score.permille() % 10)
}

pub(super) fn log(event: &Event) {
    match *event {
        Event::Started { arena, base } => {
            info!("decora: arena of {=u32} bytes, base network {=u64:016x}", arena, base);
        }
        Event::Fresh => info!("nothing is stored: running with the base network"),
        Event::Loaded { steps } => info!("loaded from flash, after {=u64} steps", steps),
        Event::Refused { why } => warn!("refused: {=str}", why.text()),
        Event::Accuracy { when, owner, old } => {
            let ((a, b), (c, d)) = (percent(&owner), percent(&old));
            info!("{=str}: owner {=u32}.{=u32} %, old users {=u32}.{=u32} %", when, a, b, c, d);
        }
        Event::Epoch { number, loss } => info!("epoch {=u32}: loss {=f32}", number, loss),
        Event::Digest { steps, hash } => info!("digest {=u64}: {=u64:016x}", steps, hash),
        Event::Saved { what, bytes } => info!("saved {=str}: {=u32} bytes", what, bytes),
        Event::Check { what, holds: true } => info!("holds: {=str}", what),
        Event::Check { what, holds: false } => error!("DOES NOT HOLD: {=str}", what),
        Event::Adapted { setup, weights, before, after } => {
            let ((a, b), (c, d)) = (percent(&before), percent(&after));
            info!(
                "adapted {=str}, {=str}: owner {=u32}.{=u32} % to {=u32}.{=u32} %",
                setup, weights, a, b, c, d
            );
        }
        Event::Spent(Cost { arena, sample, step, inference }) => {
            info!("arena: {=u32} bytes", arena);
            info!("instructions: a sample {=u32}, a step {=u32}", sample, step);
            if inference > 0 {
                info!("instructions: reading an image {=u32}", inference);
            }
        }
        _ => warn!("an event without a text"),
    }
}
