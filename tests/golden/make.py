"""Golden data from PyTorch and PEFT, against which decora is tested.

    python make.py            write the files beside this script
    python make.py --check    regenerate them elsewhere and compare byte for byte

The packages are pinned in requirements.txt; Python 3.11 on x86-64 Linux made the committed files.
Tensors are float64, integers int64, and every scalar is a tensor of shape [1]. In the formulas
V = w + scale·lora_b·lora_a, n_i is the Euclidean norm of row i of V, and g = m/n.


layer.safetensors: one linear layer, rows=6, in=7, out=5, r=3, alpha=5. Keys are `<case>/<name>`.

    w [out,in]  b [out]      base weight; base bias, in the cases that have one
    lora_a [r,in]  lora_b [out,r]  m [out]
    alpha  r  scale          scale = alpha/r, or alpha/√r for rsLoRA
    seed  p  mask [rows,in]  of the dropout; mask is 0 or 1/(1−p), see `dropout_mask`
    x [rows,in]  dy [rows,out]  y [rows,out]
    dx  d_lora_a  d_lora_b  dm  db     gradients of Σ dy⊙y, each of the shape of its input
    norm [out]               n, over which m is divided
    merged [out,in]          the weight that replaces w once the adapter is merged

    case                method                                                 b
    dora                PEFT: y = g⊙(x·Vᵀ) + b, n constant in the gradient     no
    dora_bias           likewise                                               yes
    dora_rslora         likewise, rsLoRA's scale                               no
    dora_negative_m     likewise, m_0, m_2 and m_4 negative                    no
    dora_dropout        PEFT, training, x' = x⊙mask:
                        y = x·wᵀ + b + (g−1)⊙(x'·wᵀ) + g⊙scale·(x'·lora_aᵀ)·lora_bᵀ   yes
    lora                PEFT: y = x·Vᵀ + b                                     no
    lora_bias           likewise                                               yes
    lora_rslora         likewise, rsLoRA's scale                               no
    lora_dropout        PEFT, training: y = x·wᵀ + b + scale·(x'·lora_aᵀ)·lora_bᵀ     yes
    dora_exact          autograd: as dora, the gradient goes through n too     yes
    magnitude_only      autograd: V = w, so y = g⊙(x·wᵀ) + b                   yes
    magnitude_dropout   autograd: V = w, y = x·wᵀ + b + (g−1)⊙(x'·wᵀ)          yes

LoRA has no m, dm and norm; the magnitude cases have no lora_a, lora_b, alpha, r and scale.

    init/{w,b,lora_a,lora_b,m,x,y} (float32) and init/{alpha,r,scale}: a DoRA layer as PEFT
    initialises it, lora_b = 0; y equals the base layer's output bit for bit.


train.safetensors: ten optimiser steps of an MLP 6→7→5→3 with biases, ReLU between the layers
and mean cross-entropy over the 8 rows of each step's batch. Keys are `<run>/<name>`.

    initial/layers.<i>.<weight|bias|lora_a|lora_b|m>     all parameters before the first step
    final/layers.<i>.<…>     the trained ones after the last step
    x [10,8,6]  labels [10,8]            the batches
    losses [10]              of each step's batch, before its update
    grad_norms [10]          Euclidean norm of the whole gradient, before clipping
    lr [10]  lr_second [10]  of both parameter groups, as used in each step
    x_eval [5,6]  logits_eval [5,3]      the trained model's output on held-out rows
    alpha  r  scale          of the adapters, in the runs that have them

    run         first | second group   optimiser                      schedule         clip
    dora        lora_a, lora_b | m     AdamW lr .02, wd .05           cosine,          0.5
                                           | lr .01, wd 0             2 warm-up steps
    lora        lora_a, lora_b         AdamW lr .02, wd .05           linear,          none
                (rsLoRA)                                              3 warm-up steps
    full        weights | biases       AdamW lr .01, wd .05           constant         0.5
                                           | lr .01, wd 0
    sgd         as dora                SGD lr .05, wd .01             constant         none
                                           | lr .05, wd 0; momentum .9
    accumulate  as dora, but each batch as two micro-batches of its first and last 4 rows,
                whose halved mean losses, and their gradients, are added up

All adapters have r=2, alpha=4 and cover the three layers; PEFT initialises them, lora_b = 0.
PyTorch draws weights, biases and lora_a in float32, so their initial values fit in it; those of
m do not. Without a second group, lr_second repeats lr. With warm-up, the first rate is zero.

AdamW: betas (.9, .999), eps 1e-8, decoupled decay p ← (1 − lr·wd)·p. SGD: the decay is added to
the gradient after clipping, the momentum buffer starts as the first gradient, no dampening.
Clipping multiplies every gradient by min(1, clip/(norm + 1e-6)).


functions.safetensors

    x [41]                                0.3·i for i from −20 to 20
    <gelu|gelu_tanh|silu|relu|tanh|sigmoid>/{y,dydx} [41]   gelu is exact (erf); relu'(0) = 0
    cross_entropy/logits [5,4]  labels [5]     labels_2 = −100 is ignored
    cross_entropy/loss_sum  loss_mean  dlogits [5,4]        dlogits of loss_mean, over 4 rows
    mse/y [5,4]  target [5,4]  loss  dy [5,4]               mean over all 20 elements


peft_adapter/: the `dora` run's trained adapter in float32, as `save_pretrained` writes it. The
order of target_modules, which PEFT leaves to chance, is sorted afterwards. The keys are
base_model.model.layers.<i>.{lora_A.weight,lora_B.weight,lora_magnitude_vector}.
"""

