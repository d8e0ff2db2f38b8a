"""The camera of the network: where a crop lies in the view, and how its answer becomes a place in the world.

Lengths are metres in the optical frame (x right, y down, z forward) or pixels; matrices K are (B, 3, 3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Factor on the size of a crop in the camera of bodies and of hands: a hand is about a tenth of a body.
BODY_FACTOR, HAND_FACTOR = 1.0, 10.0
_NEARLY_ZERO = 1e-8


def default_intrinsics(width: int, height: int) -> Tensor:
    """(3, 3) a camera for images without calibration: focal length is the diagonal, centre is the middle."""
    focal = math.hypot(width, height)
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def rays(pixels: Tensor, K: Tensor) -> Tensor:
    """(B, H, W, 2) pixels -> (B, 2, H, W) x and y of their rays where z is 1."""
    focal, centre = K[:, :2, :2].diagonal(dim1=1, dim2=2), K[:, :2, 2]
    return ((pixels - centre[:, None, None]) / focal[:, None, None]).movedim(-1, 1)


def crop_condition(centres: Tensor, sides: Tensor, focal: Tensor, principal: Tensor) -> Tensor:
    """Where a crop lies in the view, as the network is told (after CLIFF, Li et al. 2022).

    Args:
        centres: (B, 2) of the crops, pixels.
        sides: (B,) pixels.
        focal: (B,) focal length, pixels.
        principal: (B, 2) principal point, pixels.

    Returns:
        (B, 3).
    """
    return torch.cat([centres - principal, sides[:, None]], dim=1) / focal[:, None]


def translation(
    camera: Tensor, centres: Tensor, sides: Tensor, focal: Tensor, principal: Tensor, factor: float
) -> Tensor:
    """Place of a body, from the three numbers of the network.

    Args:
        camera: (B, 3) negative size in the crop, and place in it as the network writes them.
        centres: (B, 2) of the crops, pixels.
        sides: (B,) pixels.
        focal: (B,) focal length, pixels.
        principal: (B, 2) principal point, pixels.
        factor: `BODY_FACTOR` or `HAND_FACTOR`.

    Returns:
        (B, 3) metres.
    """
    size, x, y = camera.unbind(-1)
    extent = -size * sides * factor + _NEARLY_ZERO
    offset = 2 * (centres - principal) / extent[:, None]
    return torch.stack([x + offset[:, 0], -y + offset[:, 1], 2 * focal / extent], dim=-1)


def project(points: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N, 3) points -> (B, N, 2) pixels and (B, N) depths in metres."""
    depths = points[..., 2]
    pixels = (points / depths[..., None]) @ K.mT
    return pixels[..., :2], depths
