//! Llama, Qwen2 and Mistral: RMS norms first, rotated positions, gated MLPs.

use super::{
    Activation, Architecture, Biases, Dropout, Family, Head, Mlp, Norm, NormPlace, Positions,
    Scores, Window, checks, head, rope,
};
use crate::HubError;
use crate::json::Object;

pub(super) fn read(config: &Object, family: Family) -> Result<Architecture, HubError> {
    let (hidden, heads) =
        (config.positive("hidden_size")?, config.positive("num_attention_heads")?);
    let head_dim = match config.value("head_dim") {
        Some(_) => config.positive("head_dim")?,
        None => checks::head_dim(config, hidden, heads, "num_attention_heads")?,
    };
    let layers = config.positive("num_hidden_layers")?;
    let (classes, labels) = head::classes(config)?;
    let max_positions = positions(config, family)?;
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
        scores: Scores::default(),
        inner: config.positive("intermediate_size")?,
        norm: Norm::Rms { eps: checks::eps(config, "rms_norm_eps", 1e-6)? },
        norm_place: NormPlace::Pre,
        positions: Positions::Rope(rope::read(config, head_dim, max_positions)?),
        max_positions,
        window: Window::read(config, family, layers, max_positions)?,
        token_types: 0,
        activation: checks::activation(config, "hidden_act")?.unwrap_or(Activation::Silu),
        mlp: Mlp::Gated,
        biases: biases(config, family)?,
        tied: config.flag("tie_word_embeddings")?.unwrap_or(false),
        copied: false,
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

/// As many heads of keys as of queries where the file says nothing; the others have a number of their own,
/// unless it says `null`.
fn kv_heads(config: &Object, family: Family, heads: usize) -> Result<usize, HubError> {
    let key = "num_key_value_heads";
    match (config.value(key), family) {
        (Some(_), _) => config.positive(key),
        (None, Family::Qwen2) if !config.has(key) => Ok(32),
        (None, Family::Mistral) if !config.has(key) => Ok(8),
        (None, _) => Ok(heads),
    }
}

/// The most tokens of a text.
fn positions(config: &Object, family: Family) -> Result<usize, HubError> {
    let key = "max_position_embeddings";
    match (config.value(key), family) {
        (Some(_), _) => config.positive(key),
        (None, Family::Qwen2) => Ok(32_768),
        (None, Family::Mistral) => Ok(131_072),
        (None, _) => Ok(2048),
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