import os

# The same rounding on every processor; to be set before PyTorch is loaded.
os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["MKL_CBWR"] = "COMPATIBLE"

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from transformers import (
    get_constant_schedule,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

Tensors = dict[str, Tensor]

HERE = Path(__file__).resolve().parent


def scalar(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def random(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


# Dropout


def mix(h: np.ndarray) -> np.ndarray:
    """The finaliser of MurmurHash3, on uint32."""
    h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
    return h ^ (h >> 16)


def dropout_mask(shape: tuple[int, int], seed: int, p: float) -> Tensor:
    """What a [rows, cols] matrix is multiplied by: 0 if dropped, else 1/(1 − p).

    The element at row·cols + col = index is kept if, in 32-bit arithmetic,
    mix(mix(index·0x9E3779B9 ⊕ low half of the seed) ⊕ high half) ≥ ⌊p·2³²⌋.
    """
    index = np.arange(math.prod(shape), dtype=np.uint32)
    low, high = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)
    h = mix(mix((index * np.uint32(0x9E3779B9)) ^ low) ^ high)
    kept = h >= math.floor(p * 2**32)
    return torch.from_numpy(np.where(kept, 1 / (1 - p), 0.0).reshape(shape))


class MaskedDropout(nn.Module):
    """Stands in for nn.Dropout, with a mask given beforehand."""

    def __init__(self, mask: Tensor):
        super().__init__()
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask if self.training else x


# One layer

ROWS, INPUTS, OUTPUTS = 6, 7, 5
RANK, ALPHA = 3, 5
DROPOUT_SEED, DROPOUT_P = 0x1234_5678_9ABC_DEF0, 0.25


@dataclass(frozen=True)
class LayerCase:
    adapted: bool = True  # has lora_a and lora_b
    magnitude: bool = True
    bias: bool = False
    rslora: bool = False
    dropout: bool = False
    negative: bool = False  # every other magnitude

    @property
    def scale(self) -> float:
        return ALPHA / (math.sqrt(RANK) if self.rslora else RANK)


PEFT_CASES = {
    "dora": LayerCase(),
    "dora_bias": LayerCase(bias=True),
    "dora_rslora": LayerCase(rslora=True),
    "dora_negative_m": LayerCase(negative=True),
    "dora_dropout": LayerCase(bias=True, dropout=True),
    "lora": LayerCase(magnitude=False),
    "lora_bias": LayerCase(magnitude=False, bias=True),
    "lora_rslora": LayerCase(magnitude=False, rslora=True),
    "lora_dropout": LayerCase(magnitude=False, bias=True, dropout=True),
}

AUTOGRAD_CASES = {
    "dora_exact": LayerCase(bias=True),
    "magnitude_only": LayerCase(adapted=False, bias=True),
    "magnitude_dropout": LayerCase(adapted=False, bias=True, dropout=True),
}

GRADIENT_NAMES = {"x": "dx", "b": "db", "m": "dm", "lora_a": "d_lora_a", "lora_b": "d_lora_b"}


def effective_weight(t: Tensors) -> Tensor:
    """V, whose rows DoRA normalises."""
    return t["w"] + t["scale"] * t["lora_b"] @ t["lora_a"] if "lora_a" in t else t["w"]


def random_magnitude(generator: torch.Generator, norm: Tensor, negative: bool) -> Tensor:
    m = norm * torch.exp(0.3 * random(generator, OUTPUTS))
    if negative:
        m[::2] *= -1
    return m


def layer_inputs(case: LayerCase, seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    t = {
        "w": random(generator, OUTPUTS, INPUTS),
        "x": random(generator, ROWS, INPUTS),
        "dy": random(generator, ROWS, OUTPUTS),
    }
    if case.bias:
        t["b"] = random(generator, OUTPUTS)
    if case.adapted:
        t["lora_a"] = random(generator, RANK, INPUTS) / math.sqrt(INPUTS)
        t["lora_b"] = random(generator, OUTPUTS, RANK) / 2
        t |= {"alpha": scalar(ALPHA), "r": scalar(RANK), "scale": scalar(case.scale)}
    if case.magnitude:
        norm = torch.linalg.norm(effective_weight(t), dim=1)
        t["m"] = random_magnitude(generator, norm, case.negative)
    if case.dropout:
        t["seed"], t["p"] = torch.tensor([DROPOUT_SEED]), scalar(DROPOUT_P)
        t["mask"] = dropout_mask((ROWS, INPUTS), DROPOUT_SEED, DROPOUT_P)
    return t


def gradients(y: Tensor, dy: Tensor, leaves: Tensors) -> Tensors:
    values = torch.autograd.grad(y, list(leaves.values()), dy)
    return {GRADIENT_NAMES[name]: value for name, value in zip(leaves, values)}


class OneLinear(nn.Module):
    def __init__(self, bias: bool):
        super().__init__()
        self.linear = nn.Linear(INPUTS, OUTPUTS, bias)


def adapted_linear(case: LayerCase, base: OneLinear) -> nn.Module:
    """PEFT's layer around the linear layer of `base`."""
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=DROPOUT_P if case.dropout else 0.0,
        use_rslora=case.rslora,
        use_dora=case.magnitude,
        target_modules=["linear"],
    )
    return get_peft_model(base, config).base_model.model.linear


def peft_parameters(layer: nn.Module) -> Tensors:
    parameters = {
        "w": layer.base_layer.weight,
        "b": layer.base_layer.bias,
        "lora_a": layer.lora_A["default"].weight,
        "lora_b": layer.lora_B["default"].weight,
    }
    if "default" in layer.lora_magnitude_vector:
        parameters["m"] = layer.lora_magnitude_vector["default"].weight
    return {name: value for name, value in parameters.items() if value is not None}


def refuse_base_result(_module: nn.Module, _args: tuple, kwargs: dict) -> None:
    """A hook: with dropout, PEFT's DoRA has to multiply x' by w, not to reuse x·wᵀ."""
    assert kwargs["base_result"] is None, "PEFT did not take its dropout path"


def inject_dropout(layer: nn.Module, mask: Tensor) -> None:
    layer.lora_dropout["default"] = MaskedDropout(mask)
    for magnitude in layer.lora_magnitude_vector.values():
        magnitude.register_forward_pre_hook(refuse_base_result, with_kwargs=True)


def peft_norm(layer: nn.Module) -> Tensor:
    magnitude = layer.lora_magnitude_vector["default"]
    product = layer.get_delta_weight("default")  # scaled already
    return magnitude.get_weight_norm(layer.base_layer.weight, product, scaling=1).detach()


def peft_layer(case: LayerCase, seed: int) -> Tensors:
    t = layer_inputs(case, seed)
    layer = adapted_linear(case, OneLinear(case.bias).double()).train()
    parameters = peft_parameters(layer)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(t[name])
    if case.dropout:
        inject_dropout(layer, t["mask"])

    leaves = {"x": t["x"].clone()} | {n: p for n, p in parameters.items() if n != "w"}
    for leaf in leaves.values():
        leaf.requires_grad_()
    y = layer(leaves["x"])

    t |= {"y": y.detach()} | gradients(y, t["dy"], leaves)
    if case.magnitude:
        t["norm"] = peft_norm(layer)
    layer.merge(safe_merge=True)
    t["merged"] = layer.base_layer.weight.detach()
    return t


def autograd_layer(case: LayerCase, seed: int) -> Tensors:
    t = layer_inputs(case, seed)
    leaves = {n: t[n].clone().requires_grad_() for n in GRADIENT_NAMES if n in t}
    v = effective_weight(t | leaves)
    norm = torch.linalg.norm(v, dim=1)
    g = leaves["m"] / norm
    if case.dropout:
        x = leaves["x"]
        y = x @ v.T + (g - 1) * ((x * t["mask"]) @ v.T) + leaves["b"]
    else:
        y = g * (leaves["x"] @ v.T) + leaves["b"]
    t |= {"y": y.detach()} | gradients(y, t["dy"], leaves)
    return t | {"norm": norm.detach(), "merged": (g[:, None] * v).detach()}


def initial_layer() -> Tensors:
    """A DoRA layer of float32 as PEFT makes it."""
    torch.manual_seed(100)
    case = LayerCase(bias=True)
    base = OneLinear(case.bias)
    x = torch.randn(ROWS, INPUTS)
    y = base.linear(x).detach()
    layer = adapted_linear(case, base)
    assert torch.equal(layer(x), y), "PEFT's fresh adapter changes the output"
    parameters = {name: value.detach() for name, value in peft_parameters(layer).items()}
    sizes = {"alpha": scalar(ALPHA), "r": scalar(RANK), "scale": scalar(case.scale)}
    return parameters | sizes | {"x": x, "y": y}


def layer_data() -> Tensors:
    data = prefixed("init", initial_layer())
    for seed, (name, case) in enumerate(PEFT_CASES.items()):
        data |= prefixed(name, peft_layer(case, seed))
    for seed, (name, case) in enumerate(AUTOGRAD_CASES.items(), start=50):
        data |= prefixed(name, autograd_layer(case, seed))
    return data


# Training

STEPS, BATCH, EVALUATED = 10, 8, 5
INPUT_SIZE = 3  # so that some steps are clipped and others are not
WIDTHS = (6, 7, 5, 3)
LAYERS = ["layers.0", "layers.1", "layers.2"]


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(WIDTHS, WIDTHS[1:]))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


@dataclass(frozen=True)
class Run:
    seed: int
    optimizer: Callable[[list[dict]], torch.optim.Optimizer]
    second_group: dict[str, float]  # what differs for magnitudes and biases
    schedule: Callable[[torch.optim.Optimizer], LRScheduler] = get_constant_schedule
    adapter: dict | None = None  # arguments of LoraConfig; without, everything is trained
    clip: float = math.inf
    micro_batches: int = 1


DORA = {"use_dora": True}
RSLORA = {"use_rslora": True}

ADAMW = partial(torch.optim.AdamW, lr=0.02, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05)
SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.01)
COSINE = partial(get_cosine_schedule_with_warmup, num_warmup_steps=2, num_training_steps=STEPS)
LINEAR = partial(get_linear_schedule_with_warmup, num_warmup_steps=3, num_training_steps=STEPS)

