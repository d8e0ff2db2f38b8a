"""FlexiCubes: a mesh from signed distances, by dual marching cubes with learned weights (Shen et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam3d_ros.models.objects.dual_cases import CORNERS, EDGES, FACES, dual_cases

_WEIGHT_RANGE = 0.99
_GAMMA_MARGIN = 0.005


@dataclass(frozen=True, eq=False)
class CubeWeights:
    """What the network says about each cube, before the activations.

    Attributes:
        beta: (F, 12) pull of a dual vertex towards the edges.
        alpha: (F, 8) factor on the distance at the corners.
        gamma: (F,) how quads are split.
    """

    beta: Tensor
    alpha: Tensor
    gamma: Tensor

    @staticmethod
    def neutral(cubes: Tensor) -> CubeWeights:
        """Weights that favour nothing."""
        count, device = len(cubes), cubes.device
        return CubeWeights(*(torch.zeros(s, device=device) for s in ((count, 12), (count, 8), (count,))))

    def of(self, chosen: Tensor) -> CubeWeights:
        """The weights of some cubes."""
        return CubeWeights(self.beta[chosen], self.alpha[chosen], self.gamma[chosen])

    def activated(self) -> CubeWeights:
        """beta and alpha between 0 and 2, gamma between 0 and 1."""
        return CubeWeights(
            1.0 + _WEIGHT_RANGE * self.beta.float().tanh(),
            1.0 + _WEIGHT_RANGE * self.alpha.float().tanh(),
            _GAMMA_MARGIN + _WEIGHT_RANGE * self.gamma.float().sigmoid(),
        )


@dataclass(frozen=True, eq=False)
class Grid:
    """Cubes with their corners.

    Attributes:
        positions: (V, 3) float32 of the corners, which may be moved.
        distance: (V,) float32, negative inside.
        attributes: (V, A) float32 that are interpolated, A may be 0.
        cubes: (F, 8) int64 corners of each cube, in the order of `CORNERS`.
        coords: (F, 3) int64 place of each cube, in lexicographic order.
    """

    positions: Tensor
    distance: Tensor
    attributes: Tensor
    cubes: Tensor
    coords: Tensor


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh.

    Attributes:
        vertices: (N, 3) float32.
        triangles: (M, 3) int64, counter-clockwise seen from where the distance is positive.
        attributes: (N, A) float32.
    """

    vertices: Tensor
    triangles: Tensor
    attributes: Tensor


def surface_cubes(distance: Tensor, cubes: Tensor) -> Tensor:
    """(F,) bool, cubes with a corner on either side."""
    inside = distance[cubes] < 0
    return inside.any(dim=1) & ~inside.all(dim=1)


def case_of_cubes(distance: Tensor, cubes: Tensor, coords: Tensor) -> Tensor:
    """(F,) int64 case of each surface cube.

    Where two neighbours would make a non-manifold edge, both take the case with inside and outside exchanged.
    """
    inside = distance[cubes] < 0
    case = (inside.long() << torch.arange(8, device=cubes.device)).sum(dim=1)
    shared_face = dual_cases().shared_face.to(case.device)[case]
    suspect = torch.nonzero(shared_face >= 0).squeeze(1)
    size = coords.max(dim=0).values + 3 if len(coords) else coords.new_ones(3)

    def code(place: Tensor) -> Tensor:
        return ((place[:, 0] + 1) * size[1] + place[:, 1] + 1) * size[2] + place[:, 2] + 1

    towards = FACES.to(case.device)[shared_face[suspect]]
    ambiguous = torch.isin(code(coords[suspect] + towards), code(coords[suspect]))
    flipped = suspect[ambiguous]
    case[flipped] = 255 - case[flipped]
    return case


def _first_of_each(count: Tensor) -> Tensor:
    return count.cumsum(0) - count


def dual_surface(grid: Grid, weights: CubeWeights) -> Surface:
    """Extract the surface of zero distance.

    Args:
        grid: every cube with corners on both sides must be among its cubes, or the surface has a hole there.
        weights: of each cube, before the activations.

    Returns:
        The surface; without vertices where all corners are on one side.
    """
    device = grid.cubes.device
    chosen = surface_cubes(grid.distance, grid.cubes)
    cubes = grid.cubes[chosen]
    weights = weights.of(chosen).activated()
    table = dual_cases()
    case = case_of_cubes(grid.distance, cubes, grid.coords[chosen])
    loops = table.loops.to(device)[case]

    # Rows: one for each crossed edge of each surface cube.
    loop = table.loop.to(device)[case]
    cube, edge = torch.nonzero(loop >= 0, as_tuple=True)
    vertex = _first_of_each(loops)[cube] + loop[cube, edge]
    ends = torch.tensor(EDGES, device=device)[edge]
    corner = cubes[cube[:, None], ends]

    distance = grid.distance[corner] * weights.alpha[cube[:, None], ends]
    share = distance[:, 0] / (distance[:, 0] - distance[:, 1])
    pull = weights.beta[cube, edge][:, None]
    total = int(loops.sum())
    norm = pull.new_zeros(total, 1).index_add_(0, vertex, pull)

    def dual(values: Tensor) -> Tensor:
        crossing = torch.lerp(values[corner[:, 0]], values[corner[:, 1]], share[:, None])
        return values.new_zeros(total, values.shape[1]).index_add_(0, vertex, crossing * pull) / norm

    gamma = weights.gamma.repeat_interleave(loops)
    triangles = _triangles(corner, vertex, gamma, grid.distance)
    return Surface(dual(grid.positions), triangles, dual(grid.attributes))


def _triangles(corner: Tensor, vertex: Tensor, gamma: Tensor, distance: Tensor) -> Tensor:
    """Join the four dual vertices around each crossed edge, and split the quads.

    Args:
        corner: (E, 2) ends of the crossed edge of each row; rows are in the order of their cubes.
        vertex: (E,) dual vertex of each row.
        gamma: (N,) of each dual vertex.
        distance: (V,) of each corner.
    """
    count = int(distance.shape[0])
    edges, row_edge, rows = torch.unique(
        corner[:, 0] * count + corner[:, 1], return_inverse=True, return_counts=True
    )
    order = torch.argsort(row_edge, stable=True)
    complete = rows == 4
    first = _first_of_each(rows)[complete]
    quads = vertex[order[first[:, None] + torch.arange(4, device=first.device)]]

    outside_first = distance[edges[complete] // count] >= 0
    quads = torch.cat([quads[outside_first][:, [0, 1, 3, 2]], quads[~outside_first][:, [2, 3, 1, 0]]])
    g = gamma[quads]
    even = (g[:, 0] * g[:, 2] > g[:, 1] * g[:, 3])[:, None]
    split = torch.where(even, quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 3, 1, 2]])
    return split.view(-1, 3)


def lattice(resolution: int) -> tuple[Tensor, Tensor]:
    """All cubes of a grid: (F, 8) corner numbers and (F, 3) places, corners numbered with z fastest."""
    axis = torch.arange(resolution)
    coords = torch.cartesian_prod(axis, axis, axis)
    place = coords[:, None] + CORNERS
    side = resolution + 1
    return (place[..., 0] * side + place[..., 1]) * side + place[..., 2], coords
