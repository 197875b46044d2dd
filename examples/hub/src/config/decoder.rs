//! Llama, Qwen2 and Mistral: RMS norms first, rotated positions, gated MLPs.

use serde_json::Value;

use super::{
    Activation, Architecture, Biases, Dropout, Family, Head, Mlp, Norm, NormPlace, Positions,
    checks, head, rope,
};
use crate::HubError;
use crate::json::Object;

/// The window of Mistral and Qwen2 in files that say nothing about it.
const WINDOW: usize = 4096;

pub(super) fn read(config: &Object, family: Family) -> Result<Architecture, HubError> {
    let (hidden, heads) =
        (config.positive("hidden_size")?, config.positive("num_attention_heads")?);
    let head_dim = match config.value("head_dim") {
        Some(_) => config.positive("head_dim")?,
        None => checks::head_dim(config, hidden, heads, "num_attention_heads")?,
    };
    let layers = config.positive("num_hidden_layers")?;
    let (classes, labels) = head::classes(config)?;
    let max_positions = config.positive("max_position_embeddings")?;
    Ok(Architecture {
        family,
        head: Head::read(config, family)?,
        classes,
        labels,
        problem: head::problem(config)?,
        vocab: config.positive("vocab_size")?,
        hidden,
        layers,
        heads,
        kv_heads: kv_heads(config, family, heads)?,
        head_dim,
        inner: config.positive("intermediate_size")?,
        norm: Norm::Rms { eps: checks::eps(config, "rms_norm_eps", 1e-6)? },
        norm_place: NormPlace::Pre,
        positions: Positions::Rope(rope::read(config, head_dim, max_positions)?),
        max_positions,
        window: window(config, family, layers)?,
        token_types: 0,
        activation: checks::activation(config, "hidden_act")?.unwrap_or(Activation::Silu),
        mlp: Mlp::Gated,
        biases: biases(config, family)?,
        tied: config.flag("tie_word_embeddings")?.unwrap_or(false),
        dropout: Dropout {
            attention: checks::dropout(config, "attention_dropout", 0.0)?,
            ..Dropout::default()
        },
        stored: checks::stored(config)?,
        bos: checks::token(config, "bos_token_id")?,
        eos: checks::tokens(config, "eos_token_id")?,
        pad: checks::token(config, "pad_token_id")?,
        path: config.path().to_path_buf(),
    })
}

/// What files leave out: Llama has as many heads of keys as of queries; for the others no
/// number follows from the rest of the file.
fn kv_heads(config: &Object, family: Family, heads: usize) -> Result<usize, HubError> {
    match config.value("num_key_value_heads") {
        None if family == Family::Llama => Ok(heads),
        _ => config.positive("num_key_value_heads"),
    }
}

fn biases(config: &Object, family: Family) -> Result<Biases, HubError> {
    let attention = config.flag("attention_bias")?.unwrap_or(false);
    let mlp = config.flag("mlp_bias")?.unwrap_or(false);
    match family {
        Family::Llama => Ok(Biases { qkv: attention, output: attention, mlp }),
        Family::Qwen2 => Ok(Biases { qkv: true, output: false, mlp: false }),
        _ => Ok(Biases { qkv: false, output: false, mlp: false }),
    }
}

/// The window that every block has, or none.
fn window(config: &Object, family: Family, layers: usize) -> Result<Option<usize>, HubError> {
    let width = match (config.has("sliding_window"), family) {
        (_, Family::Llama) => None,
        (true, _) => config.value("sliding_window").map(|_| config.positive("sliding_window")),
        (false, _) => Some(Ok(WINDOW)),
    };
    let Some(width) = width.transpose()? else {
        return all_slide(config, layers, 0).map(|_| None);
    };
    let sliding = match family {
        Family::Mistral => layers,
        _ if config.flag("use_sliding_window")?.unwrap_or(false) => {
            let first = config.count("max_window_layers")?.unwrap_or(28);
            layers.saturating_sub(first)
        }
        _ => 0,
    };
    Ok(all_slide(config, layers, sliding)?.then_some(width))
}

/// Whether all blocks have a window, rather than none. `layer_types` says it for each block; without
/// it, the last `sliding` blocks have one.
fn all_slide(config: &Object, layers: usize, sliding: usize) -> Result<bool, HubError> {
    let key = "layer_types";
    let Some(types) = config.value(key) else {
        return match sliding {
            0 => Ok(false),
            n if n == layers => Ok(true),
            _ => {
                let expected = format!("0 or at least {layers}: all blocks or none with a window");
                Err(config.wrong("max_window_layers", expected))
            }
        };
    };
    let types = types.as_array().map(Vec::as_slice).unwrap_or_default();
    let all = |name: &str| types.len() == layers && types.iter().all(|t| t.as_str() == Some(name));
    match (all("full_attention"), all("sliding_attention")) {
        (true, _) => Ok(false),
        (_, true) if sliding > 0 => Ok(true),
        _ => {
            let found = types.iter().find(|t| t.as_str() != Some("full_attention"));
            let found = found.map_or_else(|| format!("{} entries", types.len()), Value::to_string);
            let expected = format!("full_attention for each of the {layers} blocks");
            Err(HubError::setting(config.path(), key, found, expected))
        }
    }
}