DORA_RUN = partial(Run, 1, ADAMW, {"lr": 0.01, "weight_decay": 0.0}, COSINE, DORA, clip=0.5)

RUNS = {
    "dora": DORA_RUN(),
    "lora": Run(2, ADAMW, {}, LINEAR, RSLORA),
    "full": Run(3, partial(ADAMW, lr=0.01), {"weight_decay": 0.0}, clip=0.5),
    "sgd": Run(4, SGD, {"weight_decay": 0.0}, adapter=DORA),
    "accumulate": DORA_RUN(micro_batches=2),
}

OUR_NAMES = {
    "base_model.model.": "",
    "base_layer.": "",
    "lora_A.default.weight": "lora_a",
    "lora_B.default.weight": "lora_b",
    "lora_magnitude_vector.default.weight": "m",
}


def our_name(name: str) -> str:
    for theirs, ours in OUR_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def named_values(model: nn.Module, trained_only: bool) -> Tensors:
    return {
        our_name(name): parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or not trained_only
    }


def build_model(run: Run) -> nn.Module:
    model = Mlp().double()
    if run.adapter is None:
        return model
    config = LoraConfig(r=2, lora_alpha=4, target_modules=LAYERS, **run.adapter)
    return get_peft_model(model, config)


def adapter_sizes(model: nn.Module) -> Tensors:
    if not isinstance(model, PeftModel):
        return {}
    layer = model.base_model.model.layers[0]
    named = {"alpha": layer.lora_alpha, "r": layer.r, "scale": layer.scaling}
    return {name: scalar(values["default"]) for name, values in named.items()}


