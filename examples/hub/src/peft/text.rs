//! The text of `adapter_config.json`, as PEFT 0.21.2 writes it: keys in order, and all of them.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::bias::Bias;
use super::config::{Config, Targets, Task};
use super::init::Init;
use super::pairs::Pairs;
use crate::HubError;

/// The version whose files these are.
const VERSION: &str = "0.21.2";

/// Options that are off, and written as such.
type Off = Option<()>;

#[derive(Debug, Default, Serialize)]
struct Text<'a> {
    alora_invocation_tokens: Off,
    alpha_pattern: Pairs<Number>,
    arrow_config: Off,
    auto_mapping: Off,
    base_model_name_or_path: Option<&'a str>,
    bias: Bias,
    corda_config: Off,
    ensure_weight_tying: bool,
    eva_config: Off,
    exclude_modules: Option<&'a Targets>,
    fan_in_fan_out: bool,
    inference_mode: bool,
    init_lora_weights: Option<&'a Init>,
    kasa_config: Off,
    layer_replication: Off,
    layers_pattern: Option<&'a [String]>,
    layers_to_transform: Option<&'a [i64]>,
    loftq_config: Map<String, Value>,
    lora_alpha: Option<Number>,
    lora_bias: bool,
    lora_dropout: f64,
    lora_ga_config: Off,
    megatron_config: Off,
    megatron_core: &'static str,
    modules_to_save: Option<&'a [String]>,
    monteclora_config: Off,
    peft_type: &'static str,
    peft_version: &'static str,
    qalora_group_size: usize,
    r: usize,
    rank_pattern: Pairs<usize>,
    revision: Off,
    target_modules: Option<&'a Targets>,
    target_parameters: Off,
    task_type: Option<Task>,
    trainable_token_indices: Off,
    use_bdlora: Off,
    use_dora: bool,
    use_qalora: bool,
    use_rslora: bool,
    velora_config: Off,
}

impl Config {
    /// The text of the file.
    ///
    /// # Errors
    /// [`HubError::Json`], which no settings that pass [`Config::check`] cause.
    pub fn to_json(&self) -> Result<String, HubError> {
        let alphas = self.alpha_pattern.iter().filter_map(|(k, a)| Some((k.clone(), number(*a)?)));
        let text = Text {
            alpha_pattern: Pairs(alphas.collect()),
            base_model_name_or_path: self.base.as_deref(),
            bias: self.bias,
            exclude_modules: self.exclude.as_ref(),
            fan_in_fan_out: self.fan_in_fan_out,
            inference_mode: true,
            init_lora_weights: Some(&self.init),
            layers_pattern: some(&self.layers_pattern),
            layers_to_transform: some(&self.layers),
            lora_alpha: number(self.alpha),
            lora_dropout: self.dropout,
            megatron_core: "megatron.core",
            modules_to_save: some(&self.modules_to_save),
            peft_type: "LORA",
            peft_version: VERSION,
            qalora_group_size: 16,
            r: self.rank,
            rank_pattern: Pairs(self.rank_pattern.clone()),
            target_modules: self.targets.as_ref(),
            task_type: self.task,
            use_dora: self.use_dora,
            use_rslora: self.use_rslora,
            ..Text::default()
        };
        serde_json::to_string_pretty(&text)
            .map_err(|e| HubError::Json { path: self.path.clone(), message: e.to_string() })
    }
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// A whole number without a point, as most files have α.
fn number(x: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and far below 2^53")]
    let whole = x as i64;
    match x.fract() == 0.0 && x.abs() < 1e15 {
        true => Some(whole.into()),
        false => Number::from_f64(x),
    }
}
