"""Which of several poses explains the measured points and the mask best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity

Array = NDArray[np.float64]

_MAX_MEASURED = 500
_MAX_SURFACE = 4000
_MIN_POINTS = 16
# Points that the camera is recovered from.
_MAX_RAYS = 10000
# Pixels: where points in the plane of the camera end up.
_FAR_OUTSIDE = 1e6


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One pose and how well it fits.

    Attributes:
        camera_from_object: canonical to optical frame.
        depth_residual: median distance of the measured points to the object, metres; NaN without points.
        silhouette: overlap of the projected object with the mask, 0 to 1; NaN without points.
    """

    camera_from_object: Similarity
    depth_residual: float = float("nan")
    silhouette: float = float("nan")

    @property
    def score(self) -> float:
        """Higher is better: overlap, less the residual in units of the object; -inf where nothing was measured."""
        size = float(self.camera_from_object.scale.mean())
        score = self.silhouette - self.depth_residual / size
        return score if np.isfinite(score) else -np.inf


@dataclass(frozen=True)
class Projection:
    """A pinhole without distortion: `u = fx x / z + cx`, `v = fy y / z + cy`."""

    fx: float
    cx: float
    fy: float
    cy: float

    @staticmethod
    def of_points(points: NDArray[np.floating]) -> Projection:
        """Recover the camera from a point map (H, W, 3), whose points lie on the rays of their pixels."""
        known = np.flatnonzero(_is_known(points))
        known = known[:: max(1, len(known) // _MAX_RAYS)]
        v, u = np.divmod(known, points.shape[1])
        x, y, z = points.reshape(-1, 3)[known].astype(np.float64).T
        return Projection(*_line(x / z, u), *_line(y / z, v))

    def pixels(self, points: Array) -> Array:
        """(N, 3) points in front of the camera -> (N, 2) u v."""
        x, y, z = points.T
        pixels = np.stack([self.fx * x / z + self.cx, self.fy * y / z + self.cy], axis=1)
        return np.clip(pixels, -_FAR_OUTSIDE, _FAR_OUTSIDE)


def _is_known(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(..., 3) points -> (...) whether all three numbers are finite."""
    x, y, z = (np.isfinite(points[..., axis]) for axis in range(3))
    return np.asarray(x & y & z)


def _line(x: Array, y: NDArray[np.number]) -> tuple[float, float]:
    """Slope and offset of the line through points, by least squares; of many lines, the shortest (slope, offset)."""
    row = np.stack([x, np.ones_like(x)])
    slope, offset = np.linalg.lstsq(row @ row.T, row @ y, rcond=None)[0]
    return float(slope), float(offset)


def _thinned(points: Array, count: int) -> Array:
    return points[:: max(1, -(-len(points) // count))]


def judged(
    poses: Sequence[Similarity],
    surface: Array,
    spacing: float,
    points: NDArray[np.floating],
    mask: NDArray[np.bool_],
) -> list[Hypothesis]:
    """Measure how well poses fit.

    Args:
        poses: canonical to optical frame.
        surface: (N, 3) points of the object's surface, canonical.
        spacing: distance between neighbouring points of `surface`, canonical.
        points: (H, W, 3) metres, optical frame, NaN where unknown.
        mask: (H, W) the object.

    Returns:
        One for each pose. Where fewer than 16 points were measured on the object, nothing is judged.
    """
    pixels = np.flatnonzero(mask)
    own = points.reshape(-1, 3)[pixels]
    measured = _thinned(own[_is_known(own)].astype(np.float64), _MAX_MEASURED)
    if len(measured) < _MIN_POINTS or len(surface) == 0:
        return [Hypothesis(pose) for pose in poses]
    projection = Projection.of_points(points)
    # All poses share one tree: the measured points are looked up in the object's own frame.
    tree = cKDTree(_thinned(surface, _MAX_SURFACE))
    outline = _Pixels(mask.shape, *np.divmod(pixels, mask.shape[1]))
    return [
        Hypothesis(
            pose,
            _residual(pose, tree, measured),
            _silhouette(pose, surface, spacing, outline, projection),
        )
        for pose in poses
    ]


@dataclass(frozen=True, eq=False)
class _Pixels:
    """The pixels of a mask.

    Attributes:
        shape: rows and columns of the image.
        row: (P,) of each pixel.
        column: (P,) of each pixel.
    """

    shape: tuple[int, ...]
    row: NDArray[np.int64]
    column: NDArray[np.int64]

    def cells(self, side: float) -> NDArray[np.bool_]:
        """Which square cells of so many pixels, at least 1, have a pixel; the first begins at pixel 0."""
        row, column = (np.floor(np.arange(length) / side).astype(np.int64) for length in self.shape)
        cells = np.zeros((row[-1] + 1, column[-1] + 1), bool)
        cells[row[self.row], column[self.column]] = True
        return cells


def _residual(pose: Similarity, tree: cKDTree, measured: Array) -> float:
    """Median distance of measured points to the surface, metres."""
    distance, _ = tree.query(pose.apply_inverse(measured))
    return float(np.median(distance) * pose.scale.mean())


def _silhouette(
    pose: Similarity, surface: Array, spacing: float, outline: _Pixels, projection: Projection
) -> float:
    """Overlap of the drawn surface with the mask, in cells of the image: intersection over union, 0 to 1."""
    visible = pose.apply(surface)
    visible = visible[visible[:, 2] > 0]
    if len(visible) == 0:
        return 0.0
    # Cells as wide as the points lie apart in the image, so that the object's cells close up.
    pitch = projection.fx * spacing * float(pose.scale.mean()) / float(np.median(visible[:, 2]))
    cell = max(1.0, 1.5 * pitch)
    wanted = outline.cells(cell)
    column, row = np.floor(projection.pixels(visible) / cell).astype(np.int64).T
    inside = (row >= 0) & (row < wanted.shape[0]) & (column >= 0) & (column < wanted.shape[1])
    drawn = np.zeros_like(wanted)
    drawn[row[inside], column[inside]] = True
    beside = len(np.unique((row * int(4 * _FAR_OUTSIDE) + column)[~inside]))
    return float(np.count_nonzero(drawn & wanted) / (np.count_nonzero(drawn | wanted) + beside))


def best(hypotheses: Sequence[Hypothesis]) -> int:
    """Index of the best one; the first where none could be judged."""
    return int(np.argmax([hypothesis.score for hypothesis in hypotheses]))


def spread(hypotheses: Sequence[Hypothesis], chosen: int) -> Array:
    """How far the hypotheses lie from the chosen one.

    Returns:
        (6, 6) mean outer product of the deviations of the others in the optical frame, order x y z rotX rotY
        rotZ, metres and radians; zeros where there is no other.
    """
    center = hypotheses[chosen].camera_from_object
    others = [h.camera_from_object for index, h in enumerate(hypotheses) if index != chosen]
    if not others:
        return np.zeros((6, 6))
    deviations = np.stack([np.concatenate(_deviation(pose, center)) for pose in others])
    return deviations.T @ deviations / len(others)


def _deviation(pose: Similarity, center: Similarity) -> tuple[Array, Array]:
    """Translation, and rotation vector, from one pose to another, both in the optical frame."""
    x, y, z, w = Similarity(pose.rotation @ center.rotation.T).quaternion()
    axis = np.array([x, y, z])
    length = float(np.linalg.norm(axis))
    angle = 2.0 * np.arctan2(length, w)
    return pose.translation - center.translation, axis * (angle / length if length > 0 else 2.0)
