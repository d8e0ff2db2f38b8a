"""From occupancy to the voxels that stage 2 refines: the surface, and not too many of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Voxels beyond which the grid is halved, as the released pipeline does.
MAX_VOXELS = 42000


def occupied_voxels(logits: Tensor) -> Tensor:
    """(X, Y, Z) logits -> (N, 3) int64 coordinates where they are positive, in lexicographic order; N may be 0."""
    return torch.nonzero(logits > 0)


def surface_voxels(coords: Tensor) -> Tensor:
    """Keep the voxels that have an empty one among the 26 around them.

    Args:
        coords: (N, 3) int64.

    Returns:
        (M, 3) in the same order.
    """
    if len(coords) == 0:
        return coords
    low = coords.min(dim=0).values
    grid = torch.zeros(tuple(coords.max(dim=0).values - low + 1), device=coords.device)
    local = coords - low
    grid[local.unbind(1)] = 1.0
    # Out of the grid counts as empty: the padding is 0, and the minimum is a maximum of the negative.
    emptiest = -F.max_pool3d(-F.pad(grid, (1,) * 6)[None, None], kernel_size=3, stride=1)[0, 0]
    return coords[emptiest[local.unbind(1)] == 0]


def halved(coords: Tensor, generator: torch.Generator, max_voxels: int = MAX_VOXELS) -> tuple[Tensor, int]:
    """Shrink the object to half its size about the centre of its box, where it has too many voxels.

    Args:
        coords: (N, 3) int64.
        generator: chooses which voxels are dropped if even the half has too many.
        max_voxels: what may stay.

    Returns:
        (M, 3) int64 coordinates and the factor of the shrinking, 1 or 2.
    """
    if len(coords) <= max_voxels:
        return coords, 1
    low, high = coords.min(dim=0).values.double(), coords.max(dim=0).values.double()
    # Half as many voxels as there are from low to high; their centres span one voxel less.
    span = ((high - low + 1) / 2 - 1).clamp(min=0)
    bottom = (low + high - span) / 2
    moved = torch.round(bottom + (coords - low) / (high - low).clamp(min=1) * span)
    small = torch.unique(moved.clamp(bottom.trunc(), (bottom + span).trunc()).long(), dim=0)
    if len(small) > max_voxels:
        chosen = torch.randperm(len(small), generator=generator, device=generator.device)[:max_voxels]
        small = small[chosen.sort().values.to(small.device)]
    return small, 2
