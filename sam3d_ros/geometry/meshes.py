"""Triangle meshes with vertex colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh, counter-clockwise seen from outside.

    Attributes:
        vertices: (N, 3) float32; canonical object coordinates unless a docstring says otherwise.
        triangles: (M, 3) uint32 indices into `vertices`.
        colors: (N, 3) uint8 RGB of each vertex.

    Raises:
        ValueError: a shape is wrong, an index is out of range, or a vertex is not finite.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.uint32]
    colors: NDArray[np.uint8]

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float32)
        triangles = np.asarray(self.triangles)
        colors = np.ascontiguousarray(self.colors, dtype=np.uint8)
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise ValueError(f"vertices are {vertices.shape}: give (N, 3)")
        if triangles.ndim != 2 or triangles.shape[1] != 3:
            raise ValueError(f"triangles are {triangles.shape}: give (M, 3)")
        if colors.shape != vertices.shape:
            raise ValueError(
                f"colors are {colors.shape}: give one RGB triple for each of {len(vertices)} vertices"
            )
        if not np.isfinite(vertices).all():
            raise ValueError("vertices hold NaN or Inf: drop these points before meshing")
        if triangles.size and (triangles.min() < 0 or triangles.max() >= len(vertices)):
            raise ValueError(
                f"triangles index up to {triangles.max()} but there are {len(vertices)} vertices"
            )
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "triangles", np.ascontiguousarray(triangles, dtype=np.uint32))
        object.__setattr__(self, "colors", colors)

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """(2, 3) least and greatest corner of the axis-aligned box.

        Raises:
            ValueError: the mesh has no vertex.
        """
        if len(self.vertices) == 0:
            raise ValueError("an empty mesh has no bounds")
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def is_watertight(self) -> bool:
        """Whether each directed edge is met exactly once by its opposite: closed, oriented, manifold."""
        if len(self.triangles) == 0:
            return False
        start = self.triangles.astype(np.int64)
        end = np.roll(start, -1, axis=1)
        count = len(self.vertices)
        forward = np.sort((start * count + end).ravel())
        backward = np.sort((end * count + start).ravel())
        return bool((np.diff(forward) > 0).all() and np.array_equal(forward, backward))

    def volume(self) -> float:
        """Signed volume by the divergence theorem, vertex units cubed; positive if triangles face outward."""
        a, b, c = self.vertices.astype(np.float64)[self.triangles.astype(np.int64)].transpose(1, 0, 2)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)
