"""Training steps of decora and of PEFT side by side: seconds, memory, and their ratios.

    python3 examples/finetune/benches/compare.py
    python3 examples/finetune/benches/compare.py --python /path/to/python --rounds 20

The one command that measures the speed that README.md states. It builds `benches/step`, puts PEFT
with the versions of tests/golden/requirements.txt into target/peft (7 GB, once) unless --python
names a Python that has them, makes a model of SmolLM2-135M's shapes with random weights, and starts a process for
each method and each side. Then all of them take a step in every round, one after the other, so
that a busy machine is as busy for all; ratios are medians of the ratios of rounds. Seven gigabytes
of memory are enough for DoRA and LoRA; --methods full takes five more.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parents[2]


def python_with_peft(torch_index: str | None) -> str:
    """A Python of its own with PEFT; made where it is not there yet."""
    folder = ROOT / "target" / "peft"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if (folder / "complete").exists():
        return str(python)
    size = "" if torch_index else ": 7 GB on Linux, where PyPI's torch has CUDA (see --torch-index)"
    print(f"putting PEFT into {folder}, once{size}", file=sys.stderr)
    requirements = (ROOT / "tests" / "golden" / "requirements.txt").resolve()
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    steps = [[sys.executable, "-m", "venv", folder], [*pip, "-r", requirements]]
    if torch_index:
        torch = next(x for x in requirements.read_text().split() if x.startswith("torch=="))
        steps.insert(1, [*pip, "--index-url", torch_index, "--no-deps", torch])
    for step in steps:
        if subprocess.run(step).returncode:
            failed = " ".join(map(str, step))
            sys.exit(f"failed: {failed}\n--python names a Python that has PEFT already")
    (folder / "complete").touch()
    return str(python)


def program() -> str:
    """Builds benches/step."""
    command = ["cargo", "bench", "-p", "decora-finetune", "--bench", "step", "--no-run"]
    command.append("--message-format=json")
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    programs = [m["executable"] for m in messages if m.get("target", {}).get("name") == "step"]
    return programs[-1]


class Side:
    """A process that takes a step for each line that it is sent."""

    def __init__(self, name: str, command: list[str], threads: int):
        count = str(threads)
        environment = os.environ | {"OMP_NUM_THREADS": count, "RAYON_NUM_THREADS": count}
        self.name, self.seconds, self.last = name, [], {}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, text=True, bufsize=1
        )

    def step(self) -> float:
        time.sleep(0.05)  # threads of the last one may still spin
        self.process.stdin.write("\n")
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended")
        self.last = json.loads(line)
        return self.last["seconds"]


def sides(options: argparse.Namespace, model: str) -> list[Side]:
    python, ours = options.python or python_with_peft(options.torch_index), program()
    shared = ["--model", model, "--batch", str(options.batch), "--tokens", str(options.tokens)]
    shared += ["--rank", str(options.rank), "--serve"]
    peft, threads = [python, str(BENCHES / "peft.py")], options.threads
    subprocess.run([*peft, "--make", model], check=True)
    all_sides = []
    for method in options.methods:
        all_sides.append(Side(f"decora {method}", [ours, *shared, method], threads))
        peft_too = [*peft, *shared, "--method", method, "--threads", str(threads)]
        all_sides.append(Side(f"PEFT {method}", peft_too, threads))
    return all_sides


def ratio(of: Side, to: Side) -> float:
    return statistics.median(a / b for a, b in zip(of.seconds, to.seconds))


def table(options: argparse.Namespace, all_sides: list[Side]) -> None:
    first, tokens = all_sides[0], options.batch * options.tokens
    print(
        f"batch {options.batch} x {options.tokens} tokens, r = {options.rank}, f32, CPU, "
        f"{options.threads} threads, {options.rounds} rounds"
    )
    print(f"method        median s  fastest s  it/{first.name}  tokens/s  peak memory  it/{first.name}")
    for side in all_sides:
        middle, peak = statistics.median(side.seconds), side.last["peak_bytes"]
        print(
            f"{side.name:<12}  {middle:8.3f}  {min(side.seconds):9.3f}  {ratio(side, first):14.2f}"
            f"  {tokens / middle:8.0f}  {peak / 1e9:8.2f} GB"
            f"  {peak / first.last['peak_bytes']:14.2f}"
        )


def methods(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= {"dora", "lora", "full"}:
        raise argparse.ArgumentTypeError(f"found {text}, expected some of dora,lora,full")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description="Times training steps of decora and PEFT.")
    parser.add_argument("--python", help="a Python that has PEFT; without, one is set up")
    parser.add_argument(
        "--torch-index",
        metavar="URL",
        help="package index to take torch from, such as PyTorch's own of builds without CUDA",
    )
    parser.add_argument("--methods", type=methods, default="dora,lora", help="of dora, lora, full")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as model:
        all_sides = sides(options, model)
        for side in all_sides * 2:
            side.step()
        for done in range(options.rounds):
            for side in all_sides:
                side.seconds.append(side.step())
            print(f"round {done + 1} of {options.rounds}", file=sys.stderr)
        table(options, all_sides)
        for side in all_sides:
            side.process.stdin.close()
            side.process.wait()


if __name__ == "__main__":
    main()
