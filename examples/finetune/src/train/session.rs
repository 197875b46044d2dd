//! A training run on a device.

use std::path::{Path, PathBuf};
use std::time::Instant;

use decora::adapter::Pass;
use decora::backend::{AccumOf, Backend, Store};
use decora::buffer::Acc;
use decora::init::Rng;
use decora::optim::Optimizer;
use decora::param::{Param, Parameters};
use decora_hub::network::{Method, Names, Net, Tensors, build, load};

use super::job::Job;
use super::method::{Trained, training};
use crate::batch::{Batch, Order, Position};
use crate::checkpoint::{self, CheckpointError, State, Writer};
use crate::data::Row;
use crate::device::Device;
use crate::error::Error;
use crate::memory;
use crate::metrics::Step;

/// Names of moments in a checkpoint, after that of their parameter.
const MOMENTS: [&str; 2] = ["first", "second"];

/// A training run on a device.
#[derive(Debug)]
pub struct Session<'j, B: Device> {
    pub(super) job: &'j Job,
    pub(super) be: B,
    pub(super) net: Net<'j, B>,
    pub(super) names: Names,
    optimizer: Optimizer<B>,
    order: Order,
    /// The least loss of an evaluation, and how many followed.
    pub(super) best: Option<f64>,
    pub(super) since_best: u64,
}

impl<'j, B: Device> Session<'j, B> {
    /// Before the first step.
    ///
    /// # Errors
    /// [`Error::Hub`] and [`Error::Network`].
    pub fn new(mut be: B, job: &'j Job, tensors: &'j Tensors<'j>) -> Result<Self, Error> {
        let architecture = &job.model.architecture;
        let spec = |module: &_| job.trained.spec(module);
        let method = match &job.trained {
            Trained::Full => Method::Full,
            Trained::Adapters { .. } => Method::Adapters(&spec),
        };
        let mut rng = Rng::new(job.options.examples.seed);
        let mut net = build(&mut be, architecture, tensors, method, job.sizes(), &mut rng)?;
        let names = Names::new(architecture);
        if let Trained::Adapters { start: Some(adapter), .. } = &job.trained {
            load(&mut be, &mut net, &names, adapter)?;
        }
        let optimizer = Optimizer::new(&mut be, training(&job.options, job.steps))?;
        let order = job.order();
        Ok(Self { job, be, net, names, optimizer, order, best: None, since_best: 0 })
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// How many numbers are trained.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn count(&mut self) -> Result<usize, Error> {
        Ok(self.net.count(&mut self.be)?)
    }

    /// Takes the next step.
    ///
    /// # Errors
    /// [`Error::NotFinite`], before anything is changed; [`Error::Network`].
    pub fn step(&mut self) -> Result<Step, Error> {
        let begun = Instant::now();
        let batches = self.batches();
        let counted: usize = batches.iter().map(Batch::counted).sum();
        let scale = 1.0 / counted.max(1) as f64;
        let (be, net) = (&mut self.be, &mut self.net);
        for (i, batch) in batches.iter().enumerate() {
            let pass = Pass::Train(mask(self.job.options.examples.seed, self.optimizer.steps(), i));
            let store = if i == 0 { Store::Replace } else { Store::Add };
            net.forward(be, &batch.tokens(), pass)?;
            net.learn(be, &batch.labels, scale, pass, store)?;
        }
        let loss = net.loss(be)?;
        let grad_norm = self.optimizer.grad_norm(be, net)?;
        let step = self.optimizer.steps() + 1;
        for (what, found) in [("loss", loss), ("norm of the gradient", grad_norm)] {
            if !found.is_finite() {
                return Err(Error::NotFinite { step, what, found, kept: None });
            }
        }
        let lr = self.optimizer.lr();
        self.optimizer.step(be, net)?;
        let tokens: usize = batches.iter().map(|batch| batch.ids.len()).sum();
        let tokens_per_s = tokens as f64 / begun.elapsed().as_secs_f64().max(1e-9);
        Ok(Step { step, loss, lr, grad_norm, tokens_per_s, peak_mem: memory::peak() })
    }

    /// Takes the step that begins there, as if all before it had been taken.
    ///
    /// # Errors
    /// As [`Session::step`].
    pub(super) fn step_at(&mut self, position: Position) -> Result<Step, Error> {
        self.order.resume_at(position);
        self.step()
    }

