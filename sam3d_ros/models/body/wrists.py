"""What a wrist can do."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sam3d_ros.models.body.rotations import wrapped

# Range of twist (x), bend (z) and sideways bend (y) of a wrist, radians; constants of the official release.
_RANGES = ((-2.2, 1.0), (-2.2, 1.5), (-1.2, 1.5))


def within_reach(angles: Tensor) -> Tensor:
    """Of the two triples of angles that give one rotation, the one that a wrist reaches more easily.

    Args:
        angles: (..., 3) radians about the carried x, then z, then y.

    Returns:
        (..., 3) the given triple, unless the other one is less beyond the range of a wrist.
    """
    x, z, y = angles.unbind(-1)
    other = torch.stack([wrapped(x + math.pi), wrapped(-(z + math.pi)), wrapped(y + math.pi)], dim=-1)
    return torch.where((_excess(other) < _excess(angles))[..., None], other, angles)


def _excess(angles: Tensor) -> Tensor:
    """(..., 3) -> (...) sum of squares by which the angles are beyond the range of a wrist."""
    axes = zip(angles.unbind(-1), _RANGES, strict=True)
    beyond = torch.stack([angle - angle.clamp(*limits) for angle, limits in axes], dim=-1)
    return beyond.square().sum(dim=-1)
