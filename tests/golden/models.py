"""Tiny models of every family, and what transformers and PEFT make of them.

    python models.py            write the folder `models` beside this script
    python models.py --check    regenerate it elsewhere and compare byte for byte

One folder for each model: `config.json` and the weights, as `save_pretrained` writes them.

    model        architecture                    what is particular about it
    llama        LlamaForCausalLM                tied, 4 heads on 2; f32, in shards with an index
    llama3       LlamaForCausalLM                untied, llama3 rotary scaling, 3 heads on 1, of
                                                 width 16: heads·width is not the hidden size
    qwen2        Qwen2ForCausalLM                tied, biases on q, k and v, 3 layers; bf16
    mistral      MistralForCausalLM              untied, a query sees the last 5 tokens; f16
    gpt2         GPT2LMHeadModel                 tied, Conv1D weights [in,out], tanh GELU; f32
    bert         BertForSequenceClassification   3 classes; f32
    minilm       BertModel                       keys without "bert."; f32. Its runs put a
                                                 classifier of 2 classes on it
    gpt2_depth   GPT2LMHeadModel                 scores divided by the block's number, and not by
                                                 √dim; f32. Its run has a rank above the width, and
                                                 trains a copy of the tied head
    qwen2_windows Qwen2ForCausalLM               in blocks 1 and 2 a query sees the last 5 tokens, in
                                                 block 0 all; f32

Weights are random and large: attention is far from uniform and logits are of order 1 to 10.
All dropouts are 0. Below, V is the vocabulary (or the number of classes), T a batch's tokens.


<model>/golden.safetensors: what goes in and comes out. Two batches of different shapes, <b> is
`a` or `b`. The rows of `a` have different lengths and are padded on the right; `b` is one shape.

    <b>/input_ids       [rows,T]    int64; 0 where padded
    <b>/attention_mask  [rows,T]    int64; 1 for tokens, 0 for padding
    <b>/token_type_ids  [rows,T]    int64; BERT only
    <b>/labels          [rows,T]    int64; aligned with input_ids (the loss shifts them), −100 is
                                    ignored: some at the beginning, and padding. [rows] if classes
    <b>/logits          [rows,T,V]  f64; of the base model. [rows,V] if classes
    <b>/hidden          [rows,T,H]  f64; minilm only, in place of logits: last_hidden_state
    b/generated         [12]        int64; qwen2_windows only: the most probable tokens after the
                                    first row of `b`, as `generate` makes them, with its cache
    <run>/losses        [12]        f64; of each step, before its update
    <run>/grad_norms    [12]        f64; before clipping, over everything trained
    <run>/losses_f32    [12]        f32; the same run in f32
    <run>/grad_norms_f32 [12]       f32
    <run>/a/logits                  f32; of the trained model on `a`, from the f64 run

Logits and hidden states are 0 where attention_mask is 0. Everything is computed twice. In f64,
RMSNorm, rotary angles and the loss, for which transformers goes to f32 whatever the model's type,
are replaced by the same formulas in f64. In f32 nothing is replaced: that is PEFT as it is. The
difference of both tells how much rounding alone is worth: `golden.json` has the largest ones.
Weights on disk in bf16 and f16 are first converted to f32 (f64), which is exact.


<model>/golden.json: `f32`, the largest difference of the base model's logits (hidden states) in
f32, as a share of the largest absolute value; and `runs` by name, each with

    method          lora, dora or full (every parameter, without PEFT)
    classes         minilm only: classes of the head put on the base model
    lr  weight_decay    of AdamW; betas (.9, .999), eps 1e-8
    clip            of the gradient's norm, or null: g ← g·min(1, clip/(norm + 1e-6))
    batches         of each step: its micro-batches. With two, the sum of both losses' numerators
                    is divided by the labels that count in both, as in transformers' Trainer
    f32             largest relative difference of the f32 run: of losses, of grad_norms, and of
                    logits (of their largest absolute value)

AdamW decays matrices only (embeddings too): no biases, norms and magnitudes. Rates are constant.
Parameters that are tied are one. The loss is the mean over labels that count.


<model>/<run>/initial/: the adapter before the first step, as PEFT saves it (f32), read by PEFT
before the run. In runs called *_init, A, B and magnitudes are as PEFT initialises them (B = 0);
else B is random, and magnitudes are up to some 10 % off, so that everything matters at once.
<model>/<run>/final/: the trained adapter, of the f64 run; only where `final` is true in
golden.json. Merged models are not here: the script asserts that their logits are the adapter's to
1e-10 of the largest in f64.

Runs called *_biases train biases as well: those of adapted layers, or (all_biases) of all layers.

Biases of keys have no gradient in GPT-2 and BERT (softmax does not see them), so AdamW moves them
by the sign of rounding errors. They change no loss, norm or logit: compare those.
"""

