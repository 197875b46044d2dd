//! Adaptation and measurement.

use decora::direction::Direction;

use crate::board::{Board, Cost, Event, Score};
use crate::digest::Digest;
use crate::digits::{Recording, Sample};
use crate::learner::{Device, Fault, LearnError, Learner};
use crate::setup::{ACCUMULATE, SAMPLES, STEPS};

/// After so many steps a digest is logged.
pub const DIGEST_AT: u64 = 10;

/// A run of training: what it cost so far, and a hash of what it computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// Of all losses.
    digest: Digest,
    samples: Count,
    steps: Count,
}

/// How often something was done, and how many instructions that took.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    times: u32,
    instructions: u32,
}

impl Count {
    fn add(&mut self, instructions: u64) {
        self.times = self.times.saturating_add(1);
        self.instructions = self.instructions.saturating_add(instructions as u32);
    }

    fn mean(&self) -> u32 {
        self.instructions.checked_div(self.times).unwrap_or_default()
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
    /// As [`Learner::learn`] and [`Learner::step`].
    #[inline(never)]
    pub fn epoch<'m, B: Board + ?Sized, D: Direction<Device<'m>>>(
        &mut self,
        board: &mut B,
        learner: &mut Learner<'m, D>,
        owner: Recording<'_>,
    ) -> Result<f32, LearnError> {
        let (mut sum, mut count) = (0.0, 0.0);
        let first = learner.steps() as usize * ACCUMULATE % SAMPLES;
        for number in first..owner.len().min(SAMPLES) {
            self.sample(board, learner, number, owner)?;
            if learner.is_due() {
                (sum, count) = (sum + self.step(board, learner)?, count + 1.0);
            }
        }
        Ok(sum / count)
    }

    /// A function of its own, as the others: the sample need not stay on the stack during a step.
    #[inline(never)]
    fn sample<'m, B: Board + ?Sized, D: Direction<Device<'m>>>(
        &mut self,
        board: &mut B,
        learner: &mut Learner<'m, D>,
        number: usize,
        owner: Recording<'_>,
    ) -> Result<(), LearnError> {
        let mut sample = Sample::BLANK;
        if owner.read(number, &mut sample) {
            let start = board.instructions();
            learner.learn(number, &sample)?;
            self.samples.add(board.instructions() - start);
        }
        Ok(())
    }

    #[inline(never)]
    fn step<'m, B: Board + ?Sized, D: Direction<Device<'m>>>(
        &mut self,
        board: &mut B,
        learner: &mut Learner<'m, D>,
    ) -> Result<f32, LearnError> {
        let start = board.instructions();
        let loss = learner.step()?;
        self.steps.add(board.instructions() - start);
        self.digest.add(loss);
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
    let mut sample = Sample::BLANK;
    for number in 0..images.len() {
        images.read(number, &mut sample);
        let y = learner.outputs(&sample.pixels)?;
        let best = y.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        score.right += u32::from(best.is_some_and(|(i, _)| i as u32 == sample.label));
        score.of += 1;
    }
    Ok(score)
}
