"""The footprint of an object on its support: convex hull and smallest rectangle."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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


def convex_hull(points: Array) -> Array:
    """(K, 2) corners of the convex hull of (N, 2) points, counter-clockwise; K < 3 where they are in line."""
    origin = points.mean(axis=0)
    # OpenCV works in float32: keep the numbers small.
    hull = cv2.convexHull((points - origin).astype(np.float32), clockwise=False)
    return hull.reshape(-1, 2).astype(np.float64) + origin


def smallest_rectangle(points: Array) -> Rectangle:
    """The rectangle of least area around (N, 2) points, N >= 1.

    One of its sides lies along the convex hull (Freeman and Shapira 1975).
    """
    hull = convex_hull(points)
    edges = np.roll(hull, -1, axis=0) - hull
    edges = edges[np.linalg.norm(edges, axis=1) > 0]
    angles = np.arctan2(edges[:, 1], edges[:, 0]) if len(edges) else np.zeros(1)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    a, b = hull @ along.T, hull @ across.T
    sides = np.stack([np.ptp(a, axis=0), np.ptp(b, axis=0)], axis=1)
    best = int(np.argmin(sides.prod(axis=1)))
    center = along[best] * (a[:, best].min() + a[:, best].max()) / 2.0
    center = center + across[best] * (b[:, best].min() + b[:, best].max()) / 2.0
    angle, side = float(angles[best]), sides[best]
    if side[0] < side[1]:
        angle, side = angle + np.pi / 2.0, side[::-1]
    return Rectangle(float((angle + np.pi / 2.0) % np.pi - np.pi / 2.0), center, side)


def depth_inside_hull(points: Array, hull: Array) -> Array:
    """(N,) how deep (N, 2) points are inside a convex counter-clockwise polygon; negative outside."""
    edges = np.roll(hull, -1, axis=0) - hull
    length = np.linalg.norm(edges, axis=1)
    edges, corners = edges[length > 0] / length[length > 0, None], hull[length > 0]
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    return np.asarray((points @ inward.T - np.einsum("ij,ij->i", inward, corners)).min(axis=1))
