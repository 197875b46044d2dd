"""Whether PEFT loads an adapter that decora wrote, and computes what decora computes with it.

    python adapter.py MODEL ADAPTER LOGITS IDS

MODEL is a model folder, ADAPTER the folder of an adapter, IDS are token numbers with commas between
them, and LOGITS the file that `decora logits --model MODEL --adapter ADAPTER --ids IDS` wrote. Fails
when PEFT misses a tensor or knows none of its name, or when logits differ by more than 1e-4 of the
largest.
"""

import make  # noqa: F401  first: it sets the environment of PyTorch

import sys
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

BOUND = 1e-4


def main(model: str, adapter: str, logits: str, ids: str) -> None:
    # PEFT warns of tensors that are missing or unexpected.
    warnings.simplefilter("error")
    for category in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=category)
    causal = "CausalLM" in (AutoConfig.from_pretrained(model).architectures or [""])[0] or (
        "LMHead" in (AutoConfig.from_pretrained(model).architectures or [""])[0]
    )
    kind = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    base = kind.from_pretrained(model, dtype=torch.float32)
    network = PeftModel.from_pretrained(base, adapter).eval()
    with torch.no_grad():
        expected = network(input_ids=torch.tensor([[int(i) for i in ids.split(",")]])).logits[0]
    found = load_file(logits)["logits"]
    found = found if causal else found[0]
    assert found.shape == expected.shape, f"found {found.shape}, PEFT has {expected.shape}"
    off = ((found - expected).abs().max() / expected.abs().max()).item()
    print(f"{adapter}: logits differ by {off:.1e} of the largest")
    assert off <= BOUND, f"more than {BOUND}"


if __name__ == "__main__":
    main(*sys.argv[1:])
