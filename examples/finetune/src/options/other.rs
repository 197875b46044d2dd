//! The options of all commands but `train`.

use std::path::PathBuf;

use clap::Args;

use super::device::{Device, Precision};
use super::values;

/// A model, and an adapter on it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct Model {
    /// Folder of the model
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Folder of an adapter in PEFT's format, or a file of NVlabs, mlx-lm or LyCORIS
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
}

/// Options of `decora eval`.
#[derive(Clone, Debug, Args)]
pub struct Eval {
    /// What is evaluated.
    #[command(flatten)]
    pub model: Model,
    /// Examples to evaluate on, one JSON object a line; may be given more than once
    #[arg(long, value_name = "FILE", required = true, help_heading = "Examples")]
    pub data: Vec<PathBuf>,
    /// Sequences in a batch
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Examples", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub batch: usize,
    /// Tokens of an example, the rest is cut off [default: 1024, or what the model can take]
    #[arg(long, value_name = "TOKENS", help_heading = "Examples", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pub context: Option<usize>,
    /// Counts prompts and what users say, too
    #[arg(long, help_heading = "Examples")]
    pub train_on_prompt: bool,
    /// Leaves lines out that cannot be used, and counts them
    #[arg(long, help_heading = "Examples")]
    pub skip_bad_lines: bool,
    /// What computes.
    #[command(flatten)]
    pub device: Device,
}

/// Options of `decora merge`.
#[derive(Clone, Debug, Args)]
pub struct Merge {
    /// Folder of the model
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Folder of the adapter
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Folder for the merged model; it must not hold another one
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What weights are stored as [default: as in the model]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub dtype: Option<Precision>,
}

/// Options of `decora generate`.
#[derive(Clone, Debug, Args)]
pub struct Generate {
    /// Folder of the model
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub model: PathBuf,
    /// Adapter, with a name of its own if there are several; the first one is used unless a request
    /// names another
    #[arg(long, value_name = "[NAME=]DIR", help_heading = "Model")]
    pub adapter: Vec<String>,
    /// Merges the adapter into the weights first, in memory: faster for long answers
    #[arg(long, requires = "adapter", help_heading = "Model")]
    pub merged: bool,
    /// What to continue; without --prompt and --ids, requests are read from standard input, a line each:
    /// a text, or {"prompt" or "messages" or "input_ids", "adapter", "max_tokens", "temperature", "top_p",
    /// "seed"}
    #[arg(long, value_name = "TEXT", help_heading = "Request")]
    pub prompt: Option<String>,
    /// What to continue, as token ids divided by commas; the answer is token ids, and takes no tokenizer
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = values::id, conflicts_with_all = ["prompt", "chat"], help_heading = "Request")]
    pub ids: Vec<u32>,
    /// Takes prompts as what a user says, through the tokenizer's chat template
    #[arg(long, help_heading = "Request")]
    pub chat: bool,
    /// Tokens to generate at most
    #[arg(long, value_name = "N", default_value_t = 128, help_heading = "Request", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub max_tokens: usize,
    /// Spread of the choice among tokens; 0: always the most probable
    #[arg(long, value_name = "T", default_value_t = 0.0, help_heading = "Request", value_parser = values::from_zero)]
    pub temperature: f64,
    /// Chooses among the most probable tokens that have this share together
    #[arg(long, value_name = "P", default_value_t = 1.0, help_heading = "Request", value_parser = values::share)]
    pub top_p: f64,
    /// Decides the choices
    #[arg(long, value_name = "SEED", default_value_t = 42, help_heading = "Request")]
    pub seed: u64,
    /// What computes.
    #[command(flatten)]
    pub device: Device,
}

/// Options of `decora inspect`.
#[derive(Clone, Debug, Args)]
pub struct Inspect {
    /// Folder of a model or an adapter, or an adapter's file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

/// Options of `decora logits`.
#[derive(Clone, Debug, Args)]
pub struct Logits {
    /// What is asked.
    #[command(flatten)]
    pub model: Model,
    /// Token ids, divided by commas
    #[arg(long, value_name = "IDS", required = true, value_delimiter = ',', value_parser = values::id)]
    pub ids: Vec<u32>,
    /// Kinds of segments of the tokens, for models that tell them apart [default: all 0]
    #[arg(long, value_name = "TYPES", value_delimiter = ',', value_parser = values::id)]
    pub types: Vec<u32>,
    /// File for the tensor `logits`, f32, (tokens, vocabulary); of a classifier (1, classes)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What computes.
    #[command(flatten)]
    pub device: Device,
}
