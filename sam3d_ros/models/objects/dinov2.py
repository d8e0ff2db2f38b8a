"""DINOv2 with registers, the image encoder of the conditioning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.norms import layer_norm
from sam3d_ros.models.layers.vision import VisionBlock

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DinoConfig:
    """One encoder.

    Attributes:
        input_size: side that images are resized to, pixels; a multiple of `patch`.
        grid: side of the stored grid of positions, patches.
        keep_registers: True gives all tokens before the last norm, normalised without weights; False gives the
            tokens after the last norm, without the registers.
    """

    width: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0
    patch: int = 14
    grid: int = 37
    registers: int = 4
    input_size: int = 518
    keep_registers: bool = False

    @staticmethod
    def released(*, keep_registers: bool) -> DinoConfig:
        """ViT-L/14; stage 1 drops the registers, stage 2 keeps them."""
        return DinoConfig(keep_registers=keep_registers)

    @staticmethod
    def tiny(*, keep_registers: bool) -> DinoConfig:
        """A size for tests."""
        return DinoConfig(width=32, depth=1, heads=2, grid=4, input_size=56, keep_registers=keep_registers)

    @property
    def tokens(self) -> int:
        """Tokens of one image."""
        return (self.input_size // self.patch) ** 2 + 1 + (self.registers if self.keep_registers else 0)


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)


class DinoBackbone(nn.Module):
    """The transformer under the official names."""

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2 + 1, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, width))
        # Used in training alone; kept because checkpoints hold it.
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = _PatchEmbedding(width, config.patch)
        self.blocks = nn.ModuleList(
            VisionBlock(width, config.heads, config.mlp_ratio, layer_scale=True) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def positions(self, rows: int, columns: int) -> Tensor:
        """(1, rows * columns, C) positions of patches, resampled where the image has another grid."""
        grid = self.pos_embed[:, 1:].unflatten(1, (self.config.grid, -1)).permute(0, 3, 1, 2)
        if grid.shape[2:] != (rows, columns):
            resized = F.interpolate(grid.float(), (rows, columns), mode="bicubic", antialias=True)
            grid = resized.to(grid.dtype)
        return grid.flatten(2).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, 1 + registers + patches, C) before the last norm."""
        patches = self.patch_embed.proj(x)
        batch, _, rows, columns = patches.shape
        patches = patches.flatten(2).transpose(1, 2) + self.positions(rows, columns)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        x = torch.cat([cls, self.register_tokens.expand(batch, -1, -1), patches], dim=1)
        for block in self.blocks:
            x = block(x)
        return x


class DinoEncoder(nn.Module):
    """Images or masks -> tokens."""

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = DinoBackbone(config)

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.config.width

    def forward(self, image: Tensor) -> Tensor:
        """Encode.

        Args:
            image: (B, 3, H, W) colours or (B, 1, H, W) mask, 0 to 1. A mask is treated as a grey image.

        Returns:
            (B, tokens, C): class, (registers,) patches in rows.
        """
        size = (self.config.input_size, self.config.input_size)
        if image.shape[-2:] != size:
            image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        # Channel by channel: the constants go along with the kernels, and nothing is sent to a GPU beforehand.
        channels = image.expand(-1, 3, -1, -1).unbind(1)
        statistics = zip(channels, _IMAGENET_MEAN, _IMAGENET_STD, strict=True)
        normal = torch.stack([(channel - mean) / std for channel, mean, std in statistics], dim=1)
        x = self.backbone(normal.to(self.backbone.cls_token.dtype))
        if self.config.keep_registers:
            return layer_norm(x, eps=1e-5)
        x = self.backbone.norm(x)
        return torch.cat([x[:, :1], x[:, 1 + self.config.registers :]], dim=1)
