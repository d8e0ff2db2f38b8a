"""What is above which surface, and what stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.polygons import depth_inside_hull
from sam3d_ros.perception.surfaces.surface import SupportSurface

Array = NDArray[np.float64]

#: An object stands on a surface when its lowest point is this near to it, as a share of its size; standard deviations
#: of its place and of the surface count where they are more.
_CONTACT, _NOISES = 0.08, 3.0
#: The outermost points of a mesh err most: this share of them is left out below.
_OUTERMOST = 0.01


@dataclass(frozen=True, eq=False)
class Place:
    """An object over a surface.

    Attributes:
        surface: the surface.
        points: (N, 3) of the surface of the object, in the frame of the other one.
        bottom: height where the object ends below, metres.
    """

    surface: SupportSurface
    points: Array
    bottom: float


def places_over(points: Array, surfaces: Sequence[SupportSurface]) -> tuple[Place, ...]:
    """Where an object is over surfaces, the nearest one first; those that it is beside, or below, are left out.

    Args:
        points: (N, 3) of its surface, in the frame of tracking.
        surfaces: that are known.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    found = []
    for surface in surfaces:
        middle = surface.fixed_from_surface.apply_inverse((low + high) / 2.0)
        if middle[2] > 0.0 and depth_inside_hull(middle[None, :2], surface.polygon)[0] > 0.0:
            local = surface.fixed_from_surface.apply_inverse(points)
            found.append(Place(surface, local, lowest(local[:, 2])))
    return tuple(sorted(found, key=lambda place: place.bottom))


def carrier(places: Sequence[Place], size: float, sigma: float) -> int:
    """The id of the surface that an object stands on; 0 where it stands on none.

    Args:
        places: where it is over surfaces.
        size: its diameter, metres.
        sigma: standard deviation of its place, metres.
    """
    gaps = {place.surface.surface_id: abs(place.bottom) for place in places}
    near = {
        place.surface.surface_id
        for place in places
        if abs(place.bottom) < max(_CONTACT * size, _NOISES * float(np.hypot(sigma, place.surface.sigma)))
    }
    return min(near, key=lambda surface_id: gaps[surface_id], default=0)


def lowest(heights: Array) -> float:
    """The least of (N,) heights, without the outermost ones."""
    rank = int(_OUTERMOST * len(heights))
    return float(np.partition(heights, rank)[rank])
