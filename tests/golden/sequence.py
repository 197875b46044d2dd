"""What PyTorch makes of the functions that sequence models are built of.

    python sequence.py            write sequence.safetensors beside this script
    python sequence.py --check    regenerate it elsewhere and compare byte for byte

Tensors are float64, integers int64, every scalar is a tensor of shape [1]. Inputs (everything but
results) fit in float32, so a float32 implementation starts from the very same numbers. Keys are
`<case>/<name>`. `dy` is random; `d<input>` is the gradient of Σ dy⊙y, of the input's shape.
`<case>/f32` is how far PyTorch's own f32 is from that: the largest difference in any result, as a
share of the result's largest absolute value.

    case          inputs                                results
    rms_norm      x [7,10]  weight [10]  eps            y  dx  dweight
                  y = weight⊙x/√(mean(x²) + eps)
    layer_norm    x [7,10]  weight  bias [10]  eps      y  dx  dweight  dbias
                  y = weight⊙(x − mean)/√(variance + eps) + bias, the variance over all 10
    rotary        x [3,5,8]  base  positions [5]        y  dx
                  heads, tokens, width; with h = width/2, angle_i = position·base^(−i/h):
                  y_i = x_i·cos − x_(i+h)·sin, y_(i+h) = x_(i+h)·cos + x_i·sin, for i < h
    swiglu        gate [6,9]  up [6,9]                  y  dgate  dup       y = silu(gate)⊙up
    gelu_tanh     x [6,9]                               y  dx
    gelu          x [6,9]                               y  dx               erf, not tanh
    embedding     weight [11,6]  ids [9]                y [9,6]  dweight    ids repeat, some rows
                                                        of weight are never asked for
    linear_cross_entropy   x [8,6]  weight [11,6]  labels [8]   loss  dx  dweight
                  mean cross-entropy of x·weightᵀ over the labels that are not −100; no dy

    attention_<kind>   q [4,T,6]  k [2,S,6]  v [2,S,6]  start [T]  end [T]  scale    y  dq  dk  dv
                  y [4,T,6]. Heads, tokens, width. Head h of q looks at head h/2 of k and v.
                  Query t sees keys start_t ≤ s < end_t, with weights softmax(scale·q·k). T = S
                  but in the last two; scale = 1/√6 but in `scaled`.

    kind          start_t, end_t
    full          0, T                     T = 9
    causal        0, t + 1                 T = 9
    sliding       max(0, t − 3), t + 1     T = 9: a window of 4
    padded        0, 6                     T = 9: three keys of padding on the right
    left          min(t, 3), t + 1         T = 9: causal, three of padding on the left, which see
                                           themselves only
    scaled        0, t + 1                 T = 5, scale 0.9 and large scores
    one           0, 1                     T = S = 1
    cached        0, 7 + t + 1             T = 3 after 7 earlier tokens, S = 10
    empty         0, 0 for t = 1, else 0, T   T = 4: query 1 sees nothing, its y is 0
"""

import make as golden  # first: it sets the environment of PyTorch

import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from make import Tensors, prefixed, save, scalar
from torch import Tensor

Function = Callable[[Tensors], Tensor]
Draw = Callable[..., Tensor]


def random(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator).double()


