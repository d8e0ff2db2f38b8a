"""The encoder of point maps: one token for each window of points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.initialisation import NARROW, start_linears
from sam3d_ros.models.layers.vision import VisionBlock


@dataclass(frozen=True)
class PointPatchConfig:
    """The encoder of point maps.

    Attributes:
        input_size: side that a point map is resized to, pixels.
        patch: side of a window, pixels.
    """

    width: int = 512
    heads: int = 16
    mlp_ratio: float = 2.0
    input_size: int = 256
    patch: int = 8

    @staticmethod
    def released() -> PointPatchConfig:
        """The size of the official checkpoint."""
        return PointPatchConfig()

    @staticmethod
    def tiny() -> PointPatchConfig:
        """A size for tests."""
        return PointPatchConfig(width=32, input_size=32)

    @property
    def grid(self) -> int:
        """Windows along a side."""
        return self.input_size // self.patch

    @property
    def tokens(self) -> int:
        """Tokens of one point map."""
        return self.grid**2


class PointPatchEncoder(nn.Module):
    """Point maps -> tokens; invalid points get an embedding of their own."""

    def __init__(self, config: PointPatchConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.invalid_xyz_token = nn.Parameter(torch.zeros(width))
        self.pos_embed = nn.Parameter(torch.zeros(1, width, config.grid, config.grid))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, 1 + config.patch**2, width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.point_proj = nn.Linear(3, width)
        self.blocks = nn.ModuleList([VisionBlock(width, config.heads, config.mlp_ratio, layer_scale=False)])
        start_linears(self)
        nn.init.xavier_uniform_(self.point_proj.weight, gain=NARROW)
        for embedding in (self.invalid_xyz_token, self.pos_embed, self.pos_embed_window, self.cls_token):
            nn.init.normal_(embedding, std=NARROW)

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.config.width

    def embed_points(self, points: Tensor) -> Tensor:
        """(B, 3, H, W) points -> (B, input_size, input_size, C), an embedding for each pixel."""
        size = (self.config.input_size, self.config.input_size)
        points = F.interpolate(points, size, mode="nearest").movedim(1, -1)
        valid = points.isfinite().all(dim=-1, keepdim=True)
        embedded = self.point_proj(torch.where(valid, points, 0.0).to(self.point_proj.weight.dtype))
        # Coordinates may be embedded more precisely than the block computes.
        return torch.where(valid, embedded, self.invalid_xyz_token).to(self.cls_token.dtype)

    def forward(self, points: Tensor) -> Tensor:
        """Encode.

        Args:
            points: (B, 3, H, W) normalised points; a point with NaN or Inf is invalid.

        Returns:
            (B, tokens, C), windows in rows.
        """
        grid, patch = self.config.grid, self.config.patch
        pixels = self.embed_points(points).unflatten(1, (grid, patch)).unflatten(3, (grid, patch))
        windows = pixels.transpose(2, 3).reshape(-1, patch * patch, self.width)
        x = torch.cat([self.cls_token.expand(len(windows), -1, -1), windows], dim=1) + self.pos_embed_window
        for block in self.blocks:
            x = block(x)
        return x[:, 0].unflatten(0, (-1, grid * grid)) + self.pos_embed.flatten(2).transpose(1, 2)
