"""Transformers models computed in f64 throughout.

Whatever a model's type is, transformers computes RMSNorm and rotary angles in f32; here are the
same formulas in f64.
"""

import math

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm, LlamaRotaryEmbedding
from transformers.models.mistral.modeling_mistral import MistralRMSNorm, MistralRotaryEmbedding
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm, Qwen2RotaryEmbedding


def rms_norm_f64(self: nn.Module, x: Tensor) -> Tensor:
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def llama3_scaled(frequency: Tensor, rope: dict) -> Tensor:
    """Long waves are slowed by `factor`, short ones kept, those between interpolated."""
    turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return frequency * (kept + (1 - kept) / rope["factor"])


def rotary_f64(self: nn.Module, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
    rope, config = self.config.rope_parameters, self.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    exponent = torch.arange(0, width, 2, dtype=torch.float64) / width
    frequency = rope["rope_theta"] ** -exponent
    if rope["rope_type"] == "llama3":
        frequency = llama3_scaled(frequency, rope)
    assert torch.allclose(frequency, self.inv_freq.double(), rtol=1e-6), "not transformers' angles"
    angles = position_ids[..., None].double() * frequency
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def to_f64(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm)):
            module.forward = rms_norm_f64.__get__(module)
        if isinstance(module, (LlamaRotaryEmbedding, MistralRotaryEmbedding, Qwen2RotaryEmbedding)):
            module.forward = rotary_f64.__get__(module)
    return model.double()
