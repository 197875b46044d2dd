//! The options of `decora train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::device::Device;
use super::error::UsageError;
use super::values::{self, ALL_LINEAR, Amount, RankPattern, Target};

/// How weights change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// W + s·B·A with a trained magnitude for each row
    #[default]
    Dora,
    /// W + s·B·A
    Lora,
    /// Every weight
    Full,
}

/// Which biases are trained beside an adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Biases {
    /// None
    #[default]
    None,
    /// Those of adapted layers
    LoraOnly,
    /// Those of all layers, in models without biases in their norms
    All,
}

/// How the learning rate changes after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// It stays
    Constant,
    /// A straight line to 0
    Linear,
    /// Half a cosine to 0
    #[default]
    Cosine,
}

/// Everything `decora train` is told.
#[derive(Clone, Debug, Args)]
pub struct Train {
    /// Folder of the model: config.json, safetensors, and tokenizer.json unless the data has token ids
    #[arg(long, value_name = "DIR", help_heading = "Model and data")]
    pub model: PathBuf,
    /// Training examples, one JSON object a line; may be given more than once
    #[arg(long, value_name = "FILE", required = true, help_heading = "Model and data")]
    pub data: Vec<PathBuf>,
    /// Folder for the trained adapter (with --method full: the model), and its checkpoints
    #[arg(long, value_name = "DIR", help_heading = "Model and data")]
    pub out: PathBuf,
    /// A TOML file with any of these options as keys; the command line wins
    #[arg(long, value_name = "FILE", help_heading = "Model and data")]
    pub config: Option<PathBuf>,
    /// How weights change.
    #[command(flatten)]
    pub adapter: Adapter,
    /// How parameters follow gradients.
    #[command(flatten)]
    pub optimizer: Optimizer,
    /// How examples become batches.
    #[command(flatten)]
    pub examples: Examples,
    /// What is measured on the way.
    #[command(flatten)]
    pub watch: Watch,
    /// What is kept on the way.
    #[command(flatten)]
    pub keep: Keep,
    /// What computes.
    #[command(flatten)]
    pub device: Device,
    /// Computes activations again for backward: less memory, about a third more time
    #[arg(long, help_heading = "Device")]
    pub recompute: bool,
    /// Classes of the classifier that a model without a head gets [default: what its config.json says]
    #[arg(long, value_name = "N", help_heading = "Model and data", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pub classes: Option<usize>,
    /// Says what would be trained, how much memory it takes and how long, and ends
    #[arg(long, help_heading = "Other")]
    pub dry_run: bool,
}

/// How weights change.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Method")]
pub struct Adapter {
    /// How weights change
    #[arg(long, value_enum, value_name = "METHOD", default_value_t)]
    pub method: Method,
    /// r, the rank of the update
    #[arg(long, value_name = "R", default_value_t = 16, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub rank: usize,
    /// α: the update is multiplied by s = α/r [default: 2r]
    #[arg(long, value_name = "ALPHA", value_parser = values::positive)]
    pub alpha: Option<f64>,
    /// s = α/√r instead
    #[arg(long)]
    pub rslora: bool,
    /// Share of the adapter's inputs that is dropped in training
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = values::below_one)]
    pub dropout: f64,
    /// Biases that are trained as well
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    pub bias: Biases,
    /// Layers to adapt: names divided by commas, all-linear, or a regular expression for whole paths
    #[arg(long, value_name = "LAYERS", default_value = ALL_LINEAR)]
    pub target: Target,
    /// Other ranks for some layers, as in q_proj=4,v_proj=8
    #[arg(long, value_name = "PATTERN=R", default_value = "{}", hide_default_value = true)]
    pub rank_pattern: RankPattern,
    /// Adapter to start from, of PEFT, NVlabs, mlx-lm or LyCORIS; its settings replace those above
    #[arg(long = "adapter", value_name = "DIR")]
    #[serde(rename = "adapter")]
    pub start: Option<PathBuf>,
}

impl Adapter {
    /// α.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha.unwrap_or(2.0 * self.rank as f64)
    }
}

