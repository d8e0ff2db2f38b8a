"""ViT-H/16, the image encoder of the smaller checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.patches import PatchConvolution
from sam3d_ros.models.layers.vision import VisionAttention, VisionFeedForward

_EPS = 1e-5
# The patches of the first row and column begin outside the image: each is shifted by this many pixels.
_PADDING = 2


@dataclass(frozen=True)
class VitConfig:
    """One encoder.

    Attributes:
        rows: of patches.
        columns: of patches.
    """

    width: int = 1280
    depth: int = 32
    heads: int = 16
    mlp_ratio: float = 4.0
    patch: int = 16
    rows: int = 32
    columns: int = 24

    @staticmethod
    def released() -> VitConfig:
        """ViT-H/16 for images of 512 by 384 pixels."""
        return VitConfig()

    @staticmethod
    def tiny() -> VitConfig:
        """A size for tests."""
        return VitConfig(width=32, depth=1, heads=2, rows=4, columns=3)


class _ExactLayerNorm(nn.LayerNorm):
    """Computed in float32: these weights stay float32 where the others are rounded."""

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        return F.layer_norm(x.float(), self.normalized_shape, weight, bias, self.eps).to(x.dtype)


class _Block(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.norm1 = _ExactLayerNorm(config.width, eps=_EPS)
        self.attn = VisionAttention(config.width, config.heads)
        self.norm2 = _ExactLayerNorm(config.width, eps=_EPS)
        self.mlp = VisionFeedForward(config.width, config.mlp_ratio)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = PatchConvolution(3, width, patch, _PADDING)


class Vit(nn.Module):
    """The transformer under the official names."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_embed = nn.Parameter(torch.zeros(1, config.rows * config.columns + 1, config.width))
        self.patch_embed = _PatchEmbedding(config.width, config.patch)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.last_norm = _ExactLayerNorm(config.width, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, C, H / 16, W / 16) features."""
        patches = self.patch_embed.proj(x)
        rows, columns = patches.shape[2:]
        # The position of the class token, which the network does not have, is common to all.
        x = patches.flatten(2).transpose(1, 2) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            x = block(x)
        return self.last_norm(x).transpose(1, 2).unflatten(-1, (rows, columns))
