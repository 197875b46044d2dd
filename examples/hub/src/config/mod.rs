//! `config.json` of a model folder as an [`Architecture`]: every number that the network is made of.

mod bert;
mod checks;
mod decoder;
mod gpt2;
mod head;
mod rope;
mod window;

pub use head::{Head, Problem};
pub use rope::{Rope, Scaling};
pub use window::Window;

use std::path::{Path, PathBuf};

use crate::HubError;
use crate::json::Object;

/// The file's name.
pub const FILE: &str = "config.json";
/// The file with what generation begins and ends with.
const GENERATION: &str = "generation_config.json";

/// A family of networks: which names its tensors have, and in what order they are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Llama 1 to 3, TinyLlama, SmolLM.
    Llama,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Mistral.
    Mistral,
    /// GPT-2.
    Gpt2,
    /// BERT and MiniLM.
    Bert,
}

impl Family {
    /// All of them, by their `model_type`.
    pub const ALL: [(&'static str, Self); 5] = [
        ("llama", Self::Llama),
        ("qwen2", Self::Qwen2),
        ("mistral", Self::Mistral),
        ("gpt2", Self::Gpt2),
        ("bert", Self::Bert),
    ];

    /// The name of the network inside one with a head, which the paths of its modules start with.
    #[must_use]
    pub const fn base_name(self) -> &'static str {
        match self {
            Self::Llama | Self::Qwen2 | Self::Mistral => "model",
            Self::Gpt2 => "transformer",
            Self::Bert => "bert",
        }
    }

    /// Whether a token sees only those before it.
    #[must_use]
    pub const fn is_causal(self) -> bool {
        !matches!(self, Self::Bert)
    }

    /// Whether linear weights are stored `[in, out]`: the `Conv1D` of GPT-2.
    #[must_use]
    pub const fn is_transposed(self) -> bool {
        matches!(self, Self::Gpt2)
    }
}

/// How a row of activations is normalised. ε is added to the variance, or to the mean square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Norm {
    /// y = w⊙x/√(mean(x²) + ε).
    Rms {
        /// ε.
        eps: f64,
    },
    /// y = w⊙(x − mean(x))/√(var(x) + ε) + b.
    Layer {
        /// ε.
        eps: f64,
    },
}

/// Where in a block the norms are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlace {
    /// Before attention and MLP, and once after the last block: x + f(norm(x)).
    Pre,
    /// After each sum, and once after the embeddings: norm(x + f(x)).
    Post,
}

/// How a token knows its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// Queries and keys are rotated, in halves: element i with element i + dim/2.
    Rope(Rope),
    /// A table of so many rows is added to the embeddings.
    Learned(usize),
}

