//! From a model folder to a network on a device.
//!
//! [`Tensors`] reads and checks everything an [`Architecture`] needs; [`build`] puts it on a device as a
//! [`Transformer`], with adapters where a [`Method`] wants them. [`Names`] tells which parameter of the
//! network is which tensor of a file.
//!
//! An adapter beside a network, which takes its place in it and leaves it again; any number can:
//!
//! ```
//! use std::path::Path;
//!
//! use decora::adapter::Pass;
//! use decora::init::Rng;
//! use decora::transformer::Batch;
//! use decora_cpu::FastCpu;
//! use decora_hub::network::{Adapters, Method, Names, Sizes, Tensors, build, load};
//! use decora_hub::{Adapter, Architecture, Weights};
//!
//! let folder = Path::new("../../tests/golden/models/llama");
//! let (architecture, weights) = (Architecture::read(folder)?, Weights::open(folder)?);
//! let tensors = Tensors::read(&weights, &architecture, None)?;
//! // Room for one sequence of three tokens, and all of its logits at once.
//! let (rows, moments) = (3, 0);
//! let sizes =
//!     Sizes { rows, chunk: rows, sequences: 1, positions: rows, moments, recompute: true, learns: false };
//! let (mut be, mut rng) = (FastCpu::<f32>::fast(), Rng::new(0));
//! let mut net = build(&mut be, &architecture, &tensors, Method::Frozen, sizes, &mut rng)?;
//!
//! let adapter = Adapter::read(&folder.join("dora_patterns/initial"))?;
//! let selection = adapter.fit(&architecture)?;
//! let spec = |module: &_| selection.spec(module);
//! let mut set = Adapters::new(&mut be, &mut net, &architecture, &spec, &mut rng)?;
//! load(&mut be, &mut set, &Names::new(&architecture), &adapter)?;
//!
//! // Each token sees itself and those before it.
//! let (ids, positions, spans) = ([3, 17, 40], [0, 1, 2], [0, 1, 0, 2, 0, 3]);
//! let batch =
//!     Batch { ids: &ids, positions: &positions, types: &[0; 3], spans: &spans, picks: &[2] };
//! let mut answers = Vec::new();
//! for _ in ["base", "adapter", "base"] {
//!     let mut logits = vec![0.0; rows * architecture.vocab];
//!     net.forward(&mut be, &batch, Pass::Eval)?;
//!     net.logits(&mut be, 0, &mut logits)?;
//!     answers.push(logits);
//!     set.exchange(&mut be, &mut net)?; // the network's, none at first, for these
//! }
//! assert!(answers[0] != answers[1] && answers[0] == answers[2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adapters;
mod blocks;
mod frame;
mod names;
mod tensors;
mod transfer;

use core::fmt;

use decora::direction::Any;
use decora::error::{DeviceError, Error};
use decora::init::Rng;
use decora::linear::Linear;
use decora::sequence::{Heads, Norm, NormKind, Sequence};
use decora::spec::{Needs, Spec};
use decora::transformer::{Block, Layer, Placement, Shape, Transformer};
use decora::workspace::Workspace;

use crate::HubError;
use crate::config::{self, Architecture, NormPlace};
use crate::modules::Module;
pub use adapters::Adapters;
pub use names::{Names, module_of};
pub use tensors::Tensors;
pub use transfer::{load, read, save};

/// A network whose adapters are chosen at run time.
pub type Net<'w, B> = Transformer<'w, B, Any<B>, Vec<Block<'w, B, Any<B>>>>;

/// How the network is trained.
#[derive(Clone, Copy)]
pub enum Method<'m> {
    /// Nothing but adapters: which, for each linear layer.
    Adapters(&'m dyn Fn(&Module) -> Option<Spec>),
    /// Everything.
    Full,
    /// Nothing: the network answers.
    Frozen,
}

impl fmt::Debug for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adapters(_) => "Adapters",
            Self::Full => "Full",
            Self::Frozen => "Frozen",
        })
    }
}

/// How much memory a network takes beside its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The most tokens in one pass.
    pub rows: usize,
    /// The most tokens whose logits are in memory at once.
    pub chunk: usize,
    /// The most sequences in one pass of a classifier.
    pub sequences: usize,
    /// The longest sequence.
    pub positions: usize,
    /// Moments the optimiser keeps: AdamW 2.
    pub moments: usize,
    /// Whether blocks are computed again for backward instead of keeping their activations.
    pub recompute: bool,
    /// Whether there is memory for backward.
    pub learns: bool,
}

/// Why a network cannot be built.
#[derive(Debug)]
pub enum BuildError<E> {
    /// Its files.
    Hub(HubError),
    /// The network or its device.
    Core(Error<E>),
}

