//! `decora train`.

mod job;
mod method;
mod save;
mod session;
mod telemetry;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

pub use job::Job;
pub use method::{Trained, training};
pub use session::Session;
pub use telemetry::changes;

use crate::checkpoint;
use crate::device::{self, Device, Work};
use crate::error::Error;
use crate::memory;
use crate::metrics::{Evaluation, Metrics, Step};
use crate::options::Train;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::words::{bytes, count, thousands};

/// Steps between checkpoints at least, unless somebody says otherwise: small data has short epochs.
const APART: u64 = 20;
/// Steps of a dry run that are timed, after one that is not.
const TIMED: u32 = 2;

/// Trains, and says what came out.
///
/// # Errors
/// [`Error`]; [`Error::Stopped`] when `stop` was asked for, with everything in a checkpoint.
pub fn train(options: Train, stop: &Stop) -> Result<String, Error> {
    let out = (!options.out.exists()).then(|| options.out.clone());
    let done = run(options, stop);
    if let (Some(out), true) = (out, done.is_err()) {
        // Only if nothing was written into it.
        let _ = fs::remove_dir(out);
    }
    done
}

fn run(options: Train, stop: &Stop) -> Result<String, Error> {
    let job = Job::new(options)?;
    let told = job.data.count.to_string();
    if !told.is_empty() {
        eprintln!("{told}");
    }
    let device = job.options.device.clone();
    device::on(&device, Training { job: &job, stop })
}

struct Training<'j> {
    job: &'j Job,
    stop: &'j Stop,
}

impl Work for Training<'_> {
    type Output = String;

    fn run<B: Device>(self, be: B, name: &str) -> Result<String, Error> {
        let Self { job, stop } = self;
        let tensors = decora_hub::network::Tensors::read(
            &job.model.weights,
            &job.model.architecture,
            Some(job.options.examples.seed),
        )?;
        let mut session = Session::new(be, job, &tensors)?;
        if job.options.dry_run {
            return estimate(&mut session, name);
        }
        match job.options.keep.resume {
            true => session.resume()?,
            false => job::clear(&job.options)?,
        }
        Run::new(session, name)?.run(stop)
    }
}

/// What a run would take, by some of its steps.
fn estimate<B: Device>(session: &mut Session<'_, B>, name: &str) -> Result<String, Error> {
    let first = session.step()?;
    let begun = Instant::now();
    for _ in 0..TIMED {
        session.step()?;
    }
    let step = begun.elapsed().as_secs_f64() / f64::from(TIMED);
    let job = session.job;
    let tokens: usize = job.data.lengths().iter().sum();
    let memory = memory::peak().map_or_else(|| "unknown".to_owned(), bytes);
    Ok(format!(
        "{name}\n\
         trained numbers: {}\n\
         examples: {}, of {} together, in {}\n\
         steps: {}, of {step:.3} s each (measured): {}\n\
         memory: {memory} (measured)\n\
         loss of the first step: {:.4}\n\
         nothing was written",
        thousands(session.count()?),
        thousands(job.data.examples.len()),
        count(tokens, "token"),
        count(job.rows.len(), "row"),
        job.steps,
        duration(step * job.steps as f64),
        first.loss,
    ))
}

/// Seconds in words.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("{:.1} min", s / 60.0),
        s => format!("{s:.1} s"),
    }
}

/// A run, and all that watches it.
struct Run<'j, B: Device> {
    session: Session<'j, B>,
    metrics: Metrics,
    progress: Progress,
    /// The last checkpoint.
    kept: Option<PathBuf>,
    /// The last one that a step went well from.
    good: Option<PathBuf>,
    /// After how many steps it was last evaluated, and what came out.
    judged: Option<(u64, Evaluation)>,
}

impl<'j, B: Device> Run<'j, B> {
    fn new(mut session: Session<'j, B>, name: &str) -> Result<Self, Error> {
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
        Ok(Self { session, metrics, progress, kept, good: None, judged: None })
    }

    fn run(mut self, stop: &Stop) -> Result<String, Error> {
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
        if let Some(path) = &self.kept {
            checkpoint::remove_others(&self.session.job.options.out, path);
            self.good = Some(path.clone());
        }
        if let Err(e) = self.metrics.step(&step) {
            self.keep()?;
            return Err(self.failed(e));
        }
        self.progress.step(&step);
        let job = self.session.job;
        let due = |every: u64| every > 0 && step.step.is_multiple_of(every);
        if due(job.options.watch.eval_every.unwrap_or(job.epoch)) {
            self.judge()?;
        }
        if due(job.options.keep.checkpoint_every.unwrap_or(job.epoch.max(APART))) {
            self.keep()?;
        }
        Ok(step)
    }

    /// The error of a step, with the checkpoint that is known to be good.
    fn failed(&self, e: Error) -> Error {
        self.progress.end();
        match e {
            Error::NotFinite { step, what, found, .. } => {
                Error::NotFinite { step, what, found, kept: self.good.clone() }
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
        let out = &self.session.job.options.out;
        let checkpoint = self.session.checkpoint().map_err(|e| self.failed(e))?;
        let session = &mut self.session;
        let path = checkpoint.write(out, |folder| session.save_in_checkpoint(folder))?;
        self.kept = Some(path);
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
