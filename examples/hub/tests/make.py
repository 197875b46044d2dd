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
import re
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
if os.environ.get("PYTHONHASHSEED") != "0":  # PEFT writes sets in the order of their hashes.
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})

import torch
import transformers
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import ModulesToSaveWrapper
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
    dict(head_dim=64, max_position_embeddings=32768, rope_theta=1000000.0, rope_scaling=dict(
        type="yarn", factor=4.0, original_max_position_embeddings=32768)),
    dict(head_dim=32, rope_parameters=dict(
        rope_type="yarn", factor=8.0, rope_theta=500.0, original_max_position_embeddings=256,
        beta_fast=16, beta_slow=2, mscale=0.7, mscale_all_dim=1.2, truncate=False)),
    dict(head_dim=16, rope_scaling=dict(rope_type="yarn", factor=2.0, attention_factor=1.5)),
    dict(head_dim=16, rope_theta=100.0, rope_scaling=dict(type="dynamic", factor=4.0)),
]


def ropes(out):
    """Configurations, the frequencies of their rotations exactly, and what these are multiplied by."""
    cases = []
    for options in ROPES:
        raw = {**MODELS["llama"], **options}
        config = AutoConfig.for_model(**json.loads(json.dumps(raw)))
        model = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        cases.append(dict(config=raw, frequencies=[float(f) for f in model.inv_freq],
                          amplitude=float(model.attention_scaling)))
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


TASKS = {"CausalLM": "CAUSAL_LM", "LMHeadModel": "CAUSAL_LM", "Classification": "SEQ_CLS",
         "Model": "FEATURE_EXTRACTION"}

SELECTIONS = [
    dict(),
    dict(target_modules="all-linear"),
    dict(target_modules="All-Linear", task_type=None),
    dict(target_modules="all-linear", exclude_modules=["down_proj", "c_proj", "dense"]),
    dict(target_modules="all-linear", exclude_modules=r".*\.1\..*"),
    dict(target_modules="all-linear", modules_to_save=["pooler"]),
    dict(target_modules="all-linear", rank_pattern={"q_proj|query|c_attn": 2, "mlp.*": 3},
         alpha_pattern={r"layers\.1\..*": 5, ".*c_proj": 7}),
    dict(target_modules=["q_proj", "query", "c_attn"], use_rslora=True, r=3, lora_alpha=12),
    dict(target_modules=["proj"]),
    dict(target_modules=["_proj", "tion.self.key", "attn.c_proj"]),
    dict(target_modules=["q_proj", "nothing", "output.dense", "mlp.c_proj"]),
    dict(target_modules=["lm_head", "score", "classifier"]),
    dict(target_modules=["q_proj", "lm_head", "c_fc", "pooler.dense"], task_type=None),
    dict(target_modules=[]),
    dict(target_modules=["embed_tokens", "wte", "word_embeddings"]),
    dict(target_modules=["self_attn", "attn", "attention"]),
    dict(target_modules=["norm", "ln_f", "LayerNorm"]),
    dict(target_modules=r".*\.(q_proj|c_attn|query)"),
    dict(target_modules=r"(q_proj|c_attn|query)"),
    dict(target_modules=r"model\.layers\.\d+\.mlp\.(?!down).*proj|transformer\.h\.0\.mlp\.c_fc|"
                        r"bert\.encoder\.layer\.[1-9]\.attention\.self\.(query|value)"),
    dict(target_modules=r".*(?<=gate_)proj|.*c_f.|.*intermediate\.dense"),
    dict(target_modules=r".*"),
    dict(target_modules=r".*layers.*"),
    dict(target_modules=["v_proj", "value", "c_attn"], layers_to_transform=[1]),
    dict(target_modules=["v_proj", "value", "c_attn"], layers_to_transform=0),
    dict(target_modules=["v_proj", "value", "c_attn"], layers_to_transform=[]),
    dict(target_modules=["v_proj", "value", "c_attn"], layers_to_transform=[0, 7],
         layers_pattern="layers"),
    dict(target_modules=["v_proj", "value", "c_attn"], layers_to_transform=[0],
         layers_pattern=["h", "layer"]),
    dict(target_modules=["v_proj", "value", "c_attn"], layers_to_transform=[0],
         layers_pattern=["laye.s?", "blocks"]),
    dict(target_modules=["model.layers.1.mlp.up_proj", "q_proj", "layers.0.mlp.up_proj",
                         "transformer.h.1.attn.c_attn", "c_proj", "encoder.layer.0.output.dense",
                         "key"], layers_to_transform=[0]),
    dict(target_modules=["q_proj", "c_attn", "query"], exclude_modules=["model.layers.0.self_attn.q_proj",
         "h.0.attn.c_attn", "layer.0.attention.self.query", "layers.1"]),
    dict(target_modules=["q_proj", "c_attn", "query"], exclude_modules=r".*"),
    dict(target_modules=["q_proj", "c_attn", "query"], modules_to_save=["lm_head"]),
    dict(target_modules=["q_proj", "c_attn", "query"], modules_to_save=["v_proj", "mlp", "pooler"]),
    dict(target_modules=["q_proj", "c_attn", "query"], modules_to_save=["embed_tokens", "wte"]),
    dict(target_modules=["q_proj", "up_proj", "c_attn", "query", "dense"], modules_to_save=["mlp", "dense"]),
    dict(target_modules=["q_proj", "k_proj", "c_attn", "query", "key"],
         rank_pattern={"proj": 2, "0.self_attn.q_proj": 3, r".*\.1\..*": 1, "key": 2},
         alpha_pattern={"^model.*k_proj": 3, "self.key": 4, "transformer.h.0.attn.c_attn": 6.5}),
    dict(target_modules=["q_proj", "c_attn", "query"], rank_pattern={"q_proj|c": 2, "c_attn|query": 3},
         use_dora=True, lora_dropout=0.25),
    dict(target_modules="(", use_dora=True),
]


