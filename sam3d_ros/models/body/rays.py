"""The viewing rays of a crop, and how they enter the features of the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.body.prompts import ChannelNorm
from sam3d_ros.models.layers.patches import PatchConvolution

#: Frequencies of encoded rays, and the highest of them, half turns per unit of the ray.
BANDS, HIGHEST = 16, 32.0


def shrunk_rays(rays: Tensor, patch: int) -> Tensor:
    """(B, 2, H, W) -> (B, 2, H / patch, W / patch), smoothed."""
    return F.interpolate(rays, scale_factor=1 / patch, mode="bilinear", antialias=True, align_corners=False)


def fourier_features(points: Tensor, count: int = BANDS, highest: float = HIGHEST) -> Tensor:
    """(..., 3) -> (..., 3 + 6 count): the point, then sines and cosines of frequencies from 1 to `highest`."""
    bands = torch.linspace(1.0, highest, count, device=points.device)
    angles = (math.pi * points[..., None] * bands).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], dim=-1)


class RayEmbedding(nn.Module):
    """Joins the features of a crop with the rays of its pixels."""

    def __init__(self, width: int, patch: int, bands: int = BANDS, highest: float = HIGHEST) -> None:
        super().__init__()
        self.patch, self.bands, self.highest = patch, bands, highest
        self.conv = PatchConvolution(width + 3 + 6 * bands, width, 1, bias=False)
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
        encoded = fourier_features(points, self.bands, self.highest).movedim(-1, 1)
        return self.norm(self.conv(torch.cat([features, encoded], dim=1)))
