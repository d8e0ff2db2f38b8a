"""Planes among measured points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Planes that are tried, and about how many points vote on them.
_TRIALS, _VOTERS = 300, 500
#: Fewer points are not searched for another plane.
_LEAST_LEFT = 15
#: So often is a plane fitted to the points near it.
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class FoundPlane:
    """A plane `normal . p = offset` among points.

    Attributes:
        normal: (3,) unit, towards the origin of the frame: the sensor is before what it sees.
        offset: metres, not positive.
        inliers: (K,) indices of the points on it.
    """

    normal: Array
    offset: float
    inliers: NDArray[np.intp]


def strongest_planes(
    points: Array, tolerance: Array, rng: np.random.Generator, *, most: int, least_share: float
) -> Iterator[FoundPlane]:
    """One plane after the other, each that with the most points among those on no plane before.

    RANSAC (Fischler and Bolles 1981).

    Args:
        points: (N, 3) in scan order, in the frame of the sensor.
        tolerance: (N,) metres from a plane that a point of it may be.
        rng: source of chance.
        most: planes at most.
        least_share: of all points, what a plane has to have.
    """
    left = np.ones(len(points), bool)
    for _ in range(most):
        if left.sum() < max(_LEAST_LEFT, least_share * len(points)):
            return
        normal, offset, near = _strongest_plane(points[left], tolerance[left], rng)
        inliers = np.flatnonzero(left)[near]
        if len(inliers) < least_share * len(points):
            return
        yield FoundPlane(normal, offset, inliers)
        left[inliers] = False


def uprightness(normal: Array) -> float:
    """Prior of a normal in the optical frame: up in the image is likely, down is not, towards the camera may be."""
    return float(np.clip(0.55 - 0.45 * normal[1], 0.05, 1.0))


def fitted_plane(points: Array, tolerance: Array) -> tuple[Array, float]:
    """Normal, of either sense, and offset of the plane through (N, 3) points, at least three: weighted least squares.

    Args:
        points: metres.
        tolerance: (N,) what their weights fall with.
    """
    weight = 1.0 / tolerance**2
    center = weight @ points / weight.sum()
    spread = points - center
    normal = np.linalg.eigh((spread * weight[:, None]).T @ spread)[1][:, 0]
    return normal, float(normal @ center)


def _strongest_plane(
    points: Array, tolerance: Array, rng: np.random.Generator
) -> tuple[Array, float, NDArray[np.bool_]]:
    """Normal towards the origin, offset, and inliers of the plane with most points."""
    # The second and third point come from the neighbourhood of the first in scan order: planes are local.
    first = rng.integers(0, len(points), _TRIALS)
    reach = max(3, len(points) // 4)
    others = (first[:, None] + rng.integers(-reach, reach + 1, (_TRIALS, 2))) % len(points)
    a, b, c = points[first], points[others[:, 0]], points[others[:, 1]]
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    good = length > 1e-9
    if not good.any():
        return np.array([0.0, -1.0, 0.0]), 0.0, np.zeros(len(points), bool)
    normals, a = normals[good] / length[good, None], a[good]
    offsets = np.einsum("ij,ij->i", normals, a)
    # Some points tell which trial is the best; all of them then say where that plane is.
    voters = slice(None, None, 1 + len(points) // _VOTERS)
    near = np.abs(normals @ points[voters].T - offsets[:, None]) < tolerance[voters]
    best = int(np.argmax(np.count_nonzero(near, axis=1)))
    normal, offset = normals[best], float(offsets[best])
    inliers = np.abs(points @ normal - offset) < tolerance
    for _ in range(_ROUNDS):
        if np.count_nonzero(inliers) < 3:
            break
        normal, offset = fitted_plane(points[inliers], tolerance[inliers])
        inliers = np.abs(points @ normal - offset) < tolerance
    if offset > 0:
        normal, offset = -normal, -offset
    return normal, offset, inliers