/// The function inside an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(x).
    Silu,
    /// x·Φ(x), with erf.
    Gelu,
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))): `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// What the products of queries and keys are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scores {
    /// The root of a head's width.
    pub by_root: bool,
    /// The number of the block, counted from 1.
    pub by_depth: bool,
}

impl Default for Scores {
    fn default() -> Self {
        Self { by_root: true, by_depth: false }
    }
}

/// What an MLP computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mlp {
    /// down(f(gate(x))⊙up(x)).
    Gated,
    /// down(f(up(x))).
    Plain,
}

/// Which linear layers of a block have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    /// Queries, keys and values.
    pub qkv: bool,
    /// The output of attention.
    pub output: bool,
    /// The MLP.
    pub mlp: bool,
}

/// With which probability training sets elements of the base network to zero, as its makers did;
/// nothing of it is computed in evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    /// After the embeddings.
    pub embeddings: f64,
    /// On attention's probabilities.
    pub attention: f64,
    /// On what is added to the residual stream.
    pub residual: f64,
    /// Before a classifier.
    pub classifier: f64,
}

/// The formats in which weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl Stored {
    /// Its name in `config.json`.
    #[must_use]
    pub const fn torch_name(self) -> &'static str {
        match self {
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
            Self::F32 => "float32",
        }
    }
}

/// All that `config.json` says about a network. Sizes are in elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Which family.
    pub family: Family,
    /// What comes after the last block.
    pub head: Head,
    /// Classes of a classifier, whether it has one now or not.
    pub classes: usize,
    /// Their names; empty when there are none.
    pub labels: Vec<String>,
    /// Which loss a classifier is trained with, when the file says.
    pub problem: Option<Problem>,
    /// Rows of the table of embeddings.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// What the products of queries and keys are divided by.
    pub scores: Scores,
    /// Width inside the MLP.
    pub inner: usize,
    /// The norm.
    pub norm: Norm,
    /// Where the norms are.
    pub norm_place: NormPlace,
    /// How tokens know their places.
    pub positions: Positions,
    /// The most tokens it was made for.
    pub max_positions: usize,
    /// How far tokens see back; `None`: to the first.
    pub window: Option<Window>,
    /// Rows of the table of token types; 0: none.
    pub token_types: usize,
    /// The function inside the MLP.
    pub activation: Activation,
    /// What the MLP computes.
    pub mlp: Mlp,
    /// Which layers have biases.
    pub biases: Biases,
    /// Whether the language head is the table of embeddings.
    pub tied: bool,
    /// Whether a language head that is the table of embeddings becomes a copy of it, which an adapter
    /// trains as a whole while the table stays as it is.
    pub copied: bool,
    /// Dropout of the base network.
    pub dropout: Dropout,
    /// In what format the weights are said to be.
    pub stored: Option<Stored>,
    /// The token before a text.
    pub bos: Option<u32>,
    /// The tokens that end a text.
    pub eos: Vec<u32>,
    /// The token that fills a batch up.
    pub pad: Option<u32>,
    /// The file this was read from.
    pub path: PathBuf,
}

impl Architecture {
    /// The architecture of a model folder, or of a `config.json` itself.
    ///
    /// # Errors
    /// [`HubError::Io`], [`HubError::Json`]; [`HubError::Setting`] for a value that is missing, wrong,
    /// or changes what is computed in a way that is not known here.
    pub fn read(model: &Path) -> Result<Self, HubError> {
        let path = if model.is_dir() { model.join(FILE) } else { model.to_path_buf() };
        Self::from_object(&Object::read(&path)?)
    }

    /// The same, from the bytes of a file that would be at `path`.
    ///
    /// # Errors
    /// As [`Architecture::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, HubError> {
        Self::from_object(&Object::parse(path, bytes)?)
    }

    /// The tokens that end a text in generation: those of `generation_config.json` beside the file, where a
    /// chat model has more of them than one; without it, `eos`.
    ///
    /// # Errors
    /// [`HubError::Json`] and [`HubError::Setting`] for a damaged file; [`HubError::Io`].
    pub fn stops(&self) -> Result<Vec<u32>, HubError> {
        let path = self.path.with_file_name(GENERATION);
        if !path.exists() {
            return Ok(self.eos.clone());
        }
        let generation = Object::read(&path)?;
        match checks::tokens(&generation, "eos_token_id")? {
            none if none.is_empty() => Ok(self.eos.clone()),
            stops => Ok(stops),
        }
    }

    fn from_object(config: &Object) -> Result<Self, HubError> {
        checks::refuse_everywhere(config)?;
        let family = family(config)?;
        let architecture = match family {
            Family::Llama | Family::Qwen2 | Family::Mistral => decoder::read(config, family)?,
            Family::Gpt2 => gpt2::read(config)?,
            Family::Bert => bert::read(config)?,
        };
        checks::fits(config, &architecture)?;
        Ok(architecture)
    }

    /// The same network with another head: what a classifier made of a language model has.
    #[must_use]
    pub fn with_head(self, head: Head, classes: usize) -> Self {
        let labels = if classes == self.classes { self.labels } else { Vec::new() };
        Self { head, classes, labels, ..self }
    }

    /// Width of all queries together, heads·head_dim: what goes into attention's output layer.
    #[must_use]
    pub const fn queries(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all keys together, or of all values: kv_heads·head_dim.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// The token whose embedding is not learned where it is read: what fills a batch up, in the families that
    /// give PyTorch a `padding_idx`.
    #[must_use]
    pub fn padding(&self) -> Option<u32> {
        self.pad.filter(|_| self.family != Family::Gpt2)
    }

    /// The name of the table of embeddings of tokens.
    #[must_use]
    pub fn table_name(&self) -> String {
        let inner = match self.family {
            Family::Llama | Family::Qwen2 | Family::Mistral => "embed_tokens.weight",
            Family::Gpt2 => "wte.weight",
            Family::Bert => "embeddings.word_embeddings.weight",
        };
        self.prefix() + inner
    }

    /// What the products of queries and keys are multiplied by in a block.
    #[must_use]
    pub fn scale(&self, block: usize) -> f64 {
        let Scores { by_root, by_depth } = self.scores;
        let root = if by_root { (self.head_dim as f64).sqrt() } else { 1.0 };
        let depth = if by_depth { block as f64 + 1.0 } else { 1.0 };
        1.0 / (root * depth)
    }

    /// Whether tokens see no more than the window in a block.
    #[must_use]
    pub fn is_windowed(&self, block: usize) -> bool {
        self.window.as_ref().is_some_and(|window| window.blocks.get(block) == Some(&true))
    }

    /// What the paths of modules inside the headless network start with: `model.`, or nothing when
    /// the network has no head.
    #[must_use]
    pub fn prefix(&self) -> String {
        match self.head {
            Head::None => String::new(),
            _ => format!("{}.", self.family.base_name()),
        }
    }
}

fn family(config: &Object) -> Result<Family, HubError> {
    let name = config.text("model_type")?;
    let found = Family::ALL.iter().find(|(known, _)| Some(*known) == name);
    let known = || Family::ALL.map(|(name, _)| name).join(", ");
    found.map(|row| row.1).ok_or_else(|| config.wrong("model_type", format!("one of {}", known())))
}
