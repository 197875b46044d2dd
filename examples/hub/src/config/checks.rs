//! What all families have in common: settings that nothing here computes, ids, and sizes that fit.

use serde_json::Value;

use super::{Activation, Architecture, Positions, Stored};
use crate::HubError;
use crate::json::Object;

/// The most blocks a network can have: more is a damaged file.
const MAX_LAYERS: usize = 4096;

/// Settings that change what is computed, and the one value each may have besides nothing.
const ONLY: [(&str, Value); 9] = [
    ("add_cross_attention", Value::Bool(false)),
    ("attn_logit_softcapping", Value::Null),
    ("final_logit_softcapping", Value::Null),
    ("is_encoder_decoder", Value::Bool(false)),
    ("qk_layernorm", Value::Bool(false)),
    ("qk_norm", Value::Bool(false)),
    ("quantization_config", Value::Null),
    ("rope_interleaved", Value::Bool(false)),
    ("use_qk_norm", Value::Bool(false)),
];

/// Refuses settings that no network here has.
pub(super) fn refuse_everywhere(config: &Object) -> Result<(), HubError> {
    for (key, only) in &ONLY {
        if config.value(key).is_some_and(|value| value != only) {
            return Err(config.wrong(key, only_this(only)));
        }
    }
    for key in ["partial_rotary_factor", "rotary_pct"] {
        only_one(config, key)?;
    }
    match config.text("position_embedding_type")? {
        None | Some("absolute") => Ok(()),
        Some(_) => Err(config.wrong("position_embedding_type", "\"absolute\"")),
    }
}

/// Refuses a factor other than 1.
pub(super) fn only_one(config: &Object, key: &str) -> Result<(), HubError> {
    match config.number(key)? {
        None | Some(1.0) => Ok(()),
        Some(_) => Err(config.wrong(key, "1")),
    }
}

fn only_this(only: &Value) -> String {
    match only {
        Value::Null => "nothing: it is not supported".to_owned(),
        only => format!("{only}: anything else is not supported"),
    }
}

/// Refuses sizes that no network can have.
pub(super) fn fits(config: &Object, a: &Architecture) -> Result<(), HubError> {
    let wrong =
        |key: &[&'static str], expected: String| Err(config.wrong(config.first(key), expected));
    if a.layers > MAX_LAYERS {
        let key = ["num_hidden_layers", "n_layer"];
        return wrong(&key, format!("at most {MAX_LAYERS}"));
    }
    if !a.heads.is_multiple_of(a.kv_heads) {
        let expected = format!("a divisor of the {} heads", a.heads);
        return wrong(&["num_key_value_heads"], expected);
    }
    if matches!(a.positions, Positions::Rope(rope) if !rope.dim.is_multiple_of(2)) {
        return wrong(&["head_dim", "num_attention_heads"], "heads of an even width".to_owned());
    }
    let most = a.heads.checked_mul(a.head_dim).is_none_or(|n| n > u32::MAX as usize);
    if most {
        return wrong(&["head_dim"], "heads whose widths add up to less than 2^32".to_owned());
    }
    Ok(())
}

/// Width of a head when the file does not say: hidden/heads, without a rest.
pub(super) fn head_dim(
    config: &Object,
    hidden: usize,
    heads: usize,
    key: &str,
) -> Result<usize, HubError> {
    match hidden.is_multiple_of(heads) {
        true => Ok(hidden / heads),
        false => Err(config.wrong(key, format!("a divisor of the width {hidden}"))),
    }
}

/// The function of this name.
pub(super) fn activation(config: &Object, key: &str) -> Result<Option<Activation>, HubError> {
    let Some(name) = config.text(key)? else { return Ok(None) };
    let known = match name {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        _ => {
            let expected = "one of silu, gelu, gelu_new, gelu_pytorch_tanh, relu";
            return Err(config.wrong(key, expected));
        }
    };
    Ok(Some(known))
}

/// The ε of a norm.
pub(super) fn eps(config: &Object, key: &str, default: f64) -> Result<f64, HubError> {
    match config.number(key)?.unwrap_or(default) {
        eps if (0.0..1.0).contains(&eps) => Ok(eps),
        _ => Err(config.wrong(key, "0 or more, and less than 1")),
    }
}

/// A probability of dropout.
pub(super) fn dropout(config: &Object, key: &str, default: f64) -> Result<f64, HubError> {
    let p = config.number(key)?.unwrap_or(default);
    match (0.0..1.0).contains(&p) {
        true => Ok(p),
        false => Err(config.wrong(key, "0 or more, and less than 1")),
    }
}

/// The format of the weights, when it is said: newer files say `dtype`, older `torch_dtype`.
pub(super) fn stored(config: &Object) -> Result<Option<Stored>, HubError> {
    let key = config.first(&["dtype", "torch_dtype"]);
    match config.text(key)?.map(|name| name.trim_start_matches("torch.")) {
        None | Some("auto") => Ok(None),
        Some("bfloat16") => Ok(Some(Stored::Bf16)),
        Some("float16") => Ok(Some(Stored::F16)),
        Some("float32") => Ok(Some(Stored::F32)),
        Some(_) => Err(config.wrong(key, "one of float32, float16, bfloat16")),
    }
}

/// The id of a token; older files have −1 for none.
pub(super) fn token(config: &Object, key: &str) -> Result<Option<u32>, HubError> {
    let Some(value) = config.value(key) else { return Ok(None) };
    if value.as_i64() == Some(-1) {
        return Ok(None);
    }
    id(value).map(Some).ok_or_else(|| config.wrong(key, "the id of a token"))
}

/// The ids of tokens: one, or a list.
pub(super) fn tokens(config: &Object, key: &str) -> Result<Vec<u32>, HubError> {
    let ids = match config.value(key) {
        None => Some(Vec::new()),
        Some(Value::Array(ids)) => ids.iter().map(id).collect(),
        Some(_) => return Ok(token(config, key)?.into_iter().collect()),
    };
    ids.ok_or_else(|| config.wrong(key, "the ids of tokens"))
}

fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok())
}