impl<E: fmt::Display> fmt::Display for BuildError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(e) => e.fmt(f),
            Self::Core(e) => e.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for BuildError<E> {}

impl<E> From<HubError> for BuildError<E> {
    fn from(e: HubError) -> Self {
        Self::Hub(e)
    }
}

impl<E> From<Error<E>> for BuildError<E> {
    fn from(e: Error<E>) -> Self {
        Self::Core(e)
    }
}

impl<E: DeviceError> From<E> for BuildError<E> {
    fn from(e: E) -> Self {
        Self::Core(Error::Device(e))
    }
}

/// What all parts of a network are built with.
struct Site<'s, 'w, B: Sequence> {
    be: &'s mut B,
    architecture: &'s Architecture,
    tensors: &'w Tensors<'w>,
    method: Method<'s>,
    shape: Shape,
    sizes: Sizes,
    ws: Workspace<B>,
    rng: &'s mut Rng,
}

impl<'w, B: Sequence> Site<'_, 'w, B> {
    /// The layer of `module`, for up to `rows` rows, adapted as the method says.
    fn layer(
        &mut self,
        module: &Module,
        rows: usize,
    ) -> Result<Layer<'w, B, Any<B>>, BuildError<B::Error>> {
        let (weight, bias) = self.tensors.linear(module)?;
        let bias: Option<Vec<_>> = bias.map(tensors::accum::<B>);
        let base = Linear::new(self.be, weight, bias.as_deref())?;
        let spec = spec_of(self.method, module);
        let plan = spec.map(|spec| decora::spec::Plan {
            rows,
            ..Layer::<B, Any<B>>::plan(&self.shape, &base, spec)
        });
        Ok(Layer::new(self.be, &mut self.ws, base, module_of(module), plan, self.rng)?)
    }

    /// Moments of the norms and tables that are trained.
    fn trained(&self) -> Option<usize> {
        matches!(self.method, Method::Full).then_some(self.sizes.moments)
    }
}

fn spec_of(method: Method<'_>, module: &Module) -> Option<Spec> {
    match method {
        Method::Adapters(spec) => spec(module),
        Method::Full => Some(Spec::full()),
        Method::Frozen => None,
    }
}

/// The network of these tensors on a device. A seed decides the matrices A of adapters.
///
/// # Errors
/// [`BuildError::Hub`] for tensors that are missing or of another shape; [`BuildError::Core`] for
/// adapters that do not fit, or a device without memory for it.
pub fn build<'w, B: Sequence>(
    be: &mut B,
    architecture: &Architecture,
    tensors: &'w Tensors<'w>,
    method: Method<'_>,
    sizes: Sizes,
    rng: &mut Rng,
) -> Result<Net<'w, B>, BuildError<B::Error>> {
    let shape = shape(architecture, &sizes);
    let ws = Workspace::new(be, needs(architecture, method, &shape))?;
    let mut site = Site { be, architecture, tensors, method, shape, sizes, ws, rng };
    let modules = architecture.modules();
    let blocks = blocks::blocks(&mut site, &modules)?;
    let frame = frame::frame(site, &modules)?;
    Ok(Transformer::new(be, shape, frame, blocks, sizes.learns)?)
}

/// Its sizes, as the core has them.
#[must_use]
pub fn shape(architecture: &Architecture, sizes: &Sizes) -> Shape {
    let (kind, eps) = match architecture.norm {
        config::Norm::Rms { eps } => (NormKind::Rms, eps),
        config::Norm::Layer { eps } => (NormKind::Layer, eps),
    };
    Shape {
        width: architecture.hidden,
        inner: architecture.inner,
        heads: Heads {
            heads: architecture.heads,
            kv_heads: architecture.kv_heads,
            dim: architecture.head_dim,
            scale: architecture.scale(0),
        },
        outputs: if frame::classifies(architecture) {
            architecture.classes.max(1)
        } else {
            architecture.vocab
        },
        norm: Norm { kind, eps },
        placement: match architecture.norm_place {
            NormPlace::Pre => Placement::Before,
            NormPlace::Post => Placement::After,
        },
        activation: frame::activation(architecture.activation),
        window: architecture.window.as_ref().map(|window| window.width),
        rows: sizes.rows,
        chunk: sizes.chunk.min(sizes.rows),
        sequences: sizes.sequences,
        moments: sizes.moments,
    }
}

/// The most scratch that any layer needs.
fn needs(architecture: &Architecture, method: Method<'_>, shape: &Shape) -> Needs {
    architecture.modules().iter().fold(Needs::default(), |needs, module| {
        let rows = frame::rows_of(module, shape);
        let shape = Shape { rows, ..*shape };
        needs.or(shape.needs((module.out, module.inputs), module.bias, spec_of(method, module)))
    })
}
