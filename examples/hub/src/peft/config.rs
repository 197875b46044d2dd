//! `adapter_config.json`: what an adapter is like, and which modules it is of.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bias::Bias;
use super::init::Init;
use super::options;
use super::pairs::Pairs;
use crate::HubError;
use crate::config::{Architecture, Head};
use crate::json::Object;

/// Modules, by name or by pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Targets {
    /// Paths, or the ends of paths after a dot.
    Names(Vec<String>),
    /// A regular expression over whole paths; as `target_modules`, `all-linear` stands for every linear
    /// layer but the output.
    Pattern(String),
}

impl Targets {
    /// Whether this is `all-linear`, in whatever letters.
    #[must_use]
    pub fn is_all_linear(&self) -> bool {
        matches!(self, Self::Pattern(text) if text.eq_ignore_ascii_case("all-linear"))
    }

    fn read(config: &Object, key: &str) -> Result<Option<Self>, HubError> {
        match config.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Self::Pattern(text.clone()))),
            Some(Value::Array(_)) => Ok(config.texts(key)?.map(Self::Names)),
            Some(_) => Err(config.wrong(key, "a list of names, or a regular expression")),
        }
    }
}

/// What a model with the adapter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Task {
    /// To go on with a text.
    #[serde(rename = "CAUSAL_LM")]
    CausalLm,
    /// To classify a text; `classifier` and `score` are trained as a whole.
    #[serde(rename = "SEQ_CLS")]
    SequenceClassification,
    /// To give vectors.
    #[serde(rename = "FEATURE_EXTRACTION")]
    FeatureExtraction,
}

/// The settings of a LoRA or DoRA adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the model is for.
    pub task: Option<Task>,
    /// The model it is of, as whoever trained it named it.
    pub base: Option<String>,
    /// r.
    pub rank: usize,
    /// α.
    pub alpha: f64,
    /// The probability that the adapter does not see an element in training.
    pub dropout: f64,
    /// Whether there are magnitudes.
    pub use_dora: bool,
    /// Whether s = α/√r.
    pub use_rslora: bool,
    /// Which biases are trained.
    pub bias: Bias,
    /// Whether weights of the base are stored `[in, out]`. PEFT writes it; nothing here follows from it.
    pub fan_in_fan_out: bool,
    /// How A and B began.
    pub init: Init,
    /// Which modules are adapted; `None`: those that PEFT takes for the family.
    pub targets: Option<Targets>,
    /// Which modules are not.
    pub exclude: Option<Targets>,
    /// Only modules of these blocks, when there are any. Modules named by their whole paths are always
    /// adapted.
    pub layers: Vec<i64>,
    /// What the list of blocks is called, in regular expressions.
    pub layers_pattern: Vec<String>,
    /// Ranks other than `rank`, by patterns of the ends of paths: the first that matches counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// α other than `alpha`, in the same way.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Modules that are trained as a whole.
    pub modules_to_save: Vec<String>,
    /// Keys that nothing is known about, and PEFT ignores as well.
    pub unknown: Vec<String>,
    /// The file this was read from: for errors.
    pub path: PathBuf,
}

impl Config {
    /// An adapter of this rank on these modules of a network, without dropout.
    #[must_use]
    pub fn new(architecture: &Architecture, rank: usize, alpha: f64, targets: Targets) -> Self {
        let classes = architecture.head == Head::Classes;
        let names: &[&str] = if classes { &["classifier", "score"] } else { &[] };
        Self {
            task: Some(match architecture.head {
                Head::Language => Task::CausalLm,
                Head::Classes => Task::SequenceClassification,
                Head::None => Task::FeatureExtraction,
            }),
            base: None,
            rank,
            alpha,
            dropout: 0.0,
            use_dora: true,
            use_rslora: false,
            bias: Bias::None,
            fan_in_fan_out: architecture.family.is_transposed(),
            init: Init::Usual(true),
            targets: Some(targets),
            exclude: None,
            layers: Vec::new(),
            layers_pattern: Vec::new(),
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            modules_to_save: names.iter().map(|&name| name.to_owned()).collect(),
            unknown: Vec::new(),
            path: PathBuf::from("options"),
        }
    }

    /// The settings of the adapter in a folder. Those of the authors of DoRA, whose `peft_type` is
    /// `DORA`, are read as well.
    ///
    /// # Errors
    /// [`HubError::Io`], [`HubError::Json`]; [`HubError::Setting`] for what is wrong, or changes what is
    /// computed and is not supported.
    pub fn read(dir: &Path) -> Result<Self, HubError> {
        let path = dir.join(super::CONFIG);
        let bytes = fs::read(&path).map_err(HubError::io("read", &path))?;
        Self::parse(&path, &bytes)
    }

