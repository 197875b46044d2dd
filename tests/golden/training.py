"""Training runs of transformers models with PEFT, in f32 and in f64: see models.py."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import make as golden  # before PyTorch: it sets its environment

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from exact import to_f64
from make import Tensors
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
    BertModel,
    GPT2LMHeadModel,
    PreTrainedModel,
)

STEPS = 12
BATCHES = ("a", "b")


@dataclass(frozen=True)
class Run:
    method: str = "lora"
    config: dict = field(default_factory=dict)  # arguments of LoraConfig
    init: bool = False  # as PEFT initialises it
    lr: float = 1e-2
    weight_decay: float = 0.01
    clip: float | None = 1.0
    accumulate: bool = False
    final: bool = False
    classes: int | None = None


@dataclass(frozen=True)
class Model:
    make: type[PreTrainedModel]
    config: object
    runs: dict[str, Run]
    lengths: tuple[int, ...] = (13, 9)
    dtype: torch.dtype = torch.float32
    shard: str = "5GB"
    generate: int = 0  # tokens


def classifies(model: Model) -> bool:
    return model.make in (BertForSequenceClassification, BertModel)


# Batches


def padding(lengths: tuple[int, ...]) -> Tensor:
    return torch.tensor([[int(t < n) for t in range(max(lengths))] for n in lengths])


def token_labels(ids: Tensor, mask: Tensor) -> Tensor:
    """The tokens themselves, but padding and the beginning of every row after the first."""
    labels = ids.masked_fill(mask == 0, -100)
    for row in range(1, len(labels)):
        labels[row, : 2 + row] = -100
    return labels


def batch(model: Model, lengths: tuple[int, ...], seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    mask = padding(lengths)
    ids = mask * torch.randint(3, model.config.vocab_size, mask.shape, generator=generator)
    made = {"input_ids": ids, "attention_mask": mask}
    if not classifies(model):
        return made | {"labels": token_labels(ids, mask)}
    second = [[int(t >= n // 2) for t in range(max(lengths))] for n in lengths]
    labels = torch.arange(len(lengths)) % (2 if model.make is BertModel else 3)
    return made | {"token_type_ids": mask * torch.tensor(second), "labels": labels}


def batches_of(model: Model) -> dict[str, Tensors]:
    return {"a": batch(model, model.lengths, 1), "b": batch(model, (17, 17), 2)}


# Training


def load(model: Model, folder: Path, dtype: torch.dtype, classes: int | None = None) -> nn.Module:
    kind = model.make
    options = {"dtype": torch.float32, "attn_implementation": "sdpa"}
    if classes is not None:
        kind, options["num_labels"] = AutoModelForSequenceClassification, classes
        torch.manual_seed(7)
    loaded = kind.from_pretrained(folder, **options)
    return to_f64(loaded) if dtype == torch.float64 else loaded


def output(model: nn.Module, data: Tensors) -> Tensor:
    """Logits or hidden states, 0 where there is padding."""
    with torch.no_grad():
        result = model.eval()(**{name: t for name, t in data.items() if name != "labels"})
    values = result.logits if "logits" in result else result.last_hidden_state
    return values * data["attention_mask"][:, :, None] if values.dim() == 3 else values


def counted(labels: Tensor) -> int:
    """Labels that count in the loss; the first of a row is predicted by nothing."""
    return int((labels[:, 1:] != -100).sum()) if labels.dim() == 2 else len(labels)


def loss_sum(model: nn.Module, data: Tensors) -> Tensor:
    result = model(**data)
    logits, labels = result.logits, data["labels"]
    if labels.dim() == 2:
        logits, labels = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    total = F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    mean = total.detach() / counted(data["labels"])
    assert torch.allclose(mean.float(), result.loss.float(), rtol=1e-5), "not transformers' loss"
    return total


def adapter_config(model: Model, run: Run) -> LoraConfig:
    task = TaskType.SEQ_CLS if classifies(model) else TaskType.CAUSAL_LM
    return LoraConfig(task_type=task, use_dora=run.method == "dora", **run.config)


def disturb(model: PeftModel, generator: torch.Generator) -> None:
    """Random B, magnitudes, biases and saved modules where PEFT's would be zeros, norms and copies."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if "lora_B" in name:
                parameter.copy_(0.15 * noise)
            elif "lora_magnitude" in name:
                parameter.mul_(1 + 0.05 * noise)
            elif "modules_to_save" in name or (parameter.requires_grad and name.endswith("bias")):
                parameter.add_(0.1 * noise)


