//! `decora train --dry-run`: what a run would take, by some of its steps.

use std::time::Instant;

use super::job::Job;
use super::session::Session;
use crate::batch::Position;
use crate::data::Example;
use crate::device::Device;
use crate::error::Error;
use crate::evaluate::Exam;
use crate::memory;
use crate::words::{bytes, count, duration, thousands};

/// Steps that are short are timed again until so many seconds are over, or so many times.
const ENOUGH: (f64, u32) = (1.0, 12);
/// Epochs whose batches are counted; those of later ones are taken to be alike.
const EPOCHS: u64 = 3;
/// Bytes in a checkpoint for a number: its value and two moments.
const KEPT: usize = 12;

/// A step of a run.
#[derive(Clone, Copy, Debug)]
struct Taken {
    /// Where it begins.
    at: Position,
    /// Tokens of all its batches.
    tokens: usize,
    /// Tokens of the largest of them.
    room: usize,
}

/// The steps that are tried for all: time goes with the number of tokens, memory with the largest batch.
#[derive(Clone, Copy, Debug)]
struct Sample {
    small: Taken,
    large: Taken,
    /// Tokens of a step.
    mean: f64,
}

impl Sample {
    /// `None` for a run without steps.
    fn of(job: &Job) -> Option<Self> {
        let mut order = job.order();
        let (mut sample, mut sum): (Option<Self>, usize) = (None, 0);
        let steps = job.steps.min(EPOCHS * job.epoch);
        for _ in 0..steps {
            let at = order.position();
            let batches = order.next_step();
            let sizes =
                batches.iter().map(|rows| tokens(rows.iter().flat_map(|r| job.examples(r))));
            let (tokens, room) = sizes.fold((0, 0), |(sum, most), n| (sum + n, most.max(n)));
            let taken = Taken { at, tokens, room };
            let best = sample.unwrap_or(Self { small: taken, large: taken, mean: 0.0 });
            let small = if tokens < best.small.tokens { taken } else { best.small };
            let large = if room > best.large.room { taken } else { best.large };
            sample = Some(Self { small, large, mean: 0.0 });
            sum += tokens;
        }
        sample.map(|sample| Self { mean: sum as f64 / steps as f64, ..sample })
    }

    /// Seconds of a step of the mean size, by those of the two: a straight line through both.
    fn seconds(&self, small: f64, large: f64) -> f64 {
        let (least, most) = (self.small.tokens as f64, self.large.tokens as f64);
        match most > least && large > small {
            true => small + (large - small) * (self.mean - least) / (most - least),
            false => f64::midpoint(small, large),
        }
    }
}

/// Tokens of some examples.
fn tokens<'e>(examples: impl IntoIterator<Item = &'e Example>) -> usize {
    examples.into_iter().map(|example| example.ids.len()).sum()
}

/// What a run would take, by some of its steps.
pub(super) fn estimate<B: Device>(
    session: &mut Session<'_, B>,
    name: &str,
) -> Result<String, Error> {
    let first = session.step()?.loss;
    let step = seconds_of_a_step(session)?;
    let judging = seconds_of_an_evaluation(session)?;
    session.make_results()?;
    let job = session.job;
    let seconds = step * job.steps as f64 + judging.unwrap_or(0.0) * job.evaluations() as f64;
    let memory = memory::peak().map_or_else(|| "unknown".to_owned(), bytes);
    let mut lines = vec![name.to_owned()];
    lines.extend(sizes(job, session.count()?));
    lines.push(format!("steps: {}, of {step:.3} s each (measured)", job.steps));
    lines.extend(
        judging.map(|s| format!("evaluations: {}, of {s:.3} s each (measured)", job.evaluations())),
    );
    lines.extend([
        format!("time: {}, and that of writing checkpoints", duration(seconds)),
        format!("memory: {memory} (measured)"),
        format!("loss of the first step: {first:.4}"),
        "nothing was written".to_owned(),
    ]);
    Ok(lines.join("\n"))
}

/// What is known without a step.
fn sizes(job: &Job, trained: usize) -> [String; 3] {
    let together = count(tokens(&job.data.examples), "token");
    let (examples, rows) = (thousands(job.data.examples.len()), count(job.rows.len(), "row"));
    let kept = bytes((KEPT * trained) as u64);
    [
        format!("trained numbers: {}", thousands(trained)),
        format!("examples: {examples}, of {together} together, in {rows}"),
        format!("checkpoints: {}, of {kept} each; the last one stays", job.checkpoints()),
    ]
}

/// Seconds of a step, taken together over the run. The largest comes first: it takes what memory a run
/// ever takes.
fn seconds_of_a_step<B: Device>(session: &mut Session<'_, B>) -> Result<f64, Error> {
    let Some(sample) = Sample::of(session.job) else { return Ok(0.0) };
    session.step_at(sample.large.at)?;
    let (begun, mut times, mut sums) = (Instant::now(), 0, [0.0; 2]);
    while times == 0 || (begun.elapsed().as_secs_f64() < ENOUGH.0 && times < ENOUGH.1) {
        for (sum, taken) in sums.iter_mut().zip([sample.small, sample.large]) {
            let begun = Instant::now();
            session.step_at(taken.at)?;
            *sum += begun.elapsed().as_secs_f64();
        }
        times += 1;
    }
    let [small, large] = sums.map(|sum| sum / f64::from(times));
    Ok(sample.seconds(small, large))
}

/// Seconds of an evaluation, by its largest batch; `None` without one.
fn seconds_of_an_evaluation<B: Device>(session: &mut Session<'_, B>) -> Result<Option<f64>, Error> {
    let Some(exam) = session.job.exam() else { return Ok(None) };
    let largest = exam.examples.chunks(exam.batch).max_by_key(|batch| tokens(*batch));
    let part = Exam { examples: largest.unwrap_or_default(), ..exam };
    let begun = Instant::now();
    part.run(&mut session.be, &mut session.net)?;
    let share = tokens(part.examples).max(1) as f64 / tokens(exam.examples).max(1) as f64;
    Ok(Some(begun.elapsed().as_secs_f64() / share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_mean_size_is_on_the_line_through_both() {
        let taken = |tokens| Taken { at: Position::default(), tokens, room: tokens };
        let sample = Sample { small: taken(100), large: taken(300), mean: 150.0 };
        assert!((sample.seconds(1.0, 3.0) - 1.5).abs() < 1e-12);
        assert!((sample.seconds(3.0, 1.0) - 2.0).abs() < 1e-12, "noise has no slope");
    }
}
