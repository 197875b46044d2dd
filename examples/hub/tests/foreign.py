#!/usr/bin/env python3
"""Makes tests/data/foreign: adapters as mlx-lm and LyCORIS save them, and what they make of a weight.

    foreign.py            writes tests/data/foreign anew
    foreign.py --check    makes it again and compares, byte by byte

Needs what make.py needs, and lycoris-lora 4.1.3, mlx 0.32.4 (mlx[cpu]) and mlx-lm 0.32.2. The base is
tests/data/models/qwen2. The files of the authors of DoRA are those of PEFT under other names, as
reference papers and readers of them say; their own program writes pickles.
"""

import filecmp
import json
import pathlib
import shutil
import sys
import tempfile

import mlx.core as mx
import mlx.nn as mlx_nn
import torch
from lycoris.modules.locon import LoConModule
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRALinear
from mlx_lm.utils import save_config
from safetensors.torch import load_file, save_file

DATA = pathlib.Path(__file__).parent / "data"
LAYERS = ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj",
          "model.layers.1.mlp.down_proj"]


def base():
    tensors = {}
    for shard in sorted((DATA / "models" / "qwen2").glob("*.safetensors")):
        tensors.update(load_file(shard))
    return {name: tensors[f"{name}.weight"].float() for name in LAYERS}


def sums(weight):
    flat = torch.tensor(weight).double().flatten()
    places = torch.arange(1, len(flat) + 1, dtype=torch.float64)
    return [float(flat.sum()), float((flat * places).sum())]


def mlx_lm(out, kind, layer_type):
    """Layers of mlx-lm with random numbers, saved as its trainer does."""
    saved, merged = {}, {}
    for i, (name, weight) in enumerate(base().items()):
        linear = mlx_nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        linear.weight = mx.array(weight.numpy())
        layer = layer_type.from_base(linear, r=2, scale=1.5, dropout=0.0)
        torch.manual_seed(i)
        for part in ["lora_a", "lora_b", "m"]:
            if part in layer:
                values = torch.randn(*getattr(layer, part).shape) + (2.0 if part == "m" else 0.0)
                setattr(layer, part, mx.array(values.numpy()))
                saved[f"{name}.{part}"] = getattr(layer, part)
        merged[name] = sums(layer.fuse().weight.tolist())
    (out / kind).mkdir()
    mx.save_safetensors(str(out / kind / "adapters.safetensors"), saved)
    save_config(dict(fine_tune_type=kind.removeprefix("mlx_"), num_layers=2, model="qwen2",
                     lora_parameters=dict(rank=2, scale=1.5, dropout=0.0)),
                out / kind / "adapter_config.json")
    return merged


def lycoris(out, file, prefix, wd_on_out):
    """Modules of LyCORIS with random numbers, saved as its network does."""
    saved, merged = {}, {}
    for i, (name, weight) in enumerate(base().items()):
        torch.manual_seed(10 + i)
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        linear.weight.data = weight.clone()
        module = LoConModule(name, linear, lora_dim=2 + i, alpha=3, weight_decompose=True,
                             wd_on_out=wd_on_out)
        for parameter in module.parameters():
            parameter.data = torch.randn_like(parameter) + (2.0 if parameter is module.dora_scale else 0.0)
        state = {f"{prefix}{name.replace('.', '_')}.{k}": v for k, v in module.state_dict().items()
                 if not k.startswith("org_")}
        saved.update({k: v.contiguous().clone() for k, v in state.items()})
        merged[name] = sums(module.get_merged_weight()[0].tolist())
    save_file(saved, out / file)
    return merged


def authors(out):
    """An adapter of PEFT under the names of the authors of DoRA."""
    (out / "authors").mkdir()
    source = DATA / "adapters" / "llama_dora"
    magnitude = "lora_magnitude_vector"
    tensors = {}
    for name, value in load_file(source / "adapter_model.safetensors").items():
        if name.endswith(magnitude):
            name, value = name.replace(magnitude, "weight_m_wdecomp.weight"), value[:, None].contiguous()
        tensors[name] = value
    save_file(tensors, out / "authors" / "adapter_model.safetensors", metadata={"format": "pt"})
    config = dict(peft_type="DORA", base_model_name_or_path="llama", task_type="CAUSAL_LM",
                  inference_mode=True, r=2, target_modules=["q_proj", "down_proj"],
                  Wdecompose_target_modules=None, lora_alpha=4, lora_dropout=0.0, merge_weights=False,
                  fan_in_fan_out=False, enable_lora=None, bias="none", modules_to_save=None,
                  dora_simple=True)
    (out / "authors" / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def make(out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    merged = {
        "mlx_dora": mlx_lm(out, "mlx_dora", DoRALinear),
        "mlx_lora": mlx_lm(out, "mlx_lora", LoRALinear),
        "lycoris.safetensors": lycoris(out, "lycoris.safetensors", "lycoris_", True),
        "kohya.safetensors": lycoris(out, "kohya.safetensors", "lora_te_", True),
    }
    lycoris(out, "inputs.safetensors", "lora_te_", False)
    authors(out)
    (out / "merged.json").write_text(json.dumps(merged) + "\n")


def check():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "foreign"
        make(out)
        files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
        wrong = [p for p in files if not filecmp.cmp(out / p, DATA / "foreign" / p, False)]
        print(f"{len(files)} files, {len(wrong)} differ", *wrong)
        return not wrong


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(not check())
    make(DATA / "foreign")
