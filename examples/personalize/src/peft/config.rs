//! `adapter_config.json`: how PEFT describes an adapter.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PeftError;

/// Which modules are adapted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// Names, or the ends of names after a dot.
    Names(Vec<String>),
    /// A regular expression over whole names.
    Pattern(String),
}

impl Targets {
    /// Whether `module` is among them; `true` for every module of a pattern, which is not looked
    /// into.
    #[must_use]
    pub fn covers(&self, module: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| is_end_of(name, module)),
            Self::Pattern(_) => true,
        }
    }
}

/// Whether `module` is `name`, or ends with it after a dot.
pub(super) fn is_end_of(name: &str, module: &str) -> bool {
    module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The settings of a LoRA or DoRA adapter. Fields that mean nothing here are kept as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// "LORA", for DoRA as well.
    pub peft_type: String,
    /// r.
    #[serde(default = "eight")]
    pub r: usize,
    /// α.
    #[serde(default = "eight_number")]
    pub lora_alpha: serde_json::Number,
    /// Whether there are magnitudes.
    #[serde(default)]
    pub use_dora: bool,
    /// Whether s = α/√r.
    #[serde(default)]
    pub use_rslora: bool,
    /// Which modules are adapted.
    pub target_modules: Targets,
    /// Ranks of modules that have another than `r`.
    #[serde(default)]
    pub rank_pattern: Map<String, Value>,
    /// All other fields.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

const fn eight() -> usize {
    8
}

fn eight_number() -> serde_json::Number {
    8.into()
}

/// What PEFT writes for everything that is not said here.
fn defaults() -> Map<String, Value> {
    let defaults = json!({
        "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
        "auto_mapping": null, "base_model_name_or_path": null, "bias": "none",
        "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
        "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
        "init_lora_weights": true, "kasa_config": null, "layer_replication": null,
        "layers_pattern": null, "layers_to_transform": null, "loftq_config": {},
        "lora_bias": false, "lora_dropout": 0.0, "lora_ga_config": null,
        "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null,
        "monteclora_config": null, "peft_version": "0.21.2", "qalora_group_size": 16,
        "revision": null, "target_parameters": null, "task_type": null,
        "trainable_token_indices": null, "use_bdlora": null, "use_qalora": false,
        "velora_config": null,
    });
    match defaults {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Config {
    /// An adapter of rank `r` on the named modules, without dropout and biases.
    #[must_use]
    pub fn new(r: usize, alpha: usize, use_dora: bool, modules: Vec<String>) -> Self {
        Self {
            peft_type: "LORA".to_owned(),
            r,
            lora_alpha: alpha.into(),
            use_dora,
            use_rslora: false,
            target_modules: Targets::Names(modules),
            rank_pattern: Map::new(),
            others: defaults(),
        }
    }

    /// α as a number to calculate with.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.lora_alpha.as_f64().unwrap_or(f64::NAN)
    }

    /// The rank of a module.
    #[must_use]
    pub fn rank(&self, module: &str) -> usize {
        let own = self.rank_pattern.iter().find(|(name, _)| is_end_of(name, module));
        let own = own.and_then(|(_, rank)| usize::try_from(rank.as_u64()?).ok());
        own.unwrap_or(self.r)
    }

    /// The text of the file: keys in order, as PEFT writes it.
    ///
    /// # Errors
    /// None that this type can cause.
    pub fn to_json(&self) -> Result<String, PeftError> {
        let value = serde_json::to_value(self).map_err(json_error)?;
        serde_json::to_string_pretty(&value).map_err(json_error)
    }

    /// The settings in the bytes of a file.
    ///
    /// # Errors
    /// [`PeftError::Json`]; [`PeftError::Config`] for settings that are not those of LoRA or DoRA.
    pub fn parse(bytes: &[u8]) -> Result<Self, PeftError> {
        let config: Self = serde_json::from_slice(bytes).map_err(json_error)?;
        config.check()?;
        Ok(config)
    }

    pub(super) fn check(&self) -> Result<(), PeftError> {
        let wrong = |field, found: &str, expected| PeftError::Config {
            field,
            found: found.to_owned(),
            expected,
        };
        if self.peft_type != "LORA" {
            return Err(wrong("peft_type", &self.peft_type, "LORA"));
        }
        if self.r == 0 {
            return Err(wrong("r", "0", "1 or more"));
        }
        if !self.alpha().is_finite() {
            return Err(wrong("lora_alpha", &self.lora_alpha.to_string(), "a finite number"));
        }
        let odd = self.rank_pattern.iter().find(|(_, rank)| rank.as_u64().is_none_or(|r| r == 0));
        if let Some((name, rank)) = odd {
            let found = format!("{rank} for {name}");
            return Err(wrong("rank_pattern", &found, "whole numbers from 1 up"));
        }
        match self.others.get("fan_in_fan_out") {
            Some(Value::Bool(true)) => Err(wrong("fan_in_fan_out", "true", "false")),
            _ => Ok(()),
        }
    }
}

fn json_error(e: serde_json::Error) -> PeftError {
    PeftError::Json { what: "adapter_config.json", message: e.to_string() }
}
