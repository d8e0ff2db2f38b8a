"""Convex polygons in the plane: (K, 2) corners, counter-clockwise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def convex_hull(points: Array) -> Array:
    """(K, 2) corners of the convex hull of (N, 2) points, counter-clockwise; K < 3 where they are in line."""
    origin = points.mean(axis=0)
    # OpenCV works in float32: keep the numbers small.
    hull = cv2.convexHull((points - origin).astype(np.float32), clockwise=False)
    # It answers None where all are the same point but for the sign of a zero.
    corners = np.zeros((1, 2)) if hull is None else hull.reshape(-1, 2).astype(np.float64)
    return corners + origin


def depth_inside_hull(points: Array, hull: Array) -> Array:
    """(N,) how deep (N, 2) points are inside a polygon; negative outside."""
    edges = np.roll(hull, -1, axis=0) - hull
    length = np.linalg.norm(edges, axis=1)
    edges, corners = edges[length > 0] / length[length > 0, None], hull[length > 0]
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    return np.asarray((points @ inward.T - np.einsum("ij,ij->i", inward, corners)).min(axis=1))


def polygon_area(polygon: Array) -> float:
    """Its area, by the shoelace formula; 0 with fewer than three corners."""
    if len(polygon) < 3:
        return 0.0
    # Seen from a corner, the edges that meet there add nothing.
    x, y = (polygon[1:] - polygon[0]).T
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2.0


def shared_polygon(a: Array, b: Array) -> Array:
    """(K, 2) what two polygons of at least three corners share; K < 3 where it has no area."""
    origin = a.mean(axis=0)
    _, shared = cv2.intersectConvexConvex((a - origin).astype(np.float32), (b - origin).astype(np.float32))
    if shared is None or len(shared) < 3:
        return np.zeros((0, 2))
    return convex_hull(shared.reshape(-1, 2).astype(np.float64) + origin)


def simplified_polygon(polygon: Array, most: int) -> Array:
    """The polygon with at most so many corners, at least three; those that cut off least are left out first."""
    while len(polygon) > max(most, 3):
        before, after = polygon - np.roll(polygon, 1, axis=0), np.roll(polygon, -1, axis=0) - polygon
        cut_off = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        polygon = np.delete(polygon, int(np.argmin(cut_off)), axis=0)
    return polygon
