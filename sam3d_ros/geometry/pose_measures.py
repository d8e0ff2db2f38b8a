"""Errors of poses against a truth, modulo what nobody can know, and whether covariances foretold them.

Two reconstructions of a thing may name its axes differently, so a rotation is compared modulo the 24 rotations of a
cube; what is round about an axis has no error about it. Both are found in the optical frame, as rotation vectors that
act from the left: `estimate = exp(error) @ truth`, the convention of the covariances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from sam3d_ros.geometry.frames import Similarity

Array = NDArray[np.float64]

#: (24, 3, 3) the rotations that carry the axes of a cube onto each other.
CUBE_ROTATIONS: Array = Rotation.create_group("O").as_matrix()
#: Shares of the ellipsoids that coverage is told of.
LEVELS = (0.5, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class PoseError:
    """What an estimated pose has wrong, in the frame of the poses.

    Attributes:
        position: (3,) metres, estimate minus truth.
        rotation: (3,) rotation vector, radians; none of it along a free axis.
        known: (K, 3) orthonormal directions that a rotation can have an error about: three, or the two across a free
            axis.
    """

    position: Array
    rotation: Array
    known: Array


@dataclass(frozen=True)
class Consistency:
    """Whether errors are as large as their covariances say.

    Attributes:
        count: of errors.
        nees: mean normalised estimation error squared for each degree of freedom: 1 if the covariances are true.
        low, high: `nees` lies between them 95 % of the time if they are (chi-square).
        median: of the normalised error squared, each divided by the median of its own chi-square: 1 likewise, and
            not ruled by a few outliers.
        covered: shares of the errors inside their ellipsoids of `LEVELS`.
    """

    count: int
    nees: float
    low: float
    high: float
    median: float
    covered: tuple[float, ...]


def pose_error(estimate: Similarity, truth: Similarity, free_axis: Array | None = None) -> PoseError:
    """The error of a pose, modulo the naming of axes and turns about a free one.

    Args:
        estimate: target from object.
        truth: the same, of the true object; both have their origin at the same place of it.
        free_axis: (3,) unit axis of the true object that it is round about; None = not round.
    """
    position = estimate.translation - truth.translation
    if free_axis is None:
        relative = Rotation.from_matrix(estimate.rotation @ CUBE_ROTATIONS @ truth.rotation.T)
        nearest = relative[int(np.argmin(relative.magnitude()))]
        return PoseError(position, np.asarray(nearest.as_rotvec()), np.eye(3))
    axis = truth.rotation @ free_axis
    along = estimate.rotation.T @ axis
    column = int(np.argmax(np.abs(along)))
    found = np.sign(along[column]) * estimate.rotation[:, column]
    cross = np.cross(axis, found)
    sine = float(np.linalg.norm(cross))
    angle = float(np.arctan2(sine, axis @ found))
    across = np.linalg.svd(axis[None])[2][1:]
    return PoseError(position, cross * (angle / sine if sine > 0.0 else 1.0), across)


def position_square(error: PoseError, covariance: Array) -> float:
    """Squared Mahalanobis length of the error of the position, three degrees of freedom.

    Args:
        error: in the frame of the covariance.
        covariance: (6, 6), order x y z rotX rotY rotZ, metres and radians.
    """
    return _square(error.position, covariance[:3, :3])


def rotation_square(error: PoseError, covariance: Array) -> float:
    """The same of the rotation, with as many degrees of freedom as `error.known` has rows."""
    basis = error.known
    return _square(basis @ error.rotation, basis @ covariance[3:, 3:] @ basis.T)


def consistency(squares: Sequence[float], freedoms: Sequence[int]) -> Consistency:
    """Compare squared Mahalanobis lengths with the chi-square distribution.

    Args:
        squares: of each error.
        freedoms: degrees of freedom of each error.
    """
    values, degrees = np.asarray(squares, dtype=np.float64), np.asarray(freedoms, dtype=np.int64)
    total = int(degrees.sum())
    if total == 0:
        return Consistency(0, np.nan, np.nan, np.nan, np.nan, (np.nan,) * len(LEVELS))
    low, high = chi2.ppf((0.025, 0.975), total) / total
    reached = chi2.cdf(values, degrees)
    return Consistency(
        count=len(values),
        nees=float(values.sum() / total),
        low=float(low),
        high=float(high),
        median=float(np.median(values / chi2.median(degrees))),
        covered=tuple(float(np.mean(reached <= level)) for level in LEVELS),
    )


def _square(error: Array, covariance: Array) -> float:
    return float(error @ np.linalg.solve(covariance, error))
