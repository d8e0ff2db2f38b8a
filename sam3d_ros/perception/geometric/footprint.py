"""The footprint of an object on its support: convex hull and smallest rectangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.polygons import convex_hull

Array = NDArray[np.float64]

#: One percent of asymmetry weighs as much as so many percent of area.
_ASYMMETRY_COST = 4.0


@dataclass(frozen=True, eq=False)
class Rectangle:
    """A rectangle in the plane.

    Attributes:
        angle: radians from x to its first side.
        center: (2,).
        sides: (2,) full lengths along the first side and across it; the first is the longer one.
    """

    angle: float
    center: Array
    sides: Array


def smallest_rectangle(points: Array) -> Rectangle:
    """The rectangle of least area around (N, 2) points, N >= 1.

    One of its sides lies along the convex hull (Freeman and Shapira 1975).
    """
    return _smallest_around(convex_hull(points))


def natural_rectangle(points: Array) -> Rectangle:
    """The small rectangle around (N, 2) points that lies along a mirror axis of their outline, as far as there is one.

    The smallest rectangle around a mug stands askew to its handle; its mirror axis does not. Of all angles the one
    with the least sum of area (against the smallest) and asymmetry (against the size, weighted) is taken.
    """
    hull = convex_hull(points)
    smallest = _smallest_around(hull)
    # Support function: how far the outline reaches in each direction, one a degree.
    degree = np.arange(180)
    direction = np.deg2rad(np.arange(360.0))
    reach = (hull @ np.stack([np.cos(direction), np.sin(direction)])).max(axis=0)
    width = reach[:180] + reach[180:]
    # The mirror at an angle swaps the directions on both sides of it. Its offset along the normal is fitted.
    axis = degree[:, None]
    difference = reach[(axis + degree) % 360] - reach[axis - degree]
    normal = np.sin(direction[:180])
    difference -= np.outer(difference @ normal / (normal @ normal), normal)
    asymmetry = np.abs(difference).mean(axis=1) / max(float(width.mean()), 1e-12)
    area = width[:90] * width[90:] / max(float(smallest.sides.prod()), 1e-12)
    cost = area + _ASYMMETRY_COST * np.minimum(asymmetry[:90], asymmetry[90:])
    best = int(np.argmin(cost))
    at_smallest = round(float(np.rad2deg(smallest.angle))) % 90
    if 1.0 + cost[at_smallest] - area[at_smallest] <= cost[best]:
        return smallest
    return _rectangle(hull, float(np.deg2rad(best)))


def _smallest_around(hull: Array) -> Rectangle:
    edges = np.roll(hull, -1, axis=0) - hull
    edges = edges[np.linalg.norm(edges, axis=1) > 0]
    angles = np.arctan2(edges[:, 1], edges[:, 0]) if len(edges) else np.zeros(1)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    a, b = hull @ along.T, hull @ across.T
    sides = np.stack([np.ptp(a, axis=0), np.ptp(b, axis=0)], axis=1)
    return _rectangle(hull, float(angles[int(np.argmin(sides.prod(axis=1)))]))


def _rectangle(hull: Array, angle: float) -> Rectangle:
    """The rectangle around a hull with a side at an angle."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    a, b = hull @ along, hull @ across
    center = along * (a.min() + a.max()) / 2.0 + across * (b.min() + b.max()) / 2.0
    sides = np.array([np.ptp(a), np.ptp(b)])
    if sides[0] < sides[1]:
        angle, sides = angle + np.pi / 2.0, sides[::-1]
    return Rectangle(float((angle + np.pi / 2.0) % np.pi - np.pi / 2.0), center, sides)
