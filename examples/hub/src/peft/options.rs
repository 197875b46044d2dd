//! Options of PEFT's `LoraConfig` that change what is computed and are not supported.

use serde_json::Value;

use crate::HubError;
use crate::json::Object;

/// Options that must be off: `null`, `false`, or empty.
const OFF: [&str; 15] = [
    "alora_invocation_tokens",
    "arrow_config",
    "ensure_weight_tying",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
    // Of other versions and forks.
    "Wdecompose_target_modules",
    "enable_lora",
];

/// Options that are known: read elsewhere, or without a meaning here.
const KNOWN: [&str; 30] = [
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "dora_simple",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "merge_weights",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_dora",
];

/// Refuses options that are on and should be off.
pub(super) fn refuse(config: &Object) -> Result<(), HubError> {
    for key in OFF {
        if config.value(key).is_some_and(is_on) {
            return Err(config.wrong(key, "nothing: it is not supported"));
        }
    }
    Ok(())
}

/// The keys that nothing is known about, and which PEFT ignores as well.
pub(super) fn unknown(config: &Object) -> Vec<String> {
    let known = |key: &str| KNOWN.contains(&key) || OFF.contains(&key) || key == "use_rslora";
    config.keys().filter(|key| !known(key)).map(str::to_owned).collect()
}

fn is_on(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    }
}