def results(function: Function, given: Tensors, constants: Tensors) -> Tensors:
    """y, and the gradients of Σ dy⊙y in everything given (of y itself, if it is a scalar)."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in given.items()}
    y = function(leaves | constants)
    weighted = y if y.dim() == 0 else (y * constants["dy"]).sum()
    gradients = torch.autograd.grad(weighted, list(leaves.values()))
    made = {f"d{name}": gradient for name, gradient in zip(leaves, gradients)}
    return made | {"loss" if y.dim() == 0 else "y": y.detach()}


def to_f32(tensors: Tensors) -> Tensors:
    return {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}


def share(exact: Tensor, rounded: Tensor) -> float:
    largest = exact.abs().max()
    return float((exact - rounded).abs().max() / largest) if largest > 0 else 0.0


def case(function: Function, given: Tensors, constants: Tensors) -> Tensors:
    for name, tensor in (given | constants).items():
        assert not tensor.is_floating_point() or torch.equal(tensor, tensor.float().double()), name
    exact = results(function, given, constants)
    rounded = results(function, to_f32(given), to_f32(constants))
    worst = max(share(values, rounded[name]) for name, values in exact.items())
    assert worst < 1e-5, f"f32 is {worst} away"
    made = given | constants | exact | {"f32": scalar(worst)}
    return {name: tensor.view(1) if tensor.dim() == 0 else tensor for name, tensor in made.items()}


# Functions


def rms_norm(t: Tensors) -> Tensor:
    return F.rms_norm(t["x"], t["x"].shape[-1:], t["weight"], t["eps"].item())


def layer_norm(t: Tensors) -> Tensor:
    return F.layer_norm(t["x"], t["x"].shape[-1:], t["weight"], t["bias"], t["eps"].item())


def rotary(t: Tensors) -> Tensor:
    x = t["x"]
    half = x.shape[-1] // 2
    angles = t["positions"][:, None] * t["base"] ** -(torch.arange(half).to(x) / half)
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def swiglu(t: Tensors) -> Tensor:
    return F.silu(t["gate"]) * t["up"]


def gelu_tanh(t: Tensors) -> Tensor:
    return F.gelu(t["x"], approximate="tanh")


def gelu(t: Tensors) -> Tensor:
    return F.gelu(t["x"])


def embedding(t: Tensors) -> Tensor:
    return F.embedding(t["ids"], t["weight"])


def linear_cross_entropy(t: Tensors) -> Tensor:
    return F.cross_entropy(t["x"] @ t["weight"].T, t["labels"])


def elementwise(draw: Draw) -> Tensors:
    return (
        prefixed("swiglu", case(swiglu, {"gate": draw(6, 9), "up": draw(6, 9)}, {"dy": draw(6, 9)}))
        | prefixed("gelu_tanh", case(gelu_tanh, {"x": 2 * draw(6, 9)}, {"dy": draw(6, 9)}))
        | prefixed("gelu", case(gelu, {"x": 2 * draw(6, 9)}, {"dy": draw(6, 9)}))
    )


def fitted(tensors: Tensors) -> Tensors:
    return {name: tensor.float().double() for name, tensor in tensors.items()}


def norms(draw: Draw) -> Tensors:
    eps = scalar(2**-10)  # large enough that leaving it out shows
    x = draw(7, 10) * 2.0 ** torch.arange(-3, 4)[:, None]
    rms = {"x": x, "weight": 1 + draw(10) / 4}
    layer = {"x": x + 0.5, "weight": rms["weight"], "bias": draw(10)}
    constants = {"eps": eps, "dy": draw(7, 10)}
    return prefixed("rms_norm", case(rms_norm, fitted(rms), constants)) | prefixed(
        "layer_norm", case(layer_norm, fitted(layer), constants)
    )


def tokens(draw: Draw) -> Tensors:
    positions = torch.tensor([0, 1, 2, 7, 40])
    turn = {"base": scalar(10000.0), "positions": positions, "dy": draw(3, 5, 8)}
    ids = torch.tensor([3, 0, 3, 10, 7, 3, 0, 1, 7])
    labels = torch.tensor([4, -100, 0, 10, 4, -100, 2, 7])
    rows = {"x": draw(8, 6), "weight": draw(11, 6)}
    gather = {"ids": ids, "dy": draw(9, 6)}
    return (
        prefixed("rotary", case(rotary, {"x": draw(3, 5, 8)}, turn))
        | prefixed("embedding", case(embedding, {"weight": draw(11, 6)}, gather))
        | prefixed("linear_cross_entropy", case(linear_cross_entropy, rows, {"labels": labels}))
    )


# Attention

HEADS, KV_HEADS, WIDTH = 4, 2, 6


def seen(start: Tensor, end: Tensor, keys: int) -> Tensor:
    key = torch.arange(keys)
    return (start[:, None] <= key) & (key < end[:, None])


def attention(t: Tensors) -> Tensor:
    mask = seen(t["start"], t["end"], t["k"].shape[1])
    k, v = (t[name].repeat_interleave(HEADS // KV_HEADS, dim=0) for name in ("k", "v"))
    scores = t["scale"] * (t["q"] @ k.transpose(1, 2))
    some = mask.any(1, keepdim=True)  # softmax over nothing is NaN, also in the gradient
    y = (scores.masked_fill(~mask & some, -math.inf).softmax(-1) * some) @ v
    expected = F.scaled_dot_product_attention(t["q"], k, v, mask, scale=t["scale"].item())
    assert torch.allclose(y, expected, rtol=1e-4, atol=1e-5), "not PyTorch's attention"
    return y


def spans() -> dict[str, tuple[Tensor, Tensor, int]]:
    """Of each kind: start, end and the number of keys."""
    t = torch.arange(9)
    zero, after = torch.zeros_like(t), t + 1
    all_of = torch.full_like(t, 9)
    return {
        "full": (zero, all_of, 9),
        "causal": (zero, after, 9),
        "sliding": ((t - 3).clamp(min=0), after, 9),
        "padded": (zero, torch.full_like(t, 6), 9),
        "left": (t.clamp(max=3), after, 9),
        "scaled": (zero[:5], after[:5], 5),
        "one": (zero[:1], after[:1], 1),
        "cached": (zero[:3], after[:3] + 7, 10),
        "empty": (zero[:4], torch.tensor([4, 0, 4, 4]), 4),
    }


def attention_case(draw: Draw, kind: str, span: tuple[Tensor, Tensor, int]) -> Tensors:
    start, end, keys = span
    size = 4 if kind == "scaled" else 1
    given = {
        "q": size * draw(HEADS, len(start), WIDTH),
        "k": size * draw(KV_HEADS, keys, WIDTH),
        "v": draw(KV_HEADS, keys, WIDTH),
    }
    scale = 0.9 if kind == "scaled" else WIDTH**-0.5
    constants = {
        "start": start,
        "end": end,
        "scale": scalar(scale).float().double(),
        "dy": draw(HEADS, len(start), WIDTH),
    }
    return case(attention, given, constants)


def make(folder: Path) -> None:
    generator = torch.Generator().manual_seed(300)
    draw = lambda *shape: random(generator, *shape)
    data = norms(draw) | elementwise(draw) | tokens(draw)
    for kind, span in spans().items():
        data |= prefixed(f"attention_{kind}", attention_case(draw, kind, span))
    copies = {name: tensor.clone() for name, tensor in data.items()}  # some share memory
    save(copies, folder / "sequence.safetensors")


if __name__ == "__main__":
    golden.main(make)