def save_adapter(adapted: PeftModel, folder: Path) -> None:
    adapted.peft_config["default"].base_model_name_or_path = folder.parent.parent.name
    if isinstance(adapted.peft_config["default"].target_modules, str):
        adapted.save_pretrained(folder)
        (folder / "README.md").unlink()
    else:
        golden.save_adapter(adapted, folder)


def initial_adapter(model: Model, run: Run, where: Path, seed: int) -> None:
    torch.manual_seed(seed)
    loaded = load(model, where.parent, torch.float32, run.classes)
    adapted = get_peft_model(loaded, adapter_config(model, run))
    if not run.init:
        disturb(adapted, torch.Generator().manual_seed(seed))
    conv1d = model.make is GPT2LMHeadModel
    assert adapted.peft_config["default"].fan_in_fan_out == conv1d, "PEFT's fan_in_fan_out"
    save_adapter(adapted, where / "initial")


def trained_model(model: Model, run: Run, where: Path, dtype: torch.dtype) -> nn.Module:
    loaded = load(model, where.parent, dtype, run.classes)
    if run.method == "full":
        return loaded
    return PeftModel.from_pretrained(loaded, where / "initial", is_trainable=True)


def optimizer(model: nn.Module, run: Run) -> torch.optim.AdamW:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": run.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=run.lr)


def schedule(run: Run) -> list[list[str]]:
    return [list(BATCHES) if run.accumulate else [BATCHES[step % 2]] for step in range(STEPS)]


def train(model: nn.Module, run: Run, batches: dict[str, Tensors]) -> Tensors:
    model.train()
    adamw, losses, norms = optimizer(model, run), [], []
    for names in schedule(run):
        adamw.zero_grad()
        count = sum(counted(batches[name]["labels"]) for name in names)
        loss = torch.zeros(())
        for name in names:
            part = loss_sum(model, batches[name]) / count
            part.backward()
            loss = loss + part.detach()
        norm = nn.utils.clip_grad_norm_(model.parameters(), run.clip or math.inf)
        losses.append(loss)
        norms.append(norm)
        adamw.step()
    return {"losses": torch.stack(losses), "grad_norms": torch.stack(norms)}


def share(exact: Tensor, other: Tensor) -> float:
    """The largest difference as a share of the largest absolute value."""
    return float((exact - other).abs().max() / exact.abs().max())


def assert_merged(model: PeftModel, data: Tensors, logits: Tensor) -> None:
    merged = model.merge_and_unload(safe_merge=True)
    worst = share(logits, output(merged, data))
    assert worst < 1e-10, f"the merged model differs by {worst}"


def differences(exact: Tensors, rounded: Tensors) -> dict[str, float]:
    found = {name: share(torch.ones(()), rounded[name] / values) for name, values in exact.items()}
    found["logits"] = share(exact["logits"], rounded["logits"])
    return {name: float(f"{value:.1e}") for name, value in found.items()}


def save_final(model: PeftModel, run: Run, folder: Path) -> None:
    if run.final:
        save_adapter(copy.deepcopy(model).float(), folder)


def training_run(model: Model, run: Run, where: Path, seed: int) -> tuple[Tensors, dict]:
    """The run's tensors, and how far f32 is from f64; writes its adapters into `where`."""
    batches, results = batches_of(model), []
    if run.method != "full":
        initial_adapter(model, run, where, seed)
    for dtype in (torch.float32, torch.float64):
        trained = trained_model(model, run, where, dtype)
        assert all(p.dtype == dtype for p in trained.parameters()), "another type"
        history = train(trained, run, batches)
        results.append(history | {"logits": output(trained, batches["a"])})
    rounded, exact = results
    if run.method != "full":
        save_final(trained, run, where / "final")
        assert_merged(trained, batches["a"], exact["logits"])
    return run_data(exact, rounded), differences(exact, rounded)


def run_data(exact: Tensors, rounded: Tensors) -> Tensors:
    data = {name: exact[name] for name in ("losses", "grad_norms")}
    data |= {f"{name}_f32": rounded[name] for name in ("losses", "grad_norms")}
    return data | {"a/logits": exact["logits"].float()}
