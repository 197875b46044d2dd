"""What a training step costs in PEFT: the other side of the speed benchmark.

    python peft.py --make DIR                       a model of SmolLM2-135M's shapes (444 MB)
    python peft.py --model DIR                      lora, dora and full, one line of JSON each
    python peft.py --model DIR --method dora        one of them
    python peft.py --model DIR --device cuda --dtype bf16

`compare.py` runs it beside ours. The packages are those of tests/golden/requirements.txt. A step is
what a plain training loop does: forward, backward, clipping of the gradient's norm to 1, AdamW,
gradients set to none; the loss is transformers' own, over all tokens. Adapters have r = 16, alpha = 32, no dropout, and cover the
seven projections of every block. `dtype` is that of the base model and of its activations; PEFT
keeps adapters in f32, so bf16 runs under torch.autocast.

A line: `method`, `seconds` (the median step after warm-up), `fastest`, `cpu_seconds` (the median of
the process's time on all cores), `peak_bytes` (the process's ru_maxrss at the end; on a GPU torch's
max_memory_allocated), `before_bytes` (the same just before the first step), `trained` (parameters),
`loss` (of the first and last step), and what was measured.
Every method runs in a process of its own, so that peaks are its own. Measure on an idle machine:
OpenMP's threads spin, so that one busy neighbour can make a step take many times as long. On a
busy one, `cpu_seconds` with `--threads 1` says most.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.pop(0)  # this folder, in which `peft` would be this file

METHODS = ("lora", "dora", "full")
VOCABULARY = 8192


def make(folder: str) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def load(options: argparse.Namespace):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype).to(options.device)
    if options.checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    if options.method == "full":
        return model
    torch.manual_seed(2)
    dora = options.method == "dora"
    config = LoraConfig(
        r=options.rank, lora_alpha=32, target_modules="all-linear", use_dora=dora,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def peak_bytes(device: str) -> int:
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def autocast(options: argparse.Namespace):
    import torch

    if options.dtype == "f32":
        return nullcontext()
    return torch.autocast(options.device, dtype=torch.bfloat16)


def trained_of(model) -> list:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def stepper(model, options: argparse.Namespace):
    """What takes a step: answers its seconds, seconds of all cores, and loss."""
    import torch

    ids = torch.randint(VOCABULARY, (options.batch, options.tokens)).to(options.device)
    trained = trained_of(model)
    adamw = torch.optim.AdamW(trained, lr=1e-4)
    wait = torch.cuda.synchronize if options.device == "cuda" else lambda: None

    def step() -> tuple[float, float, float]:
        wait()
        start, cpu_start = time.perf_counter(), time.process_time()
        with autocast(options):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        adamw.step()
        adamw.zero_grad()
        wait()
        return time.perf_counter() - start, time.process_time() - cpu_start, loss.item()

    return step


def serve(options: argparse.Namespace) -> None:
    """A step for each line of the standard input, answered by a line of JSON."""
    import torch

    torch.set_num_threads(options.threads)
    model = load(options).train()
    trained, step = sum(p.numel() for p in trained_of(model)), stepper(model, options)
    for _ in sys.stdin:
        seconds, _, loss = step()
        made = {"seconds": seconds, "loss": loss, "peak_bytes": peak_bytes(options.device)}
        print(json.dumps(made | {"trained": trained}), flush=True)


def measure(options: argparse.Namespace) -> dict:
    import peft
    import torch
    import transformers

    torch.set_num_threads(options.threads)
    model = load(options).train()
    trained = sum(p.numel() for p in trained_of(model))
    before = peak_bytes(options.device)
    step = stepper(model, options)
    steps = [step() for _ in range(options.warmup + options.steps)]
    seconds, cpu_seconds, losses = zip(*steps)
    counted = seconds[options.warmup :]
    return {
        "method": options.method,
        "seconds": round(statistics.median(counted), 4),
        "fastest": round(min(counted), 4),
        "cpu_seconds": round(statistics.median(cpu_seconds[options.warmup :]), 4),
        "peak_bytes": peak_bytes(options.device),
        "before_bytes": before,
        "trained": trained,
        "loss": [round(losses[0], 4), round(losses[-1], 4)],
        "tokens": options.batch * options.tokens,
        "steps": options.steps,
        "rank": options.rank,
        "dtype": options.dtype,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "threads": options.threads,
        "checkpointing": options.checkpointing,
        "versions": f"torch {torch.__version__}, peft {peft.__version__}, "
        f"transformers {transformers.__version__}",
    }


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Times training steps of transformers and PEFT.")
    parser.add_argument("--make", metavar="DIR", help="write a model with random weights and stop")
    parser.add_argument("--model", metavar="DIR")
    parser.add_argument("--method", choices=METHODS, help="one of them, in this process")
    parser.add_argument("--serve", action="store_true", help="step by step, for compare.py")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations")
    return parser


def main() -> None:
    parser = arguments()
    options = parser.parse_args()
    if options.make:
        return make(options.make)
    if not options.model:
        parser.error("--model or --make is needed")
    if options.serve:
        return serve(options)
    if options.method:
        return print(json.dumps(measure(options)), flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    for method in METHODS:
        command = [sys.executable, __file__, *sys.argv[1:], "--method", method]
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