def parameter_groups(model: nn.Module, second: dict[str, float]) -> list[dict]:
    groups = [{"params": []}, {"params": [], **second}]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[our_name(name).endswith((".m", ".bias"))]["params"].append(parameter)
    return groups


def accumulate_gradients(model: nn.Module, x: Tensor, labels: Tensor, parts: int) -> Tensor:
    """Leaves the batch's gradients in the parameters and returns its loss."""
    total = torch.zeros(1, dtype=torch.float64)
    for x_part, labels_part in zip(x.chunk(parts), labels.chunk(parts)):
        loss = F.cross_entropy(model(x_part), labels_part) / parts
        loss.backward()
        total += loss.detach()
    return total


def train(model: nn.Module, run: Run, x: Tensor, labels: Tensor) -> Tensors:
    optimizer = run.optimizer(parameter_groups(model, run.second_group))
    schedule = run.schedule(optimizer)
    history = {"losses": [], "grad_norms": [], "lr": [], "lr_second": []}
    for x_batch, labels_batch in zip(x, labels):
        optimizer.zero_grad()
        loss = accumulate_gradients(model, x_batch, labels_batch, run.micro_batches)
        norm = nn.utils.clip_grad_norm_(model.parameters(), run.clip)
        lr, lr_second = schedule.get_last_lr()
        for name, value in zip(history, (loss, norm, lr, lr_second)):
            history[name].append(float(value))
        optimizer.step()
        schedule.step()
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in history.items()}


