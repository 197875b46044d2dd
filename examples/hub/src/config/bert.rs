//! BERT and MiniLM: layer norms after each sum, learned positions, token types, no causal mask.

use super::{
    Activation, Architecture, Biases, Dropout, Family, Head, Mlp, Norm, NormPlace, Positions,
    Scores, checks, head,
};
use crate::HubError;
use crate::json::Object;

pub(super) fn read(config: &Object) -> Result<Architecture, HubError> {
    if config.flag("is_decoder")? == Some(true) {
        return Err(config.wrong("is_decoder", "false: BERT as an encoder"));
    }
    let (hidden, heads) =
        (config.positive("hidden_size")?, config.positive("num_attention_heads")?);
    let max_positions = config.positive("max_position_embeddings")?;
    let (classes, labels) = head::classes(config)?;
    Ok(Architecture {
        family: Family::Bert,
        head: Head::read(config, Family::Bert)?,
        classes,
        labels,
        problem: head::problem(config)?,
        vocab: config.positive("vocab_size")?,
        hidden,
        layers: config.positive("num_hidden_layers")?,
        heads,
        kv_heads: heads,
        head_dim: checks::head_dim(config, hidden, heads, "num_attention_heads")?,
        scores: Scores::default(),
        inner: config.positive("intermediate_size")?,
        norm: Norm::Layer { eps: checks::eps(config, "layer_norm_eps", 1e-12)? },
        norm_place: NormPlace::Post,
        positions: Positions::Learned(max_positions),
        max_positions,
        window: None,
        token_types: token_types(config)?,
        activation: checks::activation(config, "hidden_act")?.unwrap_or(Activation::Gelu),
        mlp: Mlp::Plain,
        biases: Biases { qkv: true, output: true, mlp: true },
        tied: config.flag("tie_word_embeddings")?.unwrap_or(true),
        copied: false,
        dropout: dropout(config)?,
        stored: checks::stored(config)?,
        bos: checks::token(config, "bos_token_id")?,
        eos: checks::tokens(config, "eos_token_id")?,
        pad: checks::token(config, "pad_token_id")?,
        path: config.path().to_path_buf(),
    })
}

fn token_types(config: &Object) -> Result<usize, HubError> {
    match config.value("type_vocab_size") {
        Some(_) => config.positive("type_vocab_size"),
        None => Ok(2),
    }
}

fn dropout(config: &Object) -> Result<Dropout, HubError> {
    let hidden = checks::dropout(config, "hidden_dropout_prob", 0.1)?;
    Ok(Dropout {
        embeddings: hidden,
        attention: checks::dropout(config, "attention_probs_dropout_prob", 0.1)?,
        residual: hidden,
        classifier: checks::dropout(config, "classifier_dropout", hidden)?,
    })
}
