"""Whether PEFT loads the adapters that decora writes, and computes what decora computes with them.

    python adapter.py PROGRAM

PROGRAM is decora. On a model of every family it trains an adapter of each kind for some steps, and writes
logits with it; then PEFT loads model and adapter. Fails when PEFT misses a tensor or knows none of its
name, when logits differ by more than 1e-4 of the largest, and when the adapter hardly changes them.
"""

import make  # noqa: F401  first: it sets the environment of PyTorch

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, logging

BOUND = 1e-4
MODELS = Path(__file__).parent / "models"
# The options of each kind.
KINDS = {
    "dora": ["--rslora", "--rank-pattern", r".*\.0\..*=2"],
    "lora": ["--method", "lora", "--alpha", "5"],
    "biases": ["--bias", "lora_only", "--target", r".*\.(q_proj|v_proj|c_proj|query|dense)"],
}
# In every vocabulary.
IDS = [3, 17, 20, 8, 21, 5, 13, 12, 9, 25, 2, 7]
# Of a classifier that is new.
CLASSES = 3


def decora(program: str, *arguments: object) -> None:
    command = [program, *map(str, arguments), "--backend", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def train(program: str, model: Path, kind: str, folder: Path, line: dict, more: list) -> None:
    data = folder / "data.jsonl"
    data.write_text(json.dumps(line) + "\n")
    paths = ["--model", model, "--data", data, "--out", folder / "adapter"]
    settings = ["--rank", 3, "--lr", 0.02, "--warmup", 0, "--steps", 5]
    decora(program, "train", *paths, *settings, *KINDS[kind], *more)


def logits(program: str, model: Path, folder: Path) -> torch.Tensor:
    out, ids = folder / "logits.safetensors", ",".join(map(str, IDS))
    adapter = ["--adapter", folder / "adapter"]
    decora(program, "logits", "--model", model, *adapter, "--ids", ids, "--out", out)
    return load_file(out)["logits"]


def check(program: str, model: Path, kind: str) -> None:
    name = AutoConfig.from_pretrained(model).architectures[0]
    causal, headless = name.endswith(("CausalLM", "LMHeadModel")), name == "BertModel"
    line = {"input_ids": IDS} | ({} if causal else {"label": 1})
    if causal:
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    else:
        new = {"num_labels": CLASSES} if headless else {}
        base = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32, **new)
    ids = torch.tensor([IDS])
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        folder = Path(folder)
        train(program, model, kind, folder, line, ["--classes", CLASSES] if headless else [])
        found = logits(program, model, folder)
        before = base.eval()(input_ids=ids).logits
        with warnings.catch_warnings():
            # PEFT warns of tensors that are missing or unexpected.
            warnings.simplefilter("error", UserWarning)
            network = PeftModel.from_pretrained(base, folder / "adapter").eval()
        expected = network(input_ids=ids).logits
        written = load_file(folder / "adapter" / "adapter_model.safetensors")
    shapes = lambda tensors: {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert shapes(written) == shapes(get_peft_model_state_dict(network)), "PEFT would write other tensors"
    expected = expected.reshape(found.shape)
    largest = expected.abs().max()
    off, change = (((found - other.reshape(found.shape)).abs().max() / largest).item() for other in (expected, before))
    print(f"{model.name}, {kind}: logits differ by {off:.1e} of the largest; the adapter changes them by {change:.1e}")
    assert off <= BOUND, f"more than {BOUND}"
    assert change > 100 * BOUND, "hardly anything was trained"


def main(program: str) -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    models = sorted(path.parent for path in MODELS.glob("*/config.json"))
    assert len(models) >= 7, models
    for model in models:
        for kind in KINDS:
            check(program, model, kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
