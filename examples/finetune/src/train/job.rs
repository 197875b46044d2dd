//! A training run before its first step: options, model and data, checked and put together.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use decora_hub::config::Head;
use decora_hub::network::Sizes;
use decora_hub::{files, peft, weights};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::method::Trained;
use crate::batch::Order;
use crate::checkpoint;
use crate::data::{Dataset, Example, Row, apart, pack};
use crate::error::Error;
use crate::evaluate::Exam;
use crate::model::Model;
use crate::network;
use crate::options::{Method, Train};

/// Times through the data when nobody says.
const EPOCHS: u64 = 3;
/// Steps between checkpoints at least, unless somebody says otherwise: small data has short epochs.
const APART: u64 = 20;
/// The folder in the results' folder for the best adapter so far.
const BEST: &str = "best";

/// Files of which one is among the results of any run.
const RESULTS: [&str; 3] = [peft::CONFIG, weights::SINGLE, weights::INDEX];

/// A training run before its first step.
#[derive(Debug)]
pub struct Job {
    /// What was asked for.
    pub options: Train,
    /// The model.
    pub model: Model,
    /// What is trained of it.
    pub trained: Trained,
    /// Examples to train on.
    pub data: Dataset,
    /// Which of them make a row of a batch.
    pub rows: Vec<Row>,
    /// Examples to evaluate on.
    pub exam: Option<Dataset>,
    /// Steps, all in all.
    pub steps: u64,
    /// Steps in an epoch.
    pub epoch: u64,
    /// What the run depends on.
    pub settings: Map<String, Value>,
}

impl Job {
    /// Opens and reads everything.
    ///
    /// # Errors
    /// [`Error`]; nothing has been written or removed then.
    pub fn new(options: Train) -> Result<Self, Error> {
        if !options.dry_run {
            claim(&options)?;
        }
        let mut model = Model::open(&options.model)?;
        let start = options.adapter.start.as_deref();
        let start = start.map(|path| model.adapter(path)).transpose()?;
        add_classifier(options.classes, &mut model)?;
        let trained = Trained::new(&options, &model, start)?;
        let examples = &options.examples;
        let encoder = model.encoder(examples.context, examples.train_on_prompt)?;
        let data = Dataset::load(&options.data, &encoder, examples.skip_bad_lines)?;
        let exam = options.watch.eval.as_slice();
        let exam = (!exam.is_empty())
            .then(|| Dataset::load(exam, &encoder, examples.skip_bad_lines))
            .transpose()?;
        let rows = match examples.pack {
            true => pack(&data.lengths(), encoder.context),
            false => apart(data.examples.len()),
        };
        let epoch = Order::new(rows.clone(), examples.batch, examples.accumulate, None).steps();
        let epochs = options.optimizer.epochs.unwrap_or(EPOCHS);
        let steps = options.optimizer.steps.unwrap_or(epochs * epoch);
        let settings = settings(&options, &model)?;
        Ok(Self { options, model, trained, data, rows, exam, steps, epoch, settings })
    }

    /// The order in which rows are taken.
    #[must_use]
    pub fn order(&self) -> Order {
        let examples = &self.options.examples;
        let seed = (!examples.no_shuffle).then_some(examples.seed);
        Order::new(self.rows.clone(), examples.batch, examples.accumulate, seed)
    }

    /// The evaluation, where there is one.
    #[must_use]
    pub fn exam(&self) -> Option<Exam<'_>> {
        let batch = self.options.examples.batch;
        let view = self.model.view();
        self.exam.as_ref().map(|data| Exam { examples: &data.examples, batch, view })
    }

    /// Steps between evaluations.
    #[must_use]
    pub fn eval_every(&self) -> u64 {
        self.options.watch.eval_every.unwrap_or(self.epoch)
    }

    /// Steps between checkpoints; 0: there is one at the end only.
    #[must_use]
    pub fn checkpoint_every(&self) -> u64 {
        self.options.keep.checkpoint_every.unwrap_or(self.epoch.max(APART))
    }

    /// Evaluations, the one at the end among them.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        if self.exam.is_some() { self.steps.div_ceil(self.eval_every().max(1)) } else { 0 }
    }

    /// Checkpoints, the one at the end among them.
    #[must_use]
    pub fn checkpoints(&self) -> u64 {
        // The one at the end is written whether or not one was due then.
        1 + self.steps.checked_div(self.checkpoint_every()).unwrap_or(0)
    }

    /// The examples of a row.
    pub fn examples(&self, row: &Row) -> impl Iterator<Item = &Example> {
        row.iter().filter_map(|&i| self.data.examples.get(i))
    }

    /// Room for the largest batches.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let batch = self.options.examples.batch;
        let tokens = |row: &Row| self.examples(row).map(|e| e.ids.len()).sum();
        let trained = largest(self.rows.iter().map(tokens), batch);
        let rows = trained.max(self.exam().map_or(0, |exam| exam.rows()));
        let sequences = largest(self.rows.iter().map(Vec::len), batch).max(batch);
        let exam = self.exam.iter().flat_map(|data| &data.examples);
        let longest = self.data.examples.iter().chain(exam).map(|e| e.ids.len()).max();
        let sizes = network::sizes(&self.model, rows, sequences, longest.unwrap_or_default());
        Sizes { moments: 2, recompute: self.options.recompute, learns: true, ..sizes }
    }
}

