"""Which of several poses explains the measured points and the mask best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity

Array = NDArray[np.float64]

_MAX_MEASURED = 2000
_MAX_SURFACE = 4000
_MIN_POINTS = 16
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
        v, u = np.nonzero(np.isfinite(points).all(axis=-1))
        step = max(1, len(u) // 10000)
        u, v = u[::step], v[::step]
        x, y, z = points[v, u].astype(np.float64).T
        ones = np.ones_like(z)
        fx, cx = np.linalg.lstsq(np.stack([x / z, ones], axis=1), u, rcond=None)[0]
        fy, cy = np.linalg.lstsq(np.stack([y / z, ones], axis=1), v, rcond=None)[0]
        return Projection(float(fx), float(cx), float(fy), float(cy))

    def pixels(self, points: Array) -> Array:
        """(N, 3) points in front of the camera -> (N, 2) u v."""
        x, y, z = points.T
        pixels = np.stack([self.fx * x / z + self.cx, self.fy * y / z + self.cy], axis=1)
        return np.clip(pixels, -_FAR_OUTSIDE, _FAR_OUTSIDE)


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
    finite = np.isfinite(points).all(axis=-1)
    measured = _thinned(points[mask & finite].astype(np.float64), _MAX_MEASURED)
    if len(measured) < _MIN_POINTS or len(surface) == 0:
        return [Hypothesis(pose) for pose in poses]
    projection = Projection.of_points(np.where(finite[..., None], points, np.nan))
    return [_judged(pose, surface, spacing, measured, mask, projection) for pose in poses]


def _judged(
    pose: Similarity,
    surface: Array,
    spacing: float,
    measured: Array,
    mask: NDArray[np.bool_],
    projection: Projection,
) -> Hypothesis:
    posed = pose.apply(_thinned(surface, _MAX_SURFACE))
    distance = torch.cdist(torch.from_numpy(measured), torch.from_numpy(posed)).amin(dim=1)
    residual = float(distance.median())
    visible = pose.apply(surface)
    visible = visible[visible[:, 2] > 0]
    if len(visible) == 0:
        return Hypothesis(pose, residual, 0.0)
    # Cells as wide as the points lie apart in the image, so that the object's cells close up.
    pitch = projection.fx * spacing * float(pose.scale.mean()) / float(np.median(visible[:, 2]))
    cell = max(1.0, 1.5 * pitch)
    drawn = {tuple(c) for c in np.floor(projection.pixels(visible) / cell).astype(np.int64)}
    wanted = {tuple(c) for c in np.floor(np.argwhere(mask)[:, ::-1] / cell).astype(np.int64)}
    return Hypothesis(pose, residual, len(drawn & wanted) / len(drawn | wanted))


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