def training_run(run: Run) -> tuple[Tensors, nn.Module]:
    torch.manual_seed(run.seed)
    model = build_model(run).train()
    generator = torch.Generator().manual_seed(run.seed)
    x = INPUT_SIZE * random(generator, STEPS, BATCH, WIDTHS[0])
    labels = torch.randint(WIDTHS[-1], (STEPS, BATCH), generator=generator)
    x_eval = random(generator, EVALUATED, WIDTHS[0])

    data = {"x": x, "labels": labels, "x_eval": x_eval} | adapter_sizes(model)
    data |= prefixed("initial", named_values(model, trained_only=False))
    data |= train(model, run, x, labels)
    data |= prefixed("final", named_values(model, trained_only=True))
    with torch.no_grad():
        data["logits_eval"] = model.eval()(x_eval)
    return data, model


def save_adapter(model: PeftModel, folder: Path) -> None:
    """PEFT's two files, in float32, without the model card."""
    with tempfile.TemporaryDirectory() as saved:
        model.float().save_pretrained(saved)
        config = json.loads(Path(saved, "adapter_config.json").read_text())
        config["target_modules"].sort()
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config, indent=2, sort_keys=True)
        (folder / "adapter_config.json").write_text(text + "\n")
        shutil.copy(Path(saved, "adapter_model.safetensors"), folder)


# Functions

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


