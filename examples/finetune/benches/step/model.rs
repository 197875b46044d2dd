//! A model with random weights, as a folder.

use core::error::Error;
use std::collections::BTreeMap;
use std::fs;

use clap::Args;
use decora::init::Rng;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tempfile::TempDir;

/// The shapes of a Llama; those of SmolLM2-135M with a smaller vocabulary if nobody says.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shape {
    /// Blocks
    #[arg(long, default_value_t = 30)]
    layers: usize,
    /// Columns of what runs from block to block
    #[arg(long, default_value_t = 576)]
    width: usize,
    /// Columns of the gated perceptrons
    #[arg(long, default_value_t = 1536)]
    inner: usize,
    /// Heads of queries
    #[arg(long, default_value_t = 9)]
    heads: usize,
    /// Heads of keys and values
    #[arg(long, default_value_t = 3)]
    kv_heads: usize,
    /// Tokens that there are
    #[arg(long, default_value_t = 8192)]
    vocabulary: usize,
}

/// A model of this shape, in f32: every block has the same weights, drawn from U(−0.035, 0.035).
pub(crate) fn random(shape: &Shape) -> Result<TempDir, Box<dyn Error>> {
    let &Shape { layers, width, inner, heads, kv_heads, vocabulary } = shape;
    let folder = tempfile::tempdir()?;
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100_000.0,
        "tie_word_embeddings": true, "hidden_act": "silu", "dtype": "float32",
    });
    fs::write(folder.path().join("config.json"), config.to_string())?;
    let dim = width / heads;
    let of_block = [
        ("self_attn.q_proj", vec![heads * dim, width]),
        ("self_attn.k_proj", vec![kv_heads * dim, width]),
        ("self_attn.v_proj", vec![kv_heads * dim, width]),
        ("self_attn.o_proj", vec![width, heads * dim]),
        ("mlp.gate_proj", vec![inner, width]),
        ("mlp.up_proj", vec![inner, width]),
        ("mlp.down_proj", vec![width, inner]),
        ("input_layernorm", vec![width]),
        ("post_attention_layernorm", vec![width]),
    ];
    let mut rng = Rng::new(1);
    let data: Vec<_> = of_block.iter().map(|(_, shape)| values(&mut rng, shape)).collect();
    let (table, last) = (values(&mut rng, &[vocabulary, width]), values(&mut rng, &[width]));
    let mut tensors = BTreeMap::new();
    let view = |shape: &[usize], data| TensorView::new(Dtype::F32, shape.to_vec(), data);
    tensors.insert("model.embed_tokens.weight".to_owned(), view(&[vocabulary, width], &table)?);
    tensors.insert("model.norm.weight".to_owned(), view(&[width], &last)?);
    for layer in 0..layers {
        for ((name, shape), data) in of_block.iter().zip(&data) {
            tensors.insert(format!("model.layers.{layer}.{name}.weight"), view(shape, data)?);
        }
    }
    safetensors::serialize_to_file(tensors, None, &folder.path().join("model.safetensors"))?;
    Ok(folder)
}

/// A matrix, or the gains of a normalisation: near 1.
fn values(rng: &mut Rng, shape: &[usize]) -> Vec<u8> {
    let one = if shape.len() == 1 { 1.0 } else { 0.0 };
    let next = |_| {
        let unit = (rng.next_u64() >> 40) as f32 / (1u32 << 24) as f32;
        (one + 0.07 * (unit - 0.5)).to_le_bytes()
    };
    (0..shape.iter().product()).flat_map(next).collect()
}
