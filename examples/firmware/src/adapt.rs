//! Adaptation and measurement.

use decora::direction::Direction;

use crate::board::{Board, Cost, Event, Score};
use crate::digest::Digest;
use crate::digits::Recording;
use crate::learner::{Device, Fault, LearnError, Learner};
use crate::setup::{ACCUMULATE, SAMPLES, STEPS};

/// After so many steps a digest is logged.
pub const DIGEST_AT: u64 = 10;

/// A run of training: what it cost so far, and a hash of what it computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// Of all losses.
    digest: Digest,
    /// Samples that neither follow a step nor bring one about.
    samples: Count,
    /// Steps with all their samples.
    steps: Count,
}

/// How often something was done, and how many instructions that took.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    times: u64,
    instructions: u64,
}

impl Count {
    fn mean(&self) -> u32 {
        (self.instructions / self.times.max(1)) as u32
    }
}

impl Run {
    /// What samples and steps cost on average.
    #[must_use]
    pub fn cost(&self, arena: usize) -> Cost {
        let (sample, step) = (self.samples.mean(), self.steps.mean());
        Cost { arena: (arena * size_of::<f32>()) as u32, sample, step, inference: 0 }
    }

    /// From where the optimiser is to the end of the epoch: the mean loss of its steps.
    ///
    /// # Errors
    /// As [`Learner::learn`].
    pub fn epoch<'m, B: Board + ?Sized, D: Direction<Device<'m>>>(
        &mut self,
        board: &mut B,
        learner: &mut Learner<'m, D>,
        owner: Recording<'_>,
    ) -> Result<f32, LearnError> {
        let (mut sum, mut count) = (0.0, 0.0);
        let first = (learner.steps() * ACCUMULATE as u64 % SAMPLES as u64) as usize;
        for number in first..owner.len().min(SAMPLES) {
            if let Some(loss) = self.sample(board, learner, number, owner)? {
                (sum, count) = (sum + loss, count + 1.0);
            }
        }
        Ok((sum / count) as f32)
    }

    fn sample<'m, B: Board + ?Sized, D: Direction<Device<'m>>>(
        &mut self,
        board: &mut B,
        learner: &mut Learner<'m, D>,
        number: usize,
        owner: Recording<'_>,
    ) -> Result<Option<f64>, LearnError> {
        let Some(sample) = owner.get(number) else { return Ok(None) };
        let (fresh, start) = (learner.pending() == 0, board.instructions());
        let loss = learner.learn(number, &sample)?;
        let instructions = board.instructions() - start;
        self.steps.instructions += instructions;
        let Some(of) = loss else {
            self.samples.times += u64::from(!fresh);
            self.samples.instructions += if fresh { 0 } else { instructions };
            return Ok(None);
        };
        self.steps.times += 1;
        self.digest.add(of as f32);
        if learner.steps() == DIGEST_AT {
            let mut digest = self.digest;
            learner.digest(&mut digest)?;
            board.log(&Event::Digest { steps: DIGEST_AT, hash: digest.value() });
        }
        Ok(loss)
    }
}

/// From where the optimiser is to the last step.
///
/// # Errors
/// As [`Learner::learn`].
pub fn train<'m, B: Board + ?Sized, D: Direction<Device<'m>>>(
    board: &mut B,
    learner: &mut Learner<'m, D>,
    owner: Recording<'_>,
) -> Result<Run, LearnError> {
    let mut run = Run::default();
    while learner.steps() < STEPS {
        run.epoch(board, learner, owner)?;
    }
    Ok(run)
}

/// How many of a recording's images are read rightly.
///
/// # Errors
/// What the library answers.
pub fn score<'m, D: Direction<Device<'m>>>(
    learner: &mut Learner<'m, D>,
    images: Recording<'_>,
) -> Result<Score, Fault> {
    let mut score = Score::default();
    for sample in images.play() {
        let y = learner.outputs(&sample.pixels)?;
        let best = y.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        score.right += u32::from(best.is_some_and(|(i, _)| i as u32 == sample.label));
        score.of += 1;
    }
    Ok(score)
}
