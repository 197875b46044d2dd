//! The names inside the networks of transformers, family by family.

use super::{NormRole, Role, Table};
use crate::config::Family;

/// What stands under a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Linear(Role),
    Table(Table),
    Norm(NormRole),
    Other,
}

use Part::{Linear, Norm, Other};

type Parts = &'static [(&'static str, Part)];

/// What comes before the blocks, the name of their list, what is in a block, and what comes after.
pub(super) const fn of(family: Family) -> (Parts, &'static str, Parts, Parts) {
    match family {
        Family::Llama | Family::Qwen2 | Family::Mistral => {
            (DECODER_BEFORE, "layers", DECODER_BLOCK, DECODER_AFTER)
        }
        Family::Gpt2 => (GPT2_BEFORE, "h", GPT2_BLOCK, GPT2_AFTER),
        Family::Bert => (BERT_BEFORE, "encoder.layer", BERT_BLOCK, BERT_AFTER),
    }
}

pub(super) const LANGUAGE: Parts = &[("lm_head", Linear(Role::Head))];
pub(super) const CLASSES: Parts = &[("score", Linear(Role::Classifier))];
pub(super) const BERT_CLASSES: Parts =
    &[("dropout", Other), ("classifier", Linear(Role::Classifier))];

const DECODER_BEFORE: Parts = &[("embed_tokens", Part::Table(Table::Tokens))];
const DECODER_BLOCK: Parts = &[
    ("self_attn", Other),
    ("self_attn.q_proj", Linear(Role::Q)),
    ("self_attn.k_proj", Linear(Role::K)),
    ("self_attn.v_proj", Linear(Role::V)),
    ("self_attn.o_proj", Linear(Role::O)),
    ("mlp", Other),
    ("mlp.gate_proj", Linear(Role::Gate)),
    ("mlp.up_proj", Linear(Role::Up)),
    ("mlp.down_proj", Linear(Role::Down)),
    ("mlp.act_fn", Other),
    ("input_layernorm", Norm(NormRole::Attention)),
    ("post_attention_layernorm", Norm(NormRole::Mlp)),
];
const DECODER_AFTER: Parts = &[("norm", Norm(NormRole::Last)), ("rotary_emb", Other)];

const GPT2_BEFORE: Parts =
    &[("wte", Part::Table(Table::Tokens)), ("wpe", Part::Table(Table::Positions)), ("drop", Other)];
const GPT2_BLOCK: Parts = &[
    ("ln_1", Norm(NormRole::Attention)),
    ("attn", Other),
    ("attn.c_attn", Linear(Role::Qkv)),
    ("attn.c_proj", Linear(Role::O)),
    ("attn.attn_dropout", Other),
    ("attn.resid_dropout", Other),
    ("ln_2", Norm(NormRole::Mlp)),
    ("mlp", Other),
    ("mlp.c_fc", Linear(Role::Up)),
    ("mlp.c_proj", Linear(Role::Down)),
    ("mlp.act", Other),
    ("mlp.dropout", Other),
];
const GPT2_AFTER: Parts = &[("ln_f", Norm(NormRole::Last))];

const BERT_BEFORE: Parts = &[
    ("embeddings", Other),
    ("embeddings.word_embeddings", Part::Table(Table::Tokens)),
    ("embeddings.position_embeddings", Part::Table(Table::Positions)),
    ("embeddings.token_type_embeddings", Part::Table(Table::Types)),
    ("embeddings.LayerNorm", Norm(NormRole::Embeddings)),
    ("embeddings.dropout", Other),
    ("encoder", Other),
];
const BERT_BLOCK: Parts = &[
    ("attention", Other),
    ("attention.self", Other),
    ("attention.self.query", Linear(Role::Q)),
    ("attention.self.key", Linear(Role::K)),
    ("attention.self.value", Linear(Role::V)),
    ("attention.self.dropout", Other),
    ("attention.output", Other),
    ("attention.output.dense", Linear(Role::O)),
    ("attention.output.LayerNorm", Norm(NormRole::Attention)),
    ("attention.output.dropout", Other),
    ("intermediate", Other),
    ("intermediate.dense", Linear(Role::Up)),
    ("intermediate.intermediate_act_fn", Other),
    ("output", Other),
    ("output.dense", Linear(Role::Down)),
    ("output.LayerNorm", Norm(NormRole::Mlp)),
    ("output.dropout", Other),
];
const BERT_AFTER: Parts =
    &[("pooler", Other), ("pooler.dense", Linear(Role::Pooler)), ("pooler.activation", Other)];
