"""From the features of cubes to a surface: shared corners are averaged, the rest of space is outside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam3d_ros.models.objects.dual_cases import CORNERS
from sam3d_ros.models.objects.flexicubes import CubeWeights, Grid, Surface, dual_surface

_CORNERS = 8
_COLOR_CHANNELS = 6
#: Channels of a cube: distance, deformation, weights, colour and normal of the corners.
_SPLIT = (_CORNERS, 3 * _CORNERS, 12 + 8 + 1, _COLOR_CHANNELS * _CORNERS)
CHANNELS = sum(_SPLIT)

_OUTSIDE = 1.0
# Corners stay within half a cube of their place, the borders excluded.
_DEFORMATION = (1 - 1e-8) / 2


@dataclass(frozen=True, eq=False)
class CornerValues:
    """Values at the distinct corners of a set of cubes.

    Attributes:
        place: (V, 3) int64 in lexicographic order, 0 to the number of cubes along a side.
        values: (V, 10) float32 distance, deformation, colour and normal before their activations.
    """

    place: Tensor
    values: Tensor


class _Codes:
    """Numbers for the corners, or the cubes, of a lattice with `side` places along an axis; z fastest."""

    def __init__(self, side: int, device: torch.device) -> None:
        self.side = side
        self.table = torch.full((side**3,), -1, dtype=torch.int32, device=device)

    def of(self, place: Tensor) -> Tensor:
        return (place[..., 0] * self.side + place[..., 1]) * self.side + place[..., 2]

    def enumerate(self, codes: Tensor) -> Tensor:
        """The distinct codes in order; from now on `number` knows their numbers."""
        self.table[codes] = 0
        distinct = torch.nonzero(self.table == 0).squeeze(1)
        self.table[distinct] = torch.arange(len(distinct), dtype=torch.int32, device=codes.device)
        return distinct

    def number(self, codes: Tensor) -> Tensor:
        """Number of each code, -1 where it is not known."""
        return self.table[codes].long()

    def place(self, codes: Tensor) -> Tensor:
        """(..., 3) of codes."""
        return torch.stack([codes // self.side**2, codes // self.side % self.side, codes % self.side], dim=-1)


def average_corners(features: Tensor, coords: Tensor, resolution: int) -> CornerValues:
    """Average what the cubes around a corner say of it.

    Args:
        features: (F, 101) of cubes.
        coords: (F, 3) int64 places of the cubes, 0 to resolution - 1.
        resolution: cubes along a side.
    """
    distance, deformation, _, color = features.split(_SPLIT, dim=1)
    corners = _Codes(resolution + 1, coords.device)
    offsets = CORNERS.to(coords.device)
    codes = torch.stack([corners.of(coords + offset) for offset in offsets], dim=1)
    distinct = corners.enumerate(codes)
    # The network's distances are shifted by one cube, so that a raw zero lies inside.
    per_corner = (
        (distance - 1.0 / resolution)[..., None],
        deformation.unflatten(1, (_CORNERS, -1)),
        color.unflatten(1, (_CORNERS, -1)),
    )
    total = features.new_zeros(len(distinct), 1 + 3 + _COLOR_CHANNELS)
    count = features.new_zeros(len(distinct))
    for corner in range(_CORNERS):
        number = corners.number(codes[:, corner])
        total.index_add_(0, number, torch.cat([part[:, corner] for part in per_corner], dim=1))
        count.index_add_(0, number, count.new_ones(len(number)))
    return CornerValues(corners.place(distinct), total / count[:, None])


def surface_of_cubes(features: Tensor, coords: Tensor, resolution: int) -> Surface:
    """Extract the surface that the features of cubes describe.

    Only cubes at a corner that lies inside can carry surface: those of `coords`, and their neighbours, whose
    unknown corners lie outside.

    Args:
        features: (F, 101) float32.
        coords: (F, 3) int64 places of the cubes, 0 to resolution - 1.
        resolution: cubes along a side of the canonical cube.

    Returns:
        The surface in the canonical frame, attributes (colour, normal) from 0 to 1. It may be empty.
    """
    device = coords.device
    offsets = CORNERS.to(device)
    known = average_corners(features, coords, resolution)
    inside = known.place[known.values[:, 0] < 0]
    around = (inside[:, None] - offsets).flatten(0, 1)
    around = around[((around >= 0) & (around < resolution)).all(dim=1)]

    cube_codes = _Codes(resolution, device)
    places = cube_codes.place(cube_codes.enumerate(cube_codes.of(around)))

    lattice = _Codes(resolution + 1, device)
    codes = torch.stack([lattice.of(places + offset) for offset in offsets], dim=1)
    distinct = lattice.enumerate(codes)
    number = lattice.number(lattice.of(known.place))
    values = features.new_zeros(len(distinct), known.values.shape[1])
    values[:, 0] = _OUTSIDE
    values[number[number >= 0]] = known.values[number >= 0]

    own = cube_codes.number(cube_codes.of(coords))
    weights = features.new_zeros(len(places), _SPLIT[2])
    weights[own[own >= 0]] = features.split(_SPLIT, dim=1)[2][own >= 0]

    distance, deformation, color = values.split([1, 3, _COLOR_CHANNELS], dim=1)
    positions = (lattice.place(distinct) + _DEFORMATION * deformation.tanh()) / resolution - 0.5
    grid = Grid(positions, distance[:, 0], color.sigmoid(), lattice.number(codes), places)
    beta, alpha, gamma = weights.split([12, 8, 1], dim=1)
    return dual_surface(grid, CubeWeights(beta, alpha, gamma[:, 0]))
