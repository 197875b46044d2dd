//! One method in a process of its own: a step for each line that it is sent.

use core::cell::RefCell;
use core::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use decora::init::Rng;
use decora_finetune::Error as Failure;
use decora_finetune::device::{self, Device, Work};
use decora_finetune::memory;
use decora_finetune::options::{Request, Task, Train, parse};
use decora_finetune::train::{Job, Session};
use decora_hub::network::Tensors;
use serde_json::json;

use super::Options;
use super::timed::{Parts, Timed};

/// Steps in which parts are timed, from the third on: before, memory is touched.
const WARM: usize = 2;

/// Takes steps until there are no more lines.
pub(crate) fn serve(options: &Options, method: &str) -> Result<(), Box<dyn Error>> {
    let model = options.model.as_deref().ok_or("--serve needs a --model")?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data.jsonl");
    let train = training(options, method, model, &data)?;
    let vocabulary = decora_hub::Architecture::read(model)?.vocab;
    fs::write(&data, examples(options.batch, options.tokens, vocabulary))?;
    let job = Job::new(train)?;
    device::on(&job.options.device, Steps { job: &job, parts: options.parts, method })?;
    Ok(())
}

/// What `decora train` would be told.
fn training(
    options: &Options,
    method: &str,
    model: &Path,
    data: &Path,
) -> Result<Train, Box<dyn Error>> {
    let (rank, batch) = (options.rank.to_string(), options.batch.to_string());
    let (context, vulkan) = (options.tokens.to_string(), options.backend != "cpu");
    let mut all: Vec<OsString> =
        ["decora", "train", "--dry-run", "--train-on-prompt"].map(Into::into).into();
    let pairs: [(&str, &std::ffi::OsStr); 11] = [
        ("--model", model.as_ref()),
        ("--data", data.as_ref()),
        ("--out", model.as_ref()),
        ("--method", method.as_ref()),
        ("--rank", rank.as_ref()),
        ("--batch", batch.as_ref()),
        ("--context", context.as_ref()),
        ("--backend", if vulkan { "vulkan".as_ref() } else { "cpu".as_ref() }),
        ("--dtype", options.dtype.as_ref()),
        ("--lr", "1e-4".as_ref()),
        ("--schedule", "constant".as_ref()),
    ];
    all.extend(pairs.iter().flat_map(|(name, value)| [(*name).into(), (*value).to_owned()]));
    match parse(all.into_iter())? {
        Request::Task(Task::Train(train)) => Ok(*train),
        _ => Err("decora train was understood as something else".into()),
    }
}

/// Random tokens, all of them trained on.
fn examples(batch: usize, tokens: usize, vocabulary: usize) -> String {
    let mut rng = Rng::new(3);
    let mut token = || rng.next_u64() % vocabulary.max(1) as u64;
    let mut line = || {
        let ids: Vec<u64> = (0..tokens).map(|_| token()).collect();
        format!("{}\n", json!({ "input_ids": ids, "labels": ids }))
    };
    (0..batch).map(|_| line()).collect()
}

struct Steps<'j> {
    job: &'j Job,
    parts: bool,
    method: &'j str,
}

impl Work for Steps<'_> {
    type Output = ();

    fn run<B: Device>(self, be: B, _: &str) -> Result<(), Failure> {
        let model = &self.job.model;
        let tensors = Tensors::read(&model.weights, &model.architecture, Some(0))?;
        if !self.parts {
            return steps(Session::new(be, self.job, &tensors)?, |_| {});
        }
        let parts = Rc::new(RefCell::new(Parts::default()));
        let timed = Timed::new(be, Rc::clone(&parts));
        let mut count = 0;
        steps(Session::new(timed, self.job, &tensors)?, |_| {
            count += 1;
            let mut parts = parts.borrow_mut();
            match count {
                WARM => parts.begin(),
                _ => parts.end(),
            }
        })?;
        let parts = parts.borrow();
        println!("\n{}: {}", self.method, parts.table(count.saturating_sub(WARM)));
        Ok(())
    }
}

fn steps<B: Device>(
    mut session: Session<'_, B>,
    mut after: impl FnMut(f64),
) -> Result<(), Failure> {
    let trained = session.count()?;
    for _ in stdin().lock().lines() {
        let begun = Instant::now();
        let step = session.step()?;
        let seconds = begun.elapsed().as_secs_f64();
        after(seconds);
        let (loss, peak) = (step.loss, memory::peak());
        let line =
            json!({ "seconds": seconds, "loss": loss, "peak_bytes": peak, "trained": trained });
        // Whoever closed standard output does not want it.
        let _ = writeln!(stdout(), "{line}");
    }
    Ok(())
}
