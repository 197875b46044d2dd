//! `decora train`.

mod estimate;
mod job;
mod method;
mod run;
mod save;
mod session;
mod telemetry;

use std::fs;

pub use job::Job;
pub use method::{Trained, training};
pub use session::Session;
pub use telemetry::changes;

use crate::device::{self, Device, Work};
use crate::error::Error;
use crate::options::Train;
use crate::stop::Stop;
use estimate::estimate;
use run::Run;

/// Trains, and says what came out.
///
/// # Errors
/// [`Error`]; [`Error::Stopped`] when `stop` was asked for, with everything in a checkpoint.
pub fn train(options: Train, stop: &Stop) -> Result<String, Error> {
    let out = (!options.out.exists()).then(|| options.out.clone());
    let done = begin(options, stop);
    if let (Some(out), true) = (out, done.is_err()) {
        // Only if nothing was written into it.
        let _ = fs::remove_dir(out);
    }
    done
}

fn begin(options: Train, stop: &Stop) -> Result<String, Error> {
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
