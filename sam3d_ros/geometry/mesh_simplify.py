"""Fewer triangles for the same shape."""

from __future__ import annotations

import fast_simplification
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.meshes import Mesh

#: How eagerly edges are collapsed, tried in this order: a slower one breaks the surface less often.
_AGGRESSION = (7.0, 5.0, 3.0)
#: Shares of the budget to aim at, should every attempt at the whole of it break the surface.
_AIMS = (1.0, 0.9, 0.75)


def simplified(mesh: Mesh, max_triangles: int) -> Mesh:
    """A mesh with at most `max_triangles`, by quadric edge collapse.

    A watertight mesh stays watertight: edge collapse may pinch a surface, so each answer is checked, and a
    gentler one tried. Vertices keep the colour of the nearest original vertex.

    Args:
        mesh: any mesh; one within the budget is returned as it is.
        max_triangles: the budget, at least 4.

    Returns:
        The simplified mesh. When every attempt opens a watertight surface, the mesh itself, over the budget:
        compare `len(mesh.triangles)` where the budget is a hard limit.

    Raises:
        ValueError: the budget is below 4, which no closed surface can keep.
    """
    if max_triangles < 4:
        raise ValueError(
            f"a budget of {max_triangles} triangles is asked for: a closed surface needs at least 4"
        )
    if len(mesh.triangles) <= max_triangles:
        return mesh
    closed = mesh.is_watertight()
    for aim in _AIMS:
        for aggression in _AGGRESSION:
            vertices, triangles = fast_simplification.simplify(
                mesh.vertices,
                mesh.triangles.astype(np.int32),
                target_count=max(4, int(aim * max_triangles)),
                agg=aggression,
            )
            answer = _cleaned(mesh, vertices, triangles)
            if 0 < len(answer.triangles) <= max_triangles and (answer.is_watertight() or not closed):
                return answer
    return mesh


def _cleaned(mesh: Mesh, vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> Mesh:
    """Without collapsed triangles, fins and unused vertices, coloured by the nearest vertex of `mesh`.

    A fin is two triangles back to back, which a collapse in a flat region may leave standing on an edge.
    """
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    corners = np.sort(triangles, axis=1)
    _, which, count = np.unique(corners, axis=0, return_inverse=True, return_counts=True)
    triangles = triangles[count[which.ravel()] == 1]
    used, compact = np.unique(triangles, return_inverse=True)
    kept = np.asarray(vertices[used], dtype=np.float32)
    if len(kept) == 0:
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint32), np.zeros((0, 3), np.uint8))
    _, nearest = cKDTree(mesh.vertices).query(kept)
    return Mesh(kept, compact.reshape(-1, 3).astype(np.uint32), mesh.colors[nearest])
