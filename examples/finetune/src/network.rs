//! Networks with adapters: built, asked and read out.

use decora::adapter::Pass;
use decora::init::Rng;
use decora::scalar::Scalar;
use decora_hub::config::Head;
use decora_hub::network::{Method, Names, Net, Sizes, Tensors, build, load};
use decora_hub::peft::Adapter;

use crate::batch::Batch;
use crate::device::Device;
use crate::error::Error;
use crate::model::Model;

/// Logits in memory at once, unless one row has more.
const LOGITS: usize = 1 << 22;

/// A network that answers.
#[derive(Debug)]
pub struct Answering<'w, B: Device> {
    /// The device.
    pub be: B,
    /// The network.
    pub net: Net<'w, B>,
}

/// Sizes of a network for passes of so many rows, with sequences of up to so many tokens.
#[must_use]
pub fn sizes(model: &Model, rows: usize, sequences: usize, positions: usize) -> Sizes {
    let chunk = (LOGITS / model.architecture.vocab.max(1)).clamp(16, rows.max(16));
    Sizes { rows, chunk, sequences, positions, moments: 0, recompute: true, learns: false }
}

/// The tensors of a model. A classifier that it does not have is drawn from a seed; an adapter brings
/// its own.
///
/// # Errors
/// [`Error::Hub`].
pub fn tensors(model: &Model, adapted: bool) -> Result<Tensors<'_>, Error> {
    Ok(Tensors::read(&model.weights, &model.architecture, adapted.then_some(0))?)
}

impl<'w, B: Device> Answering<'w, B> {
    /// A network of these sizes, with an adapter if there is one.
    ///
    /// # Errors
    /// [`Error::Hub`] and [`Error::Network`]; [`Error::Unfit`] for a model without a head.
    pub fn new(
        mut be: B,
        model: &Model,
        tensors: &'w Tensors<'w>,
        adapter: Option<&Adapter>,
        sizes: Sizes,
    ) -> Result<Self, Error> {
        let architecture = &model.architecture;
        if architecture.head == Head::None {
            let found = "a model without a head".to_owned();
            let expected =
                "one with a head, or --adapter with a classifier: decora train makes one";
            return Err(Error::Unfit { option: "--model", found, expected: expected.to_owned() });
        }
        let selection = adapter.map(|adapter| adapter.fit(architecture)).transpose()?;
        let spec = |module: &_| selection.as_ref()?.spec(module);
        let method = if selection.is_some() { Method::Adapters(&spec) } else { Method::Frozen };
        let mut net = build(&mut be, architecture, tensors, method, sizes, &mut Rng::new(0))?;
        if let Some(adapter) = adapter {
            load(&mut be, &mut net, &Names::new(architecture), adapter)?;
        }
        Ok(Self { be, net })
    }

    /// The logits of a batch, a row for each token, or of a classifier for each sequence.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn logits(&mut self, batch: &Batch) -> Result<Vec<f32>, Error> {
        self.net.forward(&mut self.be, &batch.tokens(), Pass::Eval)?;
        let mut to = vec![B::Scalar::default(); self.net.answers() * self.net.shape().outputs];
        self.net.logits(&mut self.be, 0, &mut to)?;
        Ok(to.iter().map(|x| x.widen()).collect())
    }
}
