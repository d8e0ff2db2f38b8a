"""The viewing rays of a crop, and how they enter the features of the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.body.prompts import ChannelNorm

_BANDS = 16
# Highest frequency, half turns per unit of the ray.
_HIGHEST = 32.0
#: Channels of an encoded ray: itself, and sines and cosines of its three components.
RAY_CHANNELS = 3 + 2 * 3 * _BANDS


def shrunk_rays(rays: Tensor, patch: int) -> Tensor:
    """(B, 2, H, W) -> (B, 2, H / patch, W / patch), smoothed."""
    return F.interpolate(rays, scale_factor=1 / patch, mode="bilinear", antialias=True, align_corners=False)


def fourier_features(points: Tensor) -> Tensor:
    """(..., 3) -> (..., 99): the point, then sines and cosines of 16 frequencies."""
    bands = torch.linspace(1.0, _HIGHEST, _BANDS, device=points.device)
    angles = (math.pi * points[..., None] * bands).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], dim=-1)


class RayEmbedding(nn.Module):
    """Joins the features of a crop with the rays of its pixels."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.conv = nn.Conv2d(width + RAY_CHANNELS, width, 1, bias=False)
        self.norm = ChannelNorm(width)

    def forward(self, features: Tensor, rays: Tensor) -> Tensor:
        """Join.

        Args:
            features: (B, C, h, w).
            rays: (B, 2, H, W) x and y of a ray where z is 1; H is h patches.

        Returns:
            (B, C, h, w).
        """
        shrunk = shrunk_rays(rays, self.patch)
        points = torch.cat([shrunk, torch.ones_like(shrunk[:, :1])], dim=1).movedim(1, -1)
        encoded = fourier_features(points).movedim(-1, 1)
        return self.norm(self.conv(torch.cat([features, encoded], dim=1)))