import make as golden  # first: it sets the environment of PyTorch

import json
import math
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from make import Tensors, prefixed
from safetensors.torch import save_file
from torch import Tensor, nn
from training import Model, Run, batches_of, load, output, schedule, share, training_run
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

# Models and runs

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

DROPOUTS = ("attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout")
NO_DROPOUT = dict.fromkeys(DROPOUTS, 0.0)
BERT_NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TOKENS = {"bos_token_id": 1, "eos_token_id": 2}

ALL = {"r": 3, "lora_alpha": 5, "target_modules": "all-linear"}
QV = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
QUERY_VALUE = QV | {"target_modules": ["query", "value"]}
BIASED = {"bias": "lora_only"}
HIGH = {"r": 14, "lora_alpha": 5, "target_modules": ["c_attn"], "modules_to_save": ["lm_head"]}
PATTERNS = {
    "r": 3,
    "lora_alpha": 6,
    "target_modules": r".*\.(q_proj|v_proj|down_proj)",
    "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 5},
    "alpha_pattern": {"v_proj": 9, r"model\.layers\.0\..*q_proj": 1},
}

lora = partial(Run, "lora")
dora = partial(Run, "dora")
full = Run("full", lr=3e-3)
rslora = ALL | {"use_rslora": True}

LLAMA_RUNS = {
    "lora_qv_init": lora(QV, init=True, final=True),
    "dora_qv_init": dora(QV, init=True, final=True),
    "dora_all_rslora": dora(rslora),
    "dora_patterns": dora(PATTERNS, final=True),
    "lora_decay": lora(QV, weight_decay=3.0, clip=None),
    "dora_accumulate": dora(QV, accumulate=True),
    "full": full,
}

MODELS = {
    "llama": Model(
        LlamaForCausalLM,
        LlamaConfig(
            vocab_size=67, hidden_size=40, intermediate_size=56, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
            rms_norm_eps=1e-5, tie_word_embeddings=True, **TOKENS,
        ),
        LLAMA_RUNS,
        shard="60KB",
    ),
    "llama3": Model(
        LlamaForCausalLM,
        LlamaConfig(
            vocab_size=61, hidden_size=36, intermediate_size=52, num_hidden_layers=2,
            num_attention_heads=3, num_key_value_heads=1, head_dim=16,
            max_position_embeddings=512, rope_parameters=LLAMA3, **TOKENS,
        ),
        {"dora_qv": dora(QV, final=True), "lora_all_rslora": lora(rslora, lr=3e-3), "full": full},
    ),
    "qwen2": Model(
        Qwen2ForCausalLM,
        Qwen2Config(
            vocab_size=89, hidden_size=24, intermediate_size=44, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
            tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            pad_token_id=12, **TOKENS,  # a token of its texts, as in many chat models
        ),
        {"lora_qv": lora(QV), "dora_all_rslora": dora(rslora, clip=None), "full": full},
        dtype=torch.bfloat16,
    ),
    "mistral": Model(
        MistralForCausalLM,
        MistralConfig(
            vocab_size=73, hidden_size=48, intermediate_size=60, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
            sliding_window=5, **TOKENS,
        ),
        {"dora_qv": dora(QV), "lora_all_accumulate": lora(ALL, accumulate=True)},
        lengths=(13, 10),
        dtype=torch.float16,
    ),
    "gpt2": Model(
        GPT2LMHeadModel,
        GPT2Config(
            vocab_size=71, n_positions=40, n_embd=30, n_layer=2, n_head=3, **NO_DROPOUT, **TOKENS
        ),
        {
            "lora_default_init": lora({"r": 4, "lora_alpha": 8}, init=True, final=True),
            "dora_all_rslora": dora(rslora),
            "full": full,
            "dora_biases": dora(BIASED | {"r": 2, "target_modules": ["c_proj"]}, final=True),
        },
    ),
    "bert": Model(
        BertForSequenceClassification,
        BertConfig(
            vocab_size=83, hidden_size=30, num_hidden_layers=2, num_attention_heads=3,
            intermediate_size=50, max_position_embeddings=32, num_labels=3, **BERT_NO_DROPOUT,
        ),
        {
            "lora_default": lora(QUERY_VALUE, final=True),
            "dora_pooler": dora(QUERY_VALUE | {"modules_to_save": ["classifier", "pooler"]}),
            "dora_all": dora(ALL),
            "full": full,
            "lora_biases": lora(QUERY_VALUE | BIASED, final=True),
        },
        lengths=(13, 9, 4),
    ),
    "minilm": Model(
        BertModel,
        BertConfig(
            vocab_size=97, hidden_size=24, num_hidden_layers=3, num_attention_heads=4,
            intermediate_size=60, max_position_embeddings=24, **BERT_NO_DROPOUT,
        ),
        {"dora_classify": dora(QUERY_VALUE, classes=2, final=True)},
        lengths=(13, 9, 4),
    ),
    "gpt2_depth": Model(
        GPT2LMHeadModel,
        GPT2Config(
            vocab_size=29, n_positions=20, n_embd=12, n_layer=2, n_head=2, n_inner=20,
            scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True, **NO_DROPOUT, **TOKENS,
        ),
        {"dora_head": dora(HIGH, final=True)},
    ),
    "qwen2_windows": Model(
        Qwen2ForCausalLM,
        Qwen2Config(
            vocab_size=43, hidden_size=20, intermediate_size=28, num_hidden_layers=3,
            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=48,
            use_sliding_window=True, sliding_window=5, max_window_layers=1, **TOKENS,
        ),
        {
            "lora_qv": lora(QV),
            "dora_all": dora(ALL, final=True),
            "full": full,
            "dora_biases": dora(ALL | BIASED, final=True),
            "lora_all_biases": lora(QV | {"bias": "all"}, accumulate=True, final=True),
        },
        generate=12,
    ),
}