/// Gives a model without a head a classifier, of so many classes where somebody says so.
fn add_classifier(asked: Option<usize>, model: &mut Model) -> Result<(), Error> {
    let (head, classes) = (model.architecture.head, model.architecture.classes);
    match asked {
        Some(asked) if head == Head::Language || (head == Head::Classes && asked != classes) => {
            let expected = match head {
                Head::Language => "a model without a head: this one has a language head".to_owned(),
                _ => format!("{classes}: the model or its adapter has that classifier already"),
            };
            Err(Error::Unfit { option: "--classes", found: asked.to_string(), expected })
        }
        asked => {
            model.add_classifier(asked.unwrap_or(classes));
            Ok(())
        }
    }
}

/// The sum of the `count` largest.
fn largest(sizes: impl Iterator<Item = usize>, count: usize) -> usize {
    let mut all: Vec<usize> = sizes.collect();
    all.sort_unstable_by_key(|size| core::cmp::Reverse(*size));
    all.iter().take(count).sum()
}

/// Makes sure that results can be written, and that none of another run are lost.
fn claim(options: &Train) -> Result<(), Error> {
    let out = &options.out;
    files::writable(out).map_err(Error::file("write", out))?;
    let real = |path: &Path| fs::canonicalize(path).ok();
    if real(out).is_some() && real(out) == real(&options.model) {
        let expected = "another folder".to_owned();
        return Err(Error::Unfit {
            option: "--out",
            found: "that of the model".to_owned(),
            expected,
        });
    }
    let results = RESULTS.map(|name| out.join(name));
    // Files of the one kind of results would stay beside those of the other.
    let full = options.adapter.method == Method::Full;
    let other = results.iter().find(|path| path.exists() && full == path.ends_with(peft::CONFIG));
    if let Some(path) = other {
        let found = format!("a folder with {}", path.display());
        let expected = "another one: it is of a run with another --method".to_owned();
        return Err(Error::Unfit { option: "--out", found, expected });
    }
    let earlier = checkpoint::last(out).into_iter().chain(results).find(|path| path.exists());
    match earlier.filter(|_| !options.keep.resume && !options.keep.overwrite) {
        Some(path) => Err(Error::Taken { path }),
        None => Ok(()),
    }
}

/// Whether there are results of a run.
pub(super) fn has_results(out: &Path) -> bool {
    RESULTS.iter().any(|name| out.join(name).exists())
}

/// Removes the checkpoints of earlier runs, and their best results so far.
pub(super) fn clear(options: &Train) -> Result<(), Error> {
    checkpoint::remove_all(&options.out)?;
    let _ = fs::remove_dir_all(best(options));
    Ok(())
}

/// What the run depends on: a resumed one must have the same.
fn settings(options: &Train, model: &Model) -> Result<Map<String, Value>, Error> {
    let mut all = Map::new();
    let parts = [
        serde_json::to_value(&options.adapter),
        serde_json::to_value(&options.optimizer),
        serde_json::to_value(&options.examples),
        Ok(json!({ "dtype": options.device.dtype })),
    ];
    for part in parts.into_iter().flatten() {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    let mut data = Sha256::new();
    for path in &options.data {
        let mut file = File::open(path).map_err(Error::file("read", path))?;
        io::copy(&mut file, &mut data).map_err(Error::file("read", path))?;
    }
    all.insert("the data (its SHA-256)".to_owned(), hex(data).into());
    all.insert("the model (its SHA-256)".to_owned(), model_hash(model)?.into());
    Ok(all)
}

/// A hash of `config.json`, and of the names and sizes of all tensors' files.
fn model_hash(model: &Model) -> Result<String, Error> {
    let path = &model.architecture.path;
    let mut hash = Sha256::new();
    hash.update(fs::read(path).map_err(Error::file("read", path))?);
    for file in model.weights.files() {
        let path: &Path = file.path();
        let size = fs::metadata(path).map_err(Error::file("read", path))?.len();
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(size.to_le_bytes());
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the best adapter so far is.
pub(super) fn best(options: &Train) -> PathBuf {
    options.out.join(BEST)
}