/// How parameters follow gradients.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Optimiser (AdamW)")]
pub struct Optimizer {
    /// Learning rate at its highest [default: 2e-4; with --method full 2e-5]
    #[arg(long, value_name = "RATE", value_parser = values::positive)]
    pub lr: Option<f64>,
    /// Learning rate of DoRA's magnitudes [default: the same]
    #[arg(long, value_name = "RATE", value_parser = values::from_zero)]
    pub lr_magnitude: Option<f64>,
    /// Decay of matrices, never of magnitudes, norms and biases; 0: none
    #[arg(long, value_name = "DECAY", default_value_t = 0.0, value_parser = values::from_zero)]
    pub weight_decay: f64,
    /// Decay of the mean of gradients
    #[arg(long, value_name = "BETA", default_value_t = 0.9, value_parser = values::below_one)]
    pub beta1: f64,
    /// Decay of the mean of their squares
    #[arg(long, value_name = "BETA", default_value_t = 0.999, value_parser = values::below_one)]
    pub beta2: f64,
    /// Added to the root of that mean
    #[arg(long, value_name = "EPS", default_value_t = 1e-8, value_parser = values::from_zero)]
    pub eps: f64,
    /// How the learning rate changes after the warm-up
    #[arg(long, value_enum, value_name = "CURVE", default_value_t)]
    pub schedule: Curve,
    /// Steps in which the learning rate rises from 0, or their share of all; 0: none
    #[arg(long, value_name = "STEPS|SHARE", default_value = "0.03")]
    pub warmup: Amount,
    /// Largest norm of the gradient that is left as it is; 0: no clipping
    #[arg(long, value_name = "NORM", default_value_t = 1.0, value_parser = values::from_zero)]
    pub clip: f64,
    /// Times through the data [default: 3]
    #[arg(long, value_name = "N", conflicts_with = "steps", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,
    /// Steps of the optimiser, however many times through the data that is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
}

/// How examples become batches.
#[derive(Clone, Debug, Args, Serialize)]
#[command(next_help_heading = "Examples and batches")]
pub struct Examples {
    /// Sequences in a batch
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub batch: usize,
    /// Batches whose gradients make one step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub accumulate: usize,
    /// Tokens of an example, the rest is cut off [default: 1024, or what the model can take]
    #[arg(long, value_name = "TOKENS", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pub context: Option<usize>,
    /// Fills sequences of --context tokens with short examples, which do not see each other
    #[arg(long)]
    pub pack: bool,
    /// Takes examples in the order of the file
    #[arg(long)]
    pub no_shuffle: bool,
    /// Trains on prompts and on what users say, too
    #[arg(long)]
    pub train_on_prompt: bool,
    /// Leaves lines out that cannot be used, and counts them
    #[arg(long)]
    pub skip_bad_lines: bool,
    /// Decides the initial A, dropout, and the order of examples
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub seed: u64,
}

/// What is measured on the way.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Evaluation")]
pub struct Watch {
    /// Examples to evaluate on: perplexity, or accuracy of a classifier
    #[arg(long, value_name = "FILE")]
    pub eval: Option<PathBuf>,
    /// Steps between evaluations [default: those of an epoch]
    #[arg(long, value_name = "N", requires = "eval", value_parser = clap::value_parser!(u64).range(1..))]
    pub eval_every: Option<u64>,
    /// Evaluations without a better loss after which training stops; 0: it does not
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub patience: u64,
    /// A line of JSON for each step
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Mean and spread of g, ΔM and ΔD of each layer, in --metrics at each evaluation and at the end
    #[arg(long, requires = "metrics")]
    pub telemetry: bool,
}

/// What is kept on the way.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Checkpoints")]
pub struct Keep {
    /// Steps between checkpoints; 0: only when stopped [default: those of an epoch, at least 20]
    #[arg(long, value_name = "N")]
    pub checkpoint_every: Option<u64>,
    /// Goes on from the checkpoint in --out
    #[arg(long)]
    pub resume: bool,
    /// Forgets what earlier runs left in --out
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,
}

impl Train {
    /// The learning rate at its highest.
    #[must_use]
    pub fn lr(&self) -> f64 {
        let default = if self.adapter.method == Method::Full { 2e-5 } else { 2e-4 };
        self.optimizer.lr.unwrap_or(default)
    }

    /// `Ok` when the options fit each other.
    ///
    /// # Errors
    /// The first two that do not.
    pub fn check(&self) -> Result<(), UsageError> {
        let no = |option, with| Err(UsageError::Pair { option, with });
        let full = self.adapter.method == Method::Full;
        if full && self.adapter.start.is_some() {
            return no("--adapter", "--method full");
        }
        if full && self.adapter.bias != Biases::None {
            return no("--bias", "--method full");
        }
        if full && self.adapter.dropout > 0.0 {
            return no("--dropout", "--method full");
        }
        if self.adapter.method != Method::Dora && self.optimizer.lr_magnitude.is_some() {
            return no("--lr-magnitude", "a --method other than dora");
        }
        if self.watch.patience > 0 && self.watch.eval.is_none() {
            return no("--patience", "no --eval");
        }
        self.device.check()
    }
}
