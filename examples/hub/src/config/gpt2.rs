//! GPT-2: layer norms first, learned positions, `Conv1D`.

use super::{
    Activation, Architecture, Biases, Dropout, Family, Head, Mlp, Norm, NormPlace, Positions,
    Scores, checks, head,
};
use crate::HubError;
use crate::json::Object;

pub(super) fn read(config: &Object) -> Result<Architecture, HubError> {
    let of = |keys: &[&'static str]| config.positive(config.first(keys));
    let (hidden, heads) =
        (of(&["n_embd", "hidden_size"])?, of(&["n_head", "num_attention_heads"])?);
    let max_positions = of(&["n_positions", "max_position_embeddings", "n_ctx"])?;
    let inner = match config.value("n_inner") {
        Some(_) => config.positive("n_inner")?,
        None => 4 * hidden,
    };
    let (classes, labels) = head::classes(config)?;
    let key = config.first(&["n_head", "num_attention_heads"]);
    let activation = checks::activation(config, "activation_function")?;
    Ok(Architecture {
        family: Family::Gpt2,
        head: Head::read(config, Family::Gpt2)?,
        classes,
        labels,
        problem: head::problem(config)?,
        vocab: config.positive("vocab_size")?,
        hidden,
        layers: of(&["n_layer", "num_hidden_layers"])?,
        heads,
        kv_heads: heads,
        head_dim: checks::head_dim(config, hidden, heads, key)?,
        scores: Scores {
            by_root: config.flag("scale_attn_weights")?.unwrap_or(true),
            by_depth: config.flag("scale_attn_by_inverse_layer_idx")?.unwrap_or(false),
        },
        inner,
        norm: Norm::Layer { eps: checks::eps(config, "layer_norm_epsilon", 1e-5)? },
        norm_place: NormPlace::Pre,
        positions: Positions::Learned(max_positions),
        max_positions,
        window: None,
        token_types: 0,
        activation: activation.unwrap_or(Activation::GeluTanh),
        mlp: Mlp::Plain,
        biases: Biases { qkv: true, output: true, mlp: true },
        tied: config.flag("tie_word_embeddings")?.unwrap_or(true),
        copied: false,
        dropout: Dropout {
            embeddings: checks::dropout(config, "embd_pdrop", 0.1)?,
            attention: checks::dropout(config, "attn_pdrop", 0.1)?,
            residual: checks::dropout(config, "resid_pdrop", 0.1)?,
            classifier: 0.0,
        },
        stored: checks::stored(config)?,
        bos: checks::token(config, "bos_token_id")?,
        eos: checks::tokens(config, "eos_token_id")?,
        pad: checks::token(config, "pad_token_id")?,
        path: config.path().to_path_buf(),
    })
}