def activation_data() -> Tensors:
    grid = 0.3 * torch.arange(-20, 21, dtype=torch.float64)  # zero is exact
    data = {"x": grid}
    for name, function in ACTIVATIONS.items():
        x = grid.clone().requires_grad_()
        y = function(x)
        (dydx,) = torch.autograd.grad(y.sum(), x)
        data |= prefixed(name, {"y": y.detach(), "dydx": dydx})
    return data


def cross_entropy_data(generator: torch.Generator) -> Tensors:
    logits = (3 * random(generator, 5, 4)).requires_grad_()
    labels = torch.tensor([2, 0, -100, 3, 1])
    loss_mean = F.cross_entropy(logits, labels)
    (dlogits,) = torch.autograd.grad(loss_mean, logits)
    return {
        "logits": logits.detach(),
        "labels": labels,
        "loss_sum": F.cross_entropy(logits, labels, reduction="sum").detach().view(1),
        "loss_mean": loss_mean.detach().view(1),
        "dlogits": dlogits,
    }


def mse_data(generator: torch.Generator) -> Tensors:
    y = random(generator, 5, 4).requires_grad_()
    target = random(generator, 5, 4)
    loss = F.mse_loss(y, target)
    (dy,) = torch.autograd.grad(loss, y)
    return {"y": y.detach(), "target": target, "loss": loss.detach().view(1), "dy": dy}


def function_data() -> Tensors:
    generator = torch.Generator().manual_seed(200)
    data = activation_data()
    data |= prefixed("cross_entropy", cross_entropy_data(generator))
    return data | prefixed("mse", mse_data(generator))


# Files


def save(data: Tensors, path: Path, float32: str | None = None) -> None:
    """Writes float64 and int64; under the prefix `float32`, float32 as well."""
    for name, tensor in data.items():
        allowed = {torch.float64, torch.int64}
        if float32 is not None and name.startswith(float32):
            allowed.add(torch.float32)
        assert tensor.dtype in allowed, f"{name} is {tensor.dtype}"
        assert torch.isfinite(tensor).all(), f"{name} is not finite"
    save_file({name: tensor.contiguous() for name, tensor in data.items()}, path)


def make(folder: Path) -> None:
    save(layer_data(), folder / "layer.safetensors", float32="init/")
    results = {name: training_run(run) for name, run in RUNS.items()}
    data = {}
    for name, (tensors, _model) in results.items():
        data |= prefixed(name, tensors)
    save(data, folder / "train.safetensors")
    save(function_data(), folder / "functions.safetensors")
    save_adapter(results["dora"][1], folder / "peft_adapter")


def tensor_differences(made: Path, committed: Path) -> Iterator[str]:
    new, old = load_file(made), load_file(committed)
    for name in sorted(new.keys() | old.keys()):
        if name not in old or name not in new:
            yield f"{name} is only in the {'new' if name in new else 'committed'} file"
        elif new[name].shape != old[name].shape or new[name].dtype != old[name].dtype:
            yield f"{name} has another shape or type"
        elif not torch.equal(new[name], old[name]):
            yield f"{name} differs by at most {(new[name] - old[name]).abs().max().item():.1e}"


def differences(made: Path, committed: Path) -> Iterator[str]:
    if not committed.exists():
        yield "it is not committed"
    elif made.read_bytes() != committed.read_bytes():
        yield "its bytes differ"
        if made.suffix == ".safetensors":
            yield from tensor_differences(made, committed)


def check(make: Callable[[Path], None]) -> bool:
    same = True
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary))
        for made in sorted(path for path in Path(temporary).rglob("*") if path.is_file()):
            name = made.relative_to(temporary)
            found = list(differences(made, HERE / name))
            print(f"{name}: {'' if found else 'identical'}", *found, sep="\n    " if found else "")
            same = same and not found
    return same


def main(make: Callable[[Path], None]) -> None:
    parser = argparse.ArgumentParser(description="Golden data from PyTorch and PEFT.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    if not parser.parse_args().check:
        make(HERE)
    elif not check(make):
        sys.exit("The files are not what this script makes.")


if __name__ == "__main__":
    main(make)
