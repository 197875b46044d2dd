"""What PyTorch and PEFT need for the products and steps of `device.rs`, on the same GPU.

Usage: pytorch.py SIZE ROWS RANK. Prints one line for each: a name, and the median in seconds.
"""

import statistics
import sys
import time

import torch

SIZE, ROWS, RANK = (int(a) for a in sys.argv[1:4])
ROUNDS = 9
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def median(run):
    times = []
    for i in range(ROUNDS + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if i >= 3:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def product(dtype):
    a = torch.randn(SIZE, SIZE, device="cuda", dtype=dtype)
    w = torch.randn(SIZE, SIZE, device="cuda", dtype=dtype)
    return median(lambda: a @ w.T)


def step(dtype, use_dora):
    from peft import LoraConfig, inject_adapter_in_model

    net = torch.nn.Sequential(torch.nn.Linear(SIZE, SIZE, bias=False)).to("cuda", dtype)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["0"], use_dora=use_dora)
    net = inject_adapter_in_model(config, net)
    params = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=1e-3)
    x = torch.randn(ROWS, SIZE, device="cuda", dtype=dtype, requires_grad=True)
    dy = torch.randn(ROWS, SIZE, device="cuda", dtype=dtype)

    def run():
        net(x).backward(dy)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return median(run)


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    for name, dtype in TYPES.items():
        print(f"gemm_{name}", product(dtype), flush=True)
        print(f"lora_{name}", step(dtype, False), flush=True)
        print(f"dora_{name}", step(dtype, True), flush=True)


main()