# Weights


def spread(name: str, module: nn.Module, parameter: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of a parameter's initial values."""
    if isinstance(module, nn.Embedding):
        return 0.0, 0.4
    if isinstance(module, (nn.Linear, Conv1D)) and name == "weight":
        inputs = parameter.shape[0 if isinstance(module, Conv1D) else 1]
        return 0.0, 1.5 / math.sqrt(inputs)
    return (0.0 if name == "bias" else 1.0), 0.2  # biases, and weights of norms


def base_model(model: Model, seed: int) -> PreTrainedModel:
    generator = torch.Generator().manual_seed(seed)
    made = model.make(model.config)
    for module in made.modules():
        for name, parameter in module.named_parameters(recurse=False):
            mean, std = spread(name, module, parameter)
            with torch.no_grad():
                parameter.copy_(mean + std * torch.randn(parameter.shape, generator=generator))
    return made.to(model.dtype)


# Files


def base_data(model: Model, folder: Path) -> tuple[Tensors, float]:
    data, worst = {}, 0.0
    kind = "hidden" if model.make is BertModel else "logits"
    rounded, exact = (load(model, folder, dtype) for dtype in (torch.float32, torch.float64))
    for name, tensors in batches_of(model).items():
        values = output(exact, tensors)
        data |= prefixed(name, tensors | {kind: values})
        worst = max(worst, share(values, output(rounded, tensors)))
    if model.generate:
        data["b/generated"] = generated(exact, data["b/input_ids"][:1], model.generate)
    return data, float(f"{worst:.1e}")


def generated(model: nn.Module, ids: Tensor, count: int) -> Tensor:
    answer = model.generate(ids, max_new_tokens=count, do_sample=False)[0, ids.shape[1] :]
    assert len(answer) == count, "an end before its time"
    return answer


def described(run: Run, f32: dict[str, float]) -> dict:
    kept = ("method", "lr", "weight_decay", "clip", "final", "classes")
    made = {name: value for name, value in asdict(run).items() if name in kept}
    return made | {"batches": schedule(run), "f32": f32}


def save_model(model: Model, folder: Path, seed: int) -> None:
    base_model(model, seed).save_pretrained(folder, max_shard_size=model.shard)
    (folder / "generation_config.json").unlink(missing_ok=True)


def make_model(model: Model, folder: Path, seed: int) -> None:
    save_model(model, folder, seed)
    data, worst = base_data(model, folder)
    runs = {}
    for index, (name, run) in enumerate(model.runs.items()):
        tensors, f32 = training_run(model, run, folder / name, seed + index + 1)
        data |= prefixed(name, tensors)
        runs[name] = described(run, f32)
    assert all(torch.isfinite(tensor).all() for tensor in data.values()), "not finite"
    data = {name: tensor.contiguous() for name, tensor in data.items()}
    save_file(data, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps({"f32": worst, "runs": runs}, indent=1) + "\n")


def make(folder: Path) -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore")  # PEFT's, of hubs and Conv1D
    for index, (name, model) in enumerate(MODELS.items()):
        make_model(model, folder / "models" / name, 1000 + 100 * index)


if __name__ == "__main__":
    golden.main(make)