    /// The same, from the bytes of a file that would be at `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, HubError> {
        let config = Object::parse(path, bytes)?;
        let by_authors = match config.text("peft_type")? {
            Some("LORA") => false,
            Some("DORA") => true,
            _ => return Err(config.wrong("peft_type", "\"LORA\", for DoRA as well")),
        };
        options::refuse(&config)?;
        let (rank_pattern, alpha_pattern) = patterns(&config, bytes)?;
        let flag = |key| Ok::<bool, HubError>(config.flag(key)?.unwrap_or(false));
        let read = Self {
            task: task(&config)?,
            base: config.text("base_model_name_or_path")?.map(str::to_owned),
            rank: config.count("r")?.unwrap_or(8),
            alpha: config.number("lora_alpha")?.unwrap_or(8.0),
            dropout: config.number("lora_dropout")?.unwrap_or(0.0),
            use_dora: by_authors || flag("use_dora")?,
            use_rslora: flag("use_rslora")?,
            bias: Bias::read(&config)?,
            fan_in_fan_out: flag("fan_in_fan_out")?,
            init: Init::read(&config)?,
            targets: Targets::read(&config, "target_modules")?,
            exclude: Targets::read(&config, "exclude_modules")?,
            layers: layers(&config)?,
            layers_pattern: one_or_more(&config, "layers_pattern")?,
            rank_pattern,
            alpha_pattern,
            modules_to_save: config.texts("modules_to_save")?.unwrap_or_default(),
            unknown: options::unknown(&config),
            path: path.to_path_buf(),
        };
        read.check()?;
        Ok(read)
    }

    /// `Ok` when the settings make sense together.
    ///
    /// # Errors
    /// [`HubError::Setting`].
    pub fn check(&self) -> Result<(), HubError> {
        let wrong = |key: &str, found: String, expected: &str| {
            Err(HubError::setting(&self.path, key, found, expected))
        };
        if self.rank == 0 {
            return wrong("r", "0".to_owned(), "1 or more");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong("lora_dropout", self.dropout.to_string(), "0 or more, and less than 1");
        }
        if let Some((name, _)) = self.rank_pattern.iter().find(|(_, rank)| *rank == 0) {
            return wrong("rank_pattern", format!("0 for {name}"), "1 or more");
        }
        let numbers = self.alpha_pattern.iter().map(|pair| pair.1).chain([self.alpha]);
        if let Some(alpha) = numbers.into_iter().find(|alpha| !alpha.is_finite()) {
            return wrong("lora_alpha", alpha.to_string(), "a finite number");
        }
        let listed = !self.layers.is_empty() || !self.layers_pattern.is_empty();
        if listed && matches!(self.targets, Some(Targets::Pattern(_))) {
            let expected =
                "nothing beside a pattern of target_modules: put the blocks in the pattern";
            return wrong("layers_to_transform", format!("{:?}", self.layers), expected);
        }
        match self.layers.is_empty() && !self.layers_pattern.is_empty() {
            true => wrong(
                "layers_pattern",
                format!("{:?}", self.layers_pattern),
                "layers_to_transform as well",
            ),
            false => Ok(()),
        }
    }

    /// The names of modules that are trained as a whole: a classifier's output always is.
    #[must_use]
    pub fn saved(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.modules_to_save.iter().map(String::as_str).collect();
        if self.task == Some(Task::SequenceClassification) {
            let more = ["classifier", "score"].into_iter().filter(|name| !names.contains(name));
            names.extend(more.collect::<Vec<_>>());
        }
        names
    }
}

fn task(config: &Object) -> Result<Option<Task>, HubError> {
    match config.text("task_type")? {
        None => Ok(None),
        Some("CAUSAL_LM") => Ok(Some(Task::CausalLm)),
        Some("SEQ_CLS") => Ok(Some(Task::SequenceClassification)),
        Some("FEATURE_EXTRACTION") => Ok(Some(Task::FeatureExtraction)),
        Some(_) => {
            let expected = "one of CAUSAL_LM, SEQ_CLS, FEATURE_EXTRACTION, or nothing";
            Err(config.wrong("task_type", expected))
        }
    }
}

fn layers(config: &Object) -> Result<Vec<i64>, HubError> {
    let key = "layers_to_transform";
    let all = match config.value(key) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(Value::as_i64).collect(),
        Some(value) => value.as_i64().map(|i| vec![i]),
    };
    all.ok_or_else(|| config.wrong(key, "the number of a block, or a list of them"))
}

fn one_or_more(config: &Object, key: &str) -> Result<Vec<String>, HubError> {
    match config.value(key) {
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        _ => Ok(config.texts(key)?.unwrap_or_default()),
    }
}

/// Ranks and α by patterns, in the order of the file.
type Patterns = (Vec<(String, usize)>, Vec<(String, f64)>);

#[derive(Deserialize)]
struct InOrder {
    rank_pattern: Option<Pairs<Value>>,
    alpha_pattern: Option<Pairs<Value>>,
}

fn patterns(config: &Object, bytes: &[u8]) -> Result<Patterns, HubError> {
    for key in ["rank_pattern", "alpha_pattern"] {
        config.object(key)?;
    }
    let json = |e: serde_json::Error| HubError::Json {
        path: config.path().to_path_buf(),
        message: e.to_string(),
    };
    let read: InOrder = serde_json::from_slice(bytes).map_err(json)?;
    let pairs = |pairs: Option<Pairs<Value>>| pairs.unwrap_or_default().0;
    let ranks = pairs(read.rank_pattern).into_iter().map(|(name, value)| {
        let rank = value.as_u64().and_then(|r| u32::try_from(r).ok()).filter(|&r| r > 0);
        let rank = rank.and_then(|r| usize::try_from(r).ok());
        Some((name, rank?))
    });
    let alphas =
        pairs(read.alpha_pattern).into_iter().map(|(name, value)| Some((name, value.as_f64()?)));
    let ranks = ranks.collect::<Option<Vec<_>>>();
    let ranks = ranks.ok_or_else(|| config.wrong("rank_pattern", "whole numbers of 1 or more"))?;
    let alphas = alphas.collect::<Option<Vec<_>>>();
    Ok((ranks, alphas.ok_or_else(|| config.wrong("alpha_pattern", "numbers"))?))
}
