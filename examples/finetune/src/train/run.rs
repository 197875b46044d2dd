//! A run from its first step to its results, and all that watches it.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::job;
use super::save;
use super::session::Session;
use super::telemetry::changes;
use crate::checkpoint;
use crate::device::Device;
use crate::error::Error;
use crate::metrics::{Evaluation, Metrics, Step};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::words::{count, duration};

/// A run, and all that watches it.
pub(super) struct Run<'j, B: Device> {
    session: Session<'j, B>,
    metrics: Metrics,
    progress: Progress,
    /// The last checkpoint.
    kept: Option<PathBuf>,
    /// Whether a step went well from it.
    good: bool,
    /// After how many steps it was last evaluated, and what came out.
    judged: Option<(u64, Evaluation)>,
}

impl<'j, B: Device> Run<'j, B> {
    pub(super) fn new(mut session: Session<'j, B>, name: &str) -> Result<Self, Error> {
        let job = session.job;
        let done = session.steps();
        let resumed = job.options.keep.resume.then_some(done);
        let metrics = Metrics::open(job.options.watch.metrics.as_deref(), resumed)?;
        let progress = Progress::new(job.steps, done);
        let rows = job.rows.len();
        let packed = if rows == job.data.examples.len() {
            String::new()
        } else {
            format!(" in {}", count(rows, "row"))
        };
        progress.say(&format!(
            "{name}: training {} on {}{packed}, {}{}",
            count(session.count()?, "number"),
            count(job.data.examples.len(), "example"),
            count(job.steps as usize, "step"),
            resumed.map(|done| format!(", on from step {done}")).unwrap_or_default(),
        ));
        let kept = checkpoint::last(&job.options.out);
        Ok(Self { session, metrics, progress, kept, good: false, judged: None })
    }

    pub(super) fn run(mut self, stop: &Stop) -> Result<String, Error> {
        let (job, begun) = (self.session.job, Instant::now());
        let first = self.session.steps();
        let mut last = None;
        while self.session.steps() < job.steps && !self.out_of_patience() {
            if stop.asked() {
                return Err(self.stopped());
            }
            last = Some(self.step()?);
        }
        self.finish(first)?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok(self.summary(last, first, seconds))
    }

    fn step(&mut self) -> Result<Step, Error> {
        let step = self.session.step().map_err(|e| self.failed(e))?;
        // What a step went well from is good: those before it are not needed any more.
        if let (Some(path), false) = (&self.kept, self.good) {
            checkpoint::remove_others(&self.session.job.options.out, path);
            self.good = true;
        }
        if let Err(e) = self.metrics.step(&step) {
            self.keep()?;
            return Err(self.failed(e));
        }
        self.progress.step(&step);
        let job = self.session.job;
        let due = |every: u64| every > 0 && step.step.is_multiple_of(every);
        if due(job.eval_every()) {
            self.judge()?;
        }
        if due(job.checkpoint_every()) {
            self.keep()?;
        }
        Ok(step)
    }

    /// The error of a step, with the checkpoint that is known to be good.
    fn failed(&self, e: Error) -> Error {
        self.progress.end();
        match e {
            Error::NotFinite { step, what, found, .. } => {
                let before = |kept| checkpoint::before(&self.session.job.options.out, kept);
                let good = self.kept.clone().filter(|_| self.good);
                let kept = good.or_else(|| before(self.kept.as_deref()?));
                Error::NotFinite { step, what, found, kept }
            }
            e => e,
        }
    }

    /// Evaluates, and keeps what is better than all before.
    fn judge(&mut self) -> Result<(), Error> {
        let job = self.session.job;
        let Some(exam) = job.exam() else { return Ok(()) };
        let Session { be, net, .. } = &mut self.session;
        let found = exam.run(be, net)?;
        let step = self.session.steps();
        if !found.eval_loss.is_finite() {
            let (what, found) = ("loss of the evaluation", found.eval_loss);
            return Err(self.failed(Error::NotFinite { step, what, found, kept: None }));
        }
        self.progress.say(&format!("step {step}: evaluation {found}"));
        self.metrics.at(step, &found)?;
        self.tell_changes()?;
        let session = &mut self.session;
        if session.best.is_none_or(|best| found.eval_loss < best) {
            session.save(&job::best(&job.options))?;
            (session.best, session.since_best) = (Some(found.eval_loss), 0);
        } else {
            session.since_best += 1;
        }
        self.judged = Some((step, found));
        Ok(())
    }

    /// How layers have changed, where somebody wants to know.
    fn tell_changes(&mut self) -> Result<(), Error> {
        let step = self.session.steps();
        let Session { job, be, net, names, .. } = &mut self.session;
        if !job.options.watch.telemetry {
            return Ok(());
        }
        changes(be, net, names)?.iter().try_for_each(|change| self.metrics.at(step, change))
    }

    fn out_of_patience(&self) -> bool {
        let patience = self.session.job.options.watch.patience;
        patience > 0 && self.session.since_best >= patience
    }

    /// Writes a checkpoint.
    fn keep(&mut self) -> Result<(), Error> {
        let path = self.session.write_checkpoint().map_err(|e| self.failed(e))?;
        (self.kept, self.good) = (Some(path), false);
        Ok(())
    }

    /// The error of a run that was asked to stop, after its checkpoint is written.
    fn stopped(mut self) -> Error {
        self.progress.end();
        let step = self.session.steps();
        match self.keep() {
            Ok(()) => Error::Stopped { step, kept: self.kept.unwrap_or_default() },
            Err(e) => e,
        }
    }

    /// Writes the results: what was best, or what there is at the end. A run that goes on from its end
    /// has them already.
    fn finish(&mut self, first: u64) -> Result<(), Error> {
        let (job, step) = (self.session.job, self.session.steps());
        if step > first && self.judged.is_none_or(|(at, _)| at != step) {
            self.judge()?;
        }
        if job.exam.is_none() && step > first {
            self.tell_changes()?;
        }
        self.keep()?;
        self.progress.end();
        let (out, best) = (&job.options.out, job::best(&job.options));
        if best.exists() {
            save::take_best(&job.trained, &best, out)?;
            let _ = fs::remove_dir_all(&best);
        } else if job.exam.is_none() || !job::has_results(out) {
            self.session.save(out)?;
        }
        if let Some(path) = &self.kept {
            checkpoint::remove_others(out, path);
        }
        Ok(())
    }

    fn summary(&self, last: Option<Step>, first: u64, seconds: f64) -> String {
        let job = self.session.job;
        let steps = self.session.steps();
        let taken = count((steps - first) as usize, "step");
        let mut text = format!("{taken} in {}", duration(seconds));
        if let Some(step) = last {
            text += &format!(", last loss {:.4}", step.loss);
        }
        if steps < job.steps {
            let since = count(self.session.since_best as usize, "evaluation");
            text += &format!("; stopped early, {since} without a better one");
        }
        if let Some(best) = self.session.best {
            text += &format!("; best evaluation loss {best:.4}");
        }
        text + &format!("\n{}", job.options.out.display())
    }
}
