//! Training that goes on when its device is lost.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Store};
use decora::init::Rng;
use decora::network::Network;
use decora::optim::{Optimizer, Training};
use decora::shadow::{Shadow, words_of};
use decora::spec::Spec;

use crate::config::{self, Purpose};
use crate::data::Samples;
use crate::device::Device;
use crate::error::Error;
use crate::net::{self, Batches, Net, NetResult, Weights};

/// Where a training run begins: what it takes to begin it again on another device.
#[derive(Clone, Debug)]
pub struct Start<'w, S> {
    /// The frozen network.
    pub weights: &'w Weights,
    /// How each layer is adapted.
    pub spec: Spec,
    /// What decides the initial A.
    pub seed: u64,
    /// How it is trained.
    pub training: Training,
    /// On what.
    pub samples: &'w Samples<S>,
    /// The order of the samples.
    pub order: Rng,
    /// Samples in a batch, at most [`net::ROWS`].
    pub batch: usize,
}

/// A network in training.
#[derive(Debug)]
pub struct Trainer<'w, B: Network> {
    /// The network.
    pub net: Net<'w, B>,
    optimizer: Optimizer<B>,
    batches: Batches<'w, B::Scalar>,
    batch: usize,
}

impl<'w, B: Network> Trainer<'w, B> {
    /// Before the first step.
    ///
    /// # Errors
    /// What the library answers, of a rank above that of a layer, say.
    pub fn new(be: &mut B, start: &Start<'w, B::Scalar>) -> NetResult<Self, B> {
        let mut rng = config::rng(start.seed, Purpose::Adapter);
        Ok(Self {
            net: net::build(be, start.weights, start.spec, &mut rng)?,
            optimizer: Optimizer::new(be, start.training)?,
            batches: Batches::new(start.samples, start.order),
            batch: start.batch,
        })
    }

    /// One step: forward, loss, backward, update. Waits for nothing.
    ///
    /// # Errors
    /// Device errors.
    pub fn step(&mut self, be: &mut B) -> NetResult<(), B> {
        let (x, labels) = self.batches.next(self.batch);
        let (scale, pass) = (1.0 / labels.len() as f64, Pass::Train(0));
        self.net.train(be, x, labels, scale, pass, Store::Replace)?;
        self.optimizer.step(be, &mut self.net)
    }
}

/// A training run on a device that may be lost.
#[derive(Debug)]
pub struct Session<'w, B: Network> {
    what: String,
    start: Start<'w, B::Scalar>,
    trainer: Trainer<'w, B>,
    shadow: Shadow<Vec<AccumOf<B>>>,
    /// The number of the device that the network is on.
    device: u32,
}

impl<'w, B: Network> Session<'w, B> {
    /// Before the first step. `what` is trained is the beginning of every message.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn new(
        device: &mut Device<'_, B>,
        what: String,
        start: Start<'w, B::Scalar>,
    ) -> Result<Self, Error> {
        let every = device.shadow();
        let (trainer, words, number) = device.numbered(&what, |be, number| {
            let mut trainer = Trainer::new(be, &start)?;
            let words = if every > 0 { words_of(be, &mut trainer.net)? } else { 0 };
            Ok((trainer, words, number))
        })?;
        let shadow = Shadow::new(vec![AccumOf::<B>::default(); words], every);
        Ok(Self { what, start, trainer, shadow, device: number })
    }

    /// What `f` answers of the network as it is now: on a new device, when one is lost meanwhile.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn on<T>(
        &mut self,
        device: &mut Device<'_, B>,
        mut f: impl FnMut(&mut B, &mut Net<'w, B>) -> NetResult<T, B>,
    ) -> Result<T, Error> {
        let what = self.what.clone();
        device.numbered(&what, |be, number| {
            self.move_to(be, number)?;
            f(be, &mut self.trainer.net)
        })
    }

    /// One step, with a copy before it when it is time for one.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn step(&mut self, device: &mut Device<'_, B>) -> Result<(), Error> {
        let what = self.what.clone();
        device.numbered(&what, |be, number| {
            self.move_to(be, number)?;
            let Trainer { net, optimizer, .. } = &mut self.trainer;
            if self.shadow.due(optimizer.steps()) {
                self.shadow.take(be, net, optimizer)?;
            }
            self.trainer.step(be)
        })
    }

    /// Brings a network that was on another device to this one, and to the step it was at: from the
    /// last copy, or else from the beginning.
    fn move_to(&mut self, be: &mut B, number: u32) -> NetResult<(), B> {
        if number == self.device {
            return Ok(());
        }
        let end = self.trainer.optimizer.steps();
        let mut again = Trainer::new(be, &self.start)?;
        if let Some(steps) = self.shadow.steps() {
            self.shadow.restore(be, &mut again.net, &mut again.optimizer)?;
            (0..steps).for_each(|_| _ = again.batches.next(again.batch));
        }
        while again.optimizer.steps() < end {
            again.step(be)?;
        }
        (self.trainer, self.device) = (again, number);
        Ok(())
    }
}
