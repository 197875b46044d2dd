#!/usr/bin/env python3
"""Makes tests/data: what transformers and PEFT say of small models and adapters.

    make.py            writes tests/data anew
    make.py --check    writes it elsewhere and compares, byte by byte

Needs torch 2.9.0, transformers 5.23.0, peft 0.21.2 and safetensors. Nothing is downloaded. Weights are
random, of a fixed seed.
"""

import filecmp
import json
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT writes sets in the order of their hashes.
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import torch
import transformers
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.pytorch_utils import Conv1D

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
DATA = pathlib.Path(__file__).parent / "data"

DECODER = dict(hidden_size=16, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2,
               intermediate_size=24, vocab_size=20, max_position_embeddings=64)
GPT2 = dict(model_type="gpt2", n_embd=16, n_head=4, n_layer=2, vocab_size=20, n_positions=32)
BERT = dict(model_type="bert", hidden_size=16, num_attention_heads=4, num_hidden_layers=2,
            intermediate_size=24, vocab_size=20, max_position_embeddings=32)
LABELS = dict(id2label={"0": "a", "1": "b", "2": "c"}, label2id={"a": 0, "b": 1, "c": 2})

MODELS = {
    "llama": dict(architectures=["LlamaForCausalLM"], model_type="llama", **DECODER),
    "llama_bias": dict(architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=True,
                       mlp_bias=True, head_dim=6, tie_word_embeddings=True, **DECODER),
    "llama_bare": dict(architectures=["LlamaModel"], model_type="llama", **DECODER),
    "llama_classes": dict(architectures=["LlamaForSequenceClassification"], model_type="llama",
                          **LABELS, **DECODER),
    "qwen2": dict(architectures=["Qwen2ForCausalLM"], model_type="qwen2", **DECODER),
    "mistral": dict(architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=8,
                    **DECODER),
    "gpt2": dict(architectures=["GPT2LMHeadModel"], **GPT2),
    "gpt2_classes": dict(architectures=["GPT2ForSequenceClassification"], n_inner=40, **LABELS,
                         **GPT2),
    "bert": dict(architectures=["BertModel"], **BERT),
    "bert_classes": dict(architectures=["BertForSequenceClassification"], **LABELS, **BERT),
}


def build(config):
    """The network of a config.json's content."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(**config)
    return getattr(transformers, config.architectures[0])(config)


def describe(path, module):
    """Path, what it is, and for a linear layer or a table its sizes."""
    kind = type(module).__name__
    if isinstance(module, Conv1D):
        inputs, out = module.weight.shape
        return [path, "linear", out, inputs, True, True]
    if isinstance(module, torch.nn.Linear):
        return [path, "linear", *module.weight.shape, module.bias is not None, False]
    if isinstance(module, torch.nn.Embedding):
        return [path, "table", module.weight.shape[0]]
    return [path, "norm" if kind.endswith("Norm") else "other"]


def models(out):
    """Configurations and the modules of their networks."""
    cases = {}
    for name, config in MODELS.items():
        modules = [describe(path, module) for path, module in build(config).named_modules() if path]
        cases[name] = dict(config=config, modules=modules)
    (out / "models.json").write_text(json.dumps(cases, indent=None) + "\n")


ROPES = [
    dict(),
    dict(rope_theta=500000.0),
    dict(rope_scaling=dict(type="linear", factor=4.0)),
    dict(rope_parameters=dict(rope_type="linear", factor=2.5, rope_theta=1000000.0)),
    dict(rope_theta=500000.0, head_dim=64,
         rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                           high_freq_factor=4.0, original_max_position_embeddings=8192)),
    dict(head_dim=128, rope_parameters=dict(
        rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=8192, rope_theta=500000.0)),
    dict(head_dim=64, max_position_embeddings=2048, rope_scaling=dict(
        rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)),
]


def ropes(out):
    """Configurations and the frequencies of their rotations, exactly."""
    cases = []
    for options in ROPES:
        raw = {**MODELS["llama"], **options}
        config = AutoConfig.for_model(**json.loads(json.dumps(raw)))
        model = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        cases.append(dict(config=raw, frequencies=[float(f) for f in model.inv_freq]))
    (out / "ropes.json").write_text(json.dumps(cases) + "\n")


def sums(model):
    """For each tensor its shape, sum and sum with weights, in double precision."""
    def of(tensor):
        flat = tensor.double().flatten()
        places = torch.arange(1, len(flat) + 1, dtype=torch.float64)
        return [list(tensor.shape), float(flat.sum()), float((flat * places).sum())]
    return {name: of(tensor) for name, tensor in model.state_dict().items()}


def folders(out):
    """Whole model folders: one in shards and bf16, one in a single file and f16."""
    everything = {}
    for name, dtype, shard in [("qwen2", torch.bfloat16, "4KB"), ("gpt2", torch.float16, "1MB")]:
        model = build(MODELS[name]).to(dtype)
        model.save_pretrained(out / "models" / name, max_shard_size=shard)
        (out / "models" / name / "generation_config.json").unlink(missing_ok=True)
        everything[name] = sums(model)
    (out / "sums.json").write_text(json.dumps(everything) + "\n")


MAKERS = [models, ropes, folders]


def make(out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for maker in MAKERS:
        maker(out)


def files(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def check():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "data"
        make(out)
        ours, theirs = files(DATA), files(out)
        wrong = set(ours) ^ set(theirs)
        wrong |= {p for p in set(ours) & set(theirs) if not filecmp.cmp(DATA / p, out / p, False)}
        for path in sorted(wrong):
            print(f"differs: {path}")
        print(f"{len(theirs)} files, {len(wrong)} differ")
        return len(wrong) == 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(not check())
    make(DATA)
    print(f"{sum((DATA / p).stat().st_size for p in files(DATA))} bytes in {len(files(DATA))} files")