def is_plain(model, tied):
    """Whether nothing but linear layers is trained, and no tied head."""
    for module in model.modules():
        if isinstance(module, BaseTunerLayer) and not isinstance(module, LoraLinear):
            return False
        if isinstance(module, ModulesToSaveWrapper):
            inner = module.original_module
            leaves = [m for m in inner.modules() if list(m.parameters(recurse=False))]
            if any(not isinstance(m, (torch.nn.Linear, Conv1D, LoraLinear)) for m in leaves):
                return False
            if isinstance(inner, torch.nn.Linear) and inner.out_features == 20 and tied:
                return False
    return True


def within(path, roots):
    return any(path == root or path.startswith(root + ".") for root in roots)


def selected(name, options):
    """What PEFT adapts, by places in the list of modules, with ranks and scales; what it trains as a whole."""
    network = build(MODELS[name])
    paths = [path for path, _ in network.named_modules() if path]
    linear = {path for path, m in network.named_modules() if isinstance(m, (torch.nn.Linear, Conv1D))}
    try:
        model = get_peft_model(network, LoraConfig(**json.loads(json.dumps(options))))
    except (ValueError, TypeError, re.error) as error:
        return dict(error=type(error).__name__)
    if not is_plain(model, MODELS[name].get("tie_word_embeddings", name == "gpt2")):
        return dict(error="unsupported")
    inner = dict(model.base_model.model.named_modules())
    adapted = [[i, inner[path].r["default"], inner[path].scaling["default"]]
               for i, path in enumerate(paths)
               if isinstance(inner.get(path), BaseTunerLayer)]
    roots = [path for path, m in inner.items() if isinstance(m, ModulesToSaveWrapper)]
    if any(within(paths[row[0]], roots) for row in adapted):
        return dict(error="both")
    saved = [i for i, path in enumerate(paths) if path in linear and within(path, roots)]
    return dict(adapted=adapted, saved=saved)


def task(name):
    return next(v for k, v in TASKS.items() if MODELS[name]["architectures"][0].endswith(k))


def selections(out):
    """What PEFT makes of many settings on every network."""
    rows = []
    for options in SELECTIONS:
        cases = {name: selected(name, {"task_type": task(name), "r": 4, "lora_alpha": 8, **options})
                 for name in MODELS}
        text = LoraConfig(**{"r": 4, "lora_alpha": 8, **options}).to_dict()
        text = {k: sorted(v) if isinstance(v, set) else v for k, v in text.items()}
        rows.append(dict(options={**{k: v for k, v in text.items() if k in options}, "r": text["r"],
                                  "lora_alpha": text["lora_alpha"], "peft_type": "LORA"},
                         fixed_task="task_type" in options, cases=cases))
    (out / "selections.json").write_text(json.dumps(rows, separators=(",", ":")) + "\n")


def randomise(model):
    """Something else than zeros in B, and magnitudes that are not norms."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            parameter.data = torch.randn_like(parameter) * 0.5


ADAPTERS = {
    "llama_dora": ("llama", torch.float32, dict(use_dora=True, target_modules=["q_proj", "down_proj"])),
    "qwen2_lora": ("qwen2", torch.bfloat16, dict(
        target_modules="all-linear", exclude_modules=["gate_proj"], use_rslora=True, r=2, lora_alpha=3,
        rank_pattern={"k_proj": 1, "0.mlp.up_proj": 3}, alpha_pattern={".*down_proj": 5},
        lora_dropout=0.05)),
    "gpt2_dora": ("gpt2_classes", torch.float32, dict(use_dora=True)),
    "bert_dora": ("bert_classes", torch.float16, dict(
        use_dora=True, target_modules=r".*layer\.1\..*(query|dense)", modules_to_save=["pooler"])),
    "mistral_layers": ("mistral", torch.float32, dict(
        target_modules=["v_proj"], layers_to_transform=[1], layers_pattern=["layers"],
        init_lora_weights="gaussian")),
    "qwen2_biases": ("qwen2", torch.float32, dict(
        use_dora=True, target_modules=["q_proj", "o_proj"], bias="all")),
    "bert_biases": ("bert_classes", torch.float32, dict(target_modules=["value"], bias="lora_only")),
    "both/other": ("llama", torch.float32, dict(target_modules=["o_proj"], r=1)),
}


def adapters(out):
    """Adapters as PEFT saves them."""
    for name, (base, dtype, options) in ADAPTERS.items():
        model = build(MODELS[base]).to(dtype)
        options = {"task_type": task(base), "r": 2, "lora_alpha": 4, **options}
        folder, _, adapter = name.partition("/")
        if adapter:
            model = get_peft_model(model, LoraConfig(**{**options, "use_dora": True}))
            model.add_adapter(adapter, LoraConfig(**options))
        else:
            model = get_peft_model(model, LoraConfig(**options))
        randomise(model)
        model.save_pretrained(out / "adapters" / folder)
        for readme in (out / "adapters").rglob("README.md"):
            readme.unlink()


MAKERS = [models, ropes, folders, selections, adapters]


def make(out):
    for path in files(out):
        (out / path).unlink()
    out.mkdir(parents=True, exist_ok=True)
    for maker in MAKERS:
        maker(out)


def files(folder):
    """The files that are made here: those under `foreign` are foreign.py's."""
    inner = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(p for p in inner if p.parts[0] != "foreign")


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