    fn batches(&mut self) -> Vec<Batch> {
        let (job, view) = (self.job, self.job.model.view());
        let batches = self.order.next_step();
        let examples =
            |rows: &[&Row]| -> Vec<_> { rows.iter().flat_map(|row| job.examples(row)).collect() };
        batches.iter().map(|rows| Batch::new(examples(rows), view)).collect()
    }

    /// Writes everything that it takes to go on into a folder of its own in `--out`, and answers where it
    /// is. Waits for the device.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a parameter that is not; [`Error::Checkpoint`]; [`Error::Hub`];
    /// [`Error::Network`].
    pub fn write_checkpoint(&mut self) -> Result<PathBuf, Error> {
        let job = self.job;
        let state = State {
            step: self.optimizer.steps(),
            position: self.order.position(),
            best: self.best,
            since_best: self.since_best,
            settings: job.settings.clone(),
        };
        checkpoint::write(&job.options.out, &state, |folder| {
            self.write_numbers(folder)?;
            self.save_in_checkpoint(folder)
        })
    }

    /// Values and moments of all parameters.
    fn write_numbers(&mut self, folder: &Path) -> Result<(), Error> {
        let (mut sizes, names) = (Vec::new(), &self.names);
        self.net.visit(&mut self.be, &mut |_, number, p| {
            let (name, suffixes) = (name(names, number, p), MOMENTS.iter().take(p.moments.len()));
            let suffixes = core::iter::once(&"").chain(suffixes);
            sizes.extend(suffixes.map(|suffix| (dotted(&name, suffix), p.count())));
            Ok(())
        })?;
        let mut writer = Writer::create(folder, &sizes)?;
        let (step, mut wrong) = (self.optimizer.steps(), None);
        self.net.visit(&mut self.be, &mut |be, _, p| {
            for (i, buf) in core::iter::once(p.value()).chain(&p.moments).enumerate() {
                if wrong.is_some() {
                    break;
                }
                let mut values = vec![AccumOf::<B>::default(); p.count()];
                be.read::<Acc>(buf, 0, &mut values)?;
                let bad = values.iter().find(|x| i == 0 && !x.is_finite());
                let written = bad.map_or_else(
                    || Ok(writer.push(&values)?),
                    |&found| {
                        let (what, found) = ("largest trained number", found.into());
                        Err(Error::NotFinite { step, what, found, kept: None })
                    },
                );
                wrong = written.err();
            }
            Ok(())
        })?;
        wrong.map_or_else(|| Ok(writer.finish()?), Err)
    }

    /// Goes on where a checkpoint was written.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for one of another run; [`Error::Network`].
    pub fn resume(&mut self) -> Result<(), Error> {
        let (state, saved, path) = checkpoint::read(&self.job.options.out)?;
        state.fits(&path, &self.job.settings)?;
        let names = &self.names;
        let mut wrong: Option<CheckpointError> = None;
        self.net.visit(&mut self.be, &mut |be, number, p| {
            let (name, count) = (name(names, number, p), p.count());
            let (_, value, moments) = p.training();
            let bufs = core::iter::once(("", value)).chain(MOMENTS.into_iter().zip(moments));
            for (suffix, buf) in bufs {
                match saved.get(&dotted(&name, suffix), count) {
                    Ok(numbers) => be.write::<Acc>(buf, 0, &numbers)?,
                    Err(e) => wrong = wrong.take().or(Some(e)),
                }
            }
            Ok(())
        })?;
        let State { step, position, best, since_best, .. } = state;
        self.optimizer.resume_at(step);
        self.order.resume_at(position);
        (self.best, self.since_best) = (best, since_best);
        wrong.map_or(Ok(()), |e| Err(e.into()))
    }
}

/// A parameter's name in a checkpoint.
fn name<B: Backend>(names: &Names, number: usize, p: &Param<B>) -> String {
    format!("{}.{}", names.path(number).unwrap_or_default(), p.slot.peft_name())
}

fn dotted(name: &str, suffix: &str) -> String {
    if suffix.is_empty() { name.to_owned() } else { format!("{name}.{suffix}") }
}

/// The number that decides what batch `i` of a step drops.
fn mask(seed: u64, step: u64, i: usize) -> u64 {
    let mut mixed = Rng::new(seed ^ (step << 24) ^ ((i as u64) << 1));
    // The upper half is for the layer.
    mixed.next_u64() & u64::from(u32::MAX)
}
