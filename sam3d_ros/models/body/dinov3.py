"""DINOv3 ViT-H+/16, the image encoder of the larger checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.attention import attend
from sam3d_ros.models.layers.patches import PatchConvolution
from sam3d_ros.models.layers.vision import LayerScale

_EPS = 1e-5


@dataclass(frozen=True)
class DinoV3Config:
    """One encoder.

    Attributes:
        hidden: width between the layers of the gated feed-forward network.
        registers: tokens beside the class token that stand for no patch.
        rope_base: largest period of the rotary positions.
    """

    width: int = 1280
    depth: int = 32
    heads: int = 20
    hidden: int = 5120
    patch: int = 16
    registers: int = 4
    rope_base: float = 100.0

    @staticmethod
    def released() -> DinoV3Config:
        """ViT-H+/16."""
        return DinoV3Config()

    @staticmethod
    def tiny() -> DinoV3Config:
        """A size for tests."""
        return DinoV3Config(width=32, depth=1, heads=2, hidden=64)


def rotary_angles(periods: Tensor, rows: int, columns: int) -> Tensor:
    """Angles by which rotary positions turn the channels of each patch.

    Patch centres run from -1 to 1 along either axis.

    Args:
        periods: (D / 4,) of the waves.
        rows: of patches.
        columns: of patches.

    Returns:
        (rows * columns, D) float32: the waves of y, then those of x, twice.
    """
    periods = periods.float()
    axes = [2 * (torch.arange(n, device=periods.device) + 0.5) / n - 1 for n in (rows, columns)]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 1)
    waves = (2 * math.pi * places[:, :, None] / periods).flatten(1)
    return waves.repeat(1, 2)


@dataclass(frozen=True, eq=False)
class Rotation:
    """How rotary positions turn tokens: each channel times `cos`, plus its partner times `sin`, both (L, D)."""

    cos: Tensor
    sin: Tensor

    @staticmethod
    def of(angles: Tensor, others: int, dtype: torch.dtype) -> Rotation:
        """The turn of patches by their angles (P, D), after other tokens that have no position."""
        cos, sin = angles.cos(), angles.sin()
        left, right = sin.chunk(2, dim=-1)
        ahead = (0, 0, others, 0)
        sin = F.pad(torch.cat([-left, right], dim=-1), ahead)
        return Rotation(F.pad(cos, ahead, value=1.0).to(dtype), sin.to(dtype))

    def apply(self, x: Tensor) -> Tensor:
        """Turn tokens (B, L, ..., D)."""
        shape = (len(self.cos), *(1,) * (x.ndim - 3), x.shape[-1])
        partners = x.roll(x.shape[-1] // 2, dims=-1)
        return torch.addcmul(x * self.cos.view(shape), partners, self.sin.view(shape))


class _KeylessLinear(nn.Linear):
    """Queries, keys and values in one layer; the mask takes the bias of the keys away."""

    bias_mask: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width, 3 * width)
        self.register_buffer("bias_mask", torch.ones(3 * width))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias * self.bias_mask.to(self.bias.dtype))


class _RotaryAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = _KeylessLinear(width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k = rotation.apply(parts[:, :, :2]).unbind(2)
        return self.proj(attend(q, k, parts[:, :, 2]))


class _GatedFeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden)
        self.w2 = nn.Linear(width, hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class _Block(nn.Module):
    def __init__(self, config: DinoV3Config) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=_EPS)
        self.attn = _RotaryAttention(config.width, config.heads)
        self.ls1 = LayerScale(config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=_EPS)
        self.mlp = _GatedFeedForward(config.width, config.hidden)
        self.ls2 = LayerScale(config.width)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        x = torch.addcmul(x, self.attn(self.norm1(x), rotation), self.ls1.gamma)
        return torch.addcmul(x, self.mlp(self.norm2(x)), self.ls2.gamma)


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = PatchConvolution(3, width, patch)


class _RotaryPositions(nn.Module):
    periods: Tensor

    def __init__(self, config: DinoV3Config) -> None:
        super().__init__()
        count = config.width // config.heads // 4
        exponent = torch.arange(count) / count
        self.register_buffer("periods", config.rope_base**exponent)

    def forward(self, rows: int, columns: int, others: int) -> Rotation:
        """The turn of a grid of patches after `others` tokens that have no position."""
        return Rotation.of(rotary_angles(self.periods, rows, columns), others, self.periods.dtype)


class DinoV3(nn.Module):
    """The transformer under the official names."""

    def __init__(self, config: DinoV3Config) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.storage_tokens = nn.Parameter(torch.zeros(1, config.registers, width))
        # Used in training alone; kept because the official network has it.
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = _PatchEmbedding(width, config.patch)
        self.rope_embed = _RotaryPositions(config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, C, H / 16, W / 16) features."""
        patches = self.patch_embed.proj(x)
        batch, _, rows, columns = patches.shape
        tokens = [self.cls_token.expand(batch, -1, -1), self.storage_tokens.expand(batch, -1, -1)]
        x = torch.cat([*tokens, patches.flatten(2).transpose(1, 2)], dim=1)
        rotation = self.rope_embed(rows, columns, 1 + self.config.registers)
        for block in self.blocks:
            x = block(x, rotation)
        return self.norm(x)[:, -rows * columns :].transpose(1, 2).unflatten(-1, (rows, columns))
