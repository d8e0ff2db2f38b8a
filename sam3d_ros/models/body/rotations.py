"""Rotation matrices, Euler angles and quaternions, as the body network and its rig use them.

Matrices are active and act on column vectors. Angles are radians. All functions take any leading dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_SINGULAR = 1e-6


def matrix_from_6d(x: Tensor) -> Tensor:
    """(..., 6) two columns, not yet orthonormal -> (..., 3, 3), by Gram-Schmidt from the first column."""
    first = F.normalize(x[..., :3], dim=-1)
    second = x[..., 3:] - (first * x[..., 3:]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def matrix_from_xyz(angles: Tensor) -> Tensor:
    """(..., 3) angles about the fixed x, then y, then z -> (..., 3, 3) `Rz @ Ry @ Rx`."""
    sine, cosine = angles.sin(), angles.cos()
    sx, sy, sz = sine.split(1, dim=-1)
    cx, cy, cz = cosine.split(1, dim=-1)
    # The axes where x is zero; then y and z turn about the first.
    heading = torch.cat([cz, sz], dim=-1)
    first = torch.cat([cy * heading, -sy], dim=-1)
    second = torch.cat([-sz, cz, torch.zeros_like(cz)], dim=-1)
    third = torch.cat([sy * heading, cy], dim=-1)
    columns = [
        first,
        torch.addcmul(cx * second, sx, third),
        torch.addcmul(cx * third, sx, second, value=-1),
    ]
    return torch.stack(columns, dim=-1)


def xyz_from_matrix(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) angles about the fixed x, then y, then z; z is 0 where y is a right angle."""
    cos_y = torch.hypot(matrix[..., 0, 0], matrix[..., 1, 0])
    singular = cos_y < _SINGULAR
    x = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    x = torch.where(singular, torch.atan2(-matrix[..., 1, 2], matrix[..., 1, 1]), x)
    y = torch.atan2(-matrix[..., 2, 0], cos_y)
    z = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0]).masked_fill(singular, 0.0)
    return torch.stack([x, y, z], dim=-1)


def matrix_from_xzy(angles: Tensor) -> Tensor:
    """(..., 3) angles about the carried x, then z, then y -> (..., 3, 3) `Rx @ Rz @ Ry`."""
    sx, sz, sy = angles.sin().unbind(-1)
    cx, cz, cy = angles.cos().unbind(-1)
    rows = [
        [cz * cy, -sz, cz * sy],
        [cx * sz * cy + sx * sy, cx * cz, cx * sz * sy - sx * cy],
        [sx * sz * cy - cx * sy, sx * cz, sx * sz * sy + cx * cy],
    ]
    return _stacked(rows)


def xzy_from_matrix(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) angles about the carried x, then z, then y; y is 0 where z is a right angle."""
    cos_z = torch.hypot(matrix[..., 0, 0], matrix[..., 0, 2])
    singular = cos_z < _SINGULAR
    x = torch.atan2(matrix[..., 2, 1], matrix[..., 1, 1])
    x = torch.where(singular, torch.atan2(-matrix[..., 1, 2], matrix[..., 2, 2]), x)
    z = torch.atan2(-matrix[..., 0, 1], cos_z)
    y = torch.atan2(matrix[..., 0, 2], matrix[..., 0, 0]).masked_fill(singular, 0.0)
    return torch.stack([x, z, y], dim=-1)


def matrix_from_quaternion(quaternion: Tensor) -> Tensor:
    """(..., 4) `[x, y, z, w]` of any length but zero -> (..., 3, 3)."""
    x, y, z, w = F.normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return _stacked(rows)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3, 3) and (..., 3, 3) -> (...) angle of the rotation that takes one to the other."""
    trace = (a * b).sum(dim=(-2, -1))
    return torch.acos(((trace - 1) / 2).clamp(-1.0, 1.0))


def wrapped(angle: Tensor) -> Tensor:
    """The same angles within a half turn of zero."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _stacked(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
