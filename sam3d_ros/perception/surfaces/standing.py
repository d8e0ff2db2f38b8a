"""Which object stands on which surface."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.polygons import depth_inside_hull
from sam3d_ros.perception.surfaces.surface import SupportSurface

Array = NDArray[np.float64]

#: An object stands on a surface when its lowest point is this near to it, as a share of its size; standard deviations
#: of its place and of the surface count where they are more.
_CONTACT, _NOISES = 0.08, 3.0
#: The outermost of its points err most: so many percent of them are left out below.
_LOWEST = 1.0


def carrier(points: Array, sigma: float, surfaces: Sequence[SupportSurface]) -> int:
    """The id of the surface that an object stands on; 0 where it stands on none.

    Args:
        points: (N, 3) of its surface, in the frame of tracking.
        sigma: standard deviation of its place, metres.
        surfaces: that are known.
    """
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    best, best_gap = 0, np.inf
    for surface in surfaces:
        local = surface.fixed_from_surface.apply_inverse(points)
        gap = abs(float(np.percentile(local[:, 2], _LOWEST)))
        allowed = max(_CONTACT * size, _NOISES * float(np.hypot(sigma, surface.sigma)))
        if gap < min(allowed, best_gap) and is_over(local, surface):
            best, best_gap = surface.surface_id, gap
    return best


def is_over(local: Array, surface: SupportSurface) -> bool:
    """Whether (N, 3) points in the frame of a surface are of something above it, not beside it."""
    middle = (local.min(axis=0) + local.max(axis=0)) / 2.0
    return bool(middle[2] > 0.0 and depth_inside_hull(middle[None, :2], surface.polygon)[0] > 0.0)


def placed_points(vertices: NDArray[np.float32], fixed_from_object: Similarity, most: int) -> Array:
    """(N, 3) about so many of the vertices of a mesh, in the frame of tracking."""
    return fixed_from_object.apply(vertices[:: max(1, len(vertices) // most)])
