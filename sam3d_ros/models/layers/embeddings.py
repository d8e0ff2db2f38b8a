"""Sinusoidal embeddings of time and of voxel coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.initialisation import NARROW

_MAX_PERIOD = 10000.0
_TIME_FREQUENCIES = 256


def _frequencies(count: int, device: torch.device) -> Tensor:
    exponent = torch.arange(count, dtype=torch.float32, device=device) / count
    return torch.exp(-math.log(_MAX_PERIOD) * exponent)


def time_sinusoid(t: Tensor, width: int = _TIME_FREQUENCIES) -> Tensor:
    """(B,) times -> (B, width) float32 `[cos(t w), sin(t w)]`."""
    angle = t.float()[:, None] * _frequencies(width // 2, t.device)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def position_sinusoid(coords: Tensor, width: int) -> Tensor:
    """(N, 3) integer coordinates -> (N, width) float32: sine and cosine of x, then y, then z, padded with zeros."""
    count = width // 6
    angle = coords.float()[:, :, None] * _frequencies(count, coords.device)
    waves = torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(1)
    return F.pad(waves, (0, width - waves.shape[1]))


def grid_coordinates(resolution: int) -> Tensor:
    """(resolution^3, 3) coordinates of a cube, x slowest and z fastest."""
    axis = torch.arange(resolution)
    return torch.cartesian_prod(axis, axis, axis)


def made_unless_meta(make: Callable[[], Tensor], *shape: int) -> Tensor:
    """What `make` computes, or its shape alone where modules are built without storage."""
    place = torch.empty(shape)
    return place if place.is_meta else make()


class TimeEmbedder(nn.Module):
    """(B,) times -> (B, width): a sinusoid and two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(_TIME_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def start(self) -> None:
        """Initial values for training."""
        for layer in (self.mlp[0], self.mlp[2]):
            nn.init.normal_(layer.weight, std=NARROW)
            nn.init.zeros_(layer.bias)

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(time_sinusoid(t).to(self.mlp[0].weight.dtype))
