"""How well a refined pose is known: its covariance, from the rows of the refinement where it ended.

What makes a covariance true beyond the information of the rows J^T J / sigma^2:

- neighbouring measurements err together, so they count less often than they are. How much less is read from the
  residuals: the mean residual of blocks of the image scatters more than that of independent ones would (the design
  effect of Kish 1965);
- an error that all measurements share (half a pixel of a mask, the calibration of a sensor) does not shrink with their
  number and is added in the end (Brossard et al. 2019: white noise alone is over-confident);
- a pose that is not yet where its rows pull it is known no better than the step that is left;
- a scale that was refined is marginalised, not held fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.settings import Settings, parameter

Array = NDArray[np.float64]

#: sigma = 1.4826 median absolute deviation, for a normal distribution.
SIGMA_OF_MAD = 1.4826
#: Standard deviation of a rotation that nobody measured: uniform on a turn, pi / sqrt(3) radians.
FREE_ROTATION = np.pi / np.sqrt(3.0)
#: Residuals are grouped in so many rows and columns of blocks over the object.
_BLOCKS = 4
#: Standard deviation of the logarithm of a scale that is not metric, before anything is measured.
_FREE_SCALE = 1.0
#: The canonical axis that things stand along.
_UP = 2
#: Vertices within this share of the length from one end are that end, which is narrow with less than this share of the
#: width: that of a circle has half of it.
_END_SHARE, _NARROW = 0.06, 0.3
#: What scatters less than this share of the sensor's noise owes it to chance.
_LEAST_NOISE = 0.25


@dataclass(frozen=True)
class CovarianceConfig(Settings):
    """What a pose cannot be known better than, however much is measured.

    Attributes:
        outline_noise: pixels; standard deviation of where a mask says that an object ends, from pixel to pixel.
        outline_bias: pixels; the same of what all pixels of a mask share.
        depth_bias: standard deviation of what all points share along the optical axis, in those of the sensor.
        position_floor: metres; smallest standard deviation that is claimed for a position.
        rotation_floor: radians; the same for a rotation.
        shape_position: standard deviation of the origin in those of the extents.
        shape_yaw, shape_tilt: the same of a turn about the object's z axis, which its footprint tells, and of one about
            the others, which what it stands on tells too: times the standard deviation of one extent in another one.
        shape_narrow: that of a turn about z where the footprint ends in something narrow, a handle: times the width of
            that in the length of the footprint.
    """

    outline_noise: float = parameter(0.2, minimum=0.01, maximum=20.0)
    outline_bias: float = parameter(0.02, minimum=0.0, maximum=20.0)
    depth_bias: float = parameter(0.03, minimum=0.0, maximum=10.0)
    position_floor: float = parameter(5e-5, minimum=1e-6, maximum=1.0)
    rotation_floor: float = parameter(2e-4, minimum=1e-6, maximum=1.0)
    shape_position: float = parameter(0.3, minimum=0.0, maximum=10.0)
    shape_yaw: float = parameter(0.16, minimum=0.0, maximum=10.0)
    shape_tilt: float = parameter(0.025, minimum=0.0, maximum=10.0)
    shape_narrow: float = parameter(1.1, minimum=0.0, maximum=10.0)


@dataclass(frozen=True, eq=False)
class Rows:
    """Linearised measurements at a pose; everything in the optical frame.

    Attributes:
        at: (N, 3) metres; where each of them looks at the object, in the optical frame of its view.
        jacobian: (N, 7): translation, rotation about the object's origin times `lever`, log-scale times `lever`.
        residual: (N,) metres that the object should move there.
        weight: (N,) robust weights, 0 to 1.
    """

    at: Array
    jacobian: Array
    residual: Array
    weight: Array


def joined(*parts: Rows) -> Rows:
    """Rows of several kinds, one after another."""
    return Rows(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Rows)))


def pose_covariance(
    depth: Sequence[Rows],
    outline: Sequence[Rows],
    *,
    noise: float,
    pixel: float,
    diameter: float,
    lever: float,
    metric: bool,
    config: CovarianceConfig,
) -> Array:
    """(6, 6) covariance in the optical frame, x y z rotX rotY rotZ, metres and radians about the object's origin.

    Args:
        depth: the measured points against the surface, of each view.
        outline: the border of the mask against that of the projected mesh, of each view.
        noise: standard deviation of a measured point, metres.
        pixel: metres that a pixel spans at the object.
        diameter: of the object, metres.
        lever: what rotations and log-scale are multiplied by, metres.
        metric: whether the scale is known; otherwise it is marginalised.
        config: parameters.
    """
    free = 6 if metric else 7
    information, gradient = np.zeros((free, free)), np.zeros(free)
    leasts = ((depth, _LEAST_NOISE * noise), (outline, config.outline_noise * pixel))
    for rows, least in ((rows, least) for views, least in leasts for rows in views):
        used = rows.weight > 0.0
        if not used.any():
            continue
        jacobian, residual, weight = rows.jacobian[used, :free], rows.residual[used], rows.weight[used]
        variance = max(least, _spread(residual, weight)) ** 2
        variance *= design_effect(residual, weight, _blocks(rows.at[used]), variance)
        weighted = jacobian * weight[:, None]
        information += weighted.T @ jacobian / variance
        gradient += weighted.T @ residual / variance
    units = np.array([1.0, 1.0, 1.0, lever, lever, lever, lever])[:free]
    prior = np.array([diameter] * 3 + [FREE_ROTATION] * 3 + [_FREE_SCALE])[:free] ** -2.0
    information = information * np.outer(units, units) + np.diag(prior)
    known = np.linalg.inv(information)
    left = (known @ (gradient * units))[:6]
    covariance = known[:6, :6] + np.outer(left, left) + _shared(noise, pixel, config)
    return np.asarray((covariance + covariance.T) / 2.0)


def with_shape_covariance(estimate: ObjectEstimate, config: CovarianceConfig) -> ObjectEstimate:
    """The same estimate, its pose no surer than its shape: for a covariance that does not know of it yet."""
    return replace(estimate, covariance=estimate.covariance + shape_covariance(estimate, config))


def shape_covariance(estimate: ObjectEstimate, config: CovarianceConfig) -> Array:
    """(6, 6) what is unsure of a pose because the ends of the object are: its origin and axes follow from them.

    Zero where nobody tells how sure they are.
    """
    sigma, size = np.nan_to_num(np.array(estimate.verdict.size_sigma)), estimate.size
    if not sigma.any():
        return np.zeros((6, 6))
    turn = np.zeros(3)
    for axis, (b, c) in enumerate(((1, 2), (2, 0), (0, 1))):
        share = config.shape_yaw if axis == _UP else config.shape_tilt
        turn[axis] = share * np.sqrt(((sigma[b] / size[c]) ** 2 + (sigma[c] / size[b]) ** 2) / 2.0)
    turn[_UP] = np.hypot(turn[_UP], config.shape_narrow * _narrow_end(estimate))
    # Objects that nearly are sheets would spin freely by this.
    turn = np.minimum(turn, FREE_ROTATION)
    axes = estimate.camera_from_object.rotation
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = axes @ np.diag((config.shape_position * sigma) ** 2) @ axes.T
    covariance[3:, 3:] = axes @ np.diag(turn**2) @ axes.T
    return covariance


def _narrow_end(estimate: ObjectEstimate) -> float:
    """Width of the narrower end of a footprint as a share of its length; 0 where the ends are not narrow.

    Where a handle is, there the box around an object points to; but only one side of it was seen.
    """
    vertices, size = estimate.mesh.vertices * estimate.camera_from_object.scale, estimate.size
    along = int(np.argmax(size[:2]))
    gap = np.abs(vertices[:, along, None] - [vertices[:, along].min(), vertices[:, along].max()])
    widths = [np.ptp(vertices[at_end, 1 - along]) for at_end in (gap <= _END_SHARE * size[along]).T]
    narrower = float(min(widths))
    return narrower / float(size[along]) if narrower < _NARROW * size[1 - along] else 0.0


def free_covariance(directions: Array) -> Array:
    """(6, 6) what is added because an object looks alike in all poses along (K, 6) directions, one radian each."""
    return np.asarray(FREE_ROTATION**2 * directions.T @ directions)


def design_effect(residual: Array, weight: Array, block: NDArray[np.intp], variance: float) -> float:
    """How many measurements count as one, at least one.

    Of independent residuals the mean over a block of n has the variance sigma^2 / n. What it has more, times n, is the
    number of them that err together.

    Args:
        residual: (N,) of any unit.
        weight: (N,) positive.
        block: (N,) which block each belongs to.
        variance: of a residual.
    """
    total = np.bincount(block, weight * residual)
    count = np.bincount(block, weight)
    total, count = total[count > 0], count[count > 0]
    return max(1.0, float((total**2).sum() / (variance * count.sum())))


def _spread(residual: Array, weight: Array) -> float:
    """Standard deviation of residuals, whose outliers weigh little but do not lessen it."""
    typical = SIGMA_OF_MAD * float(np.median(np.abs(residual)))
    return max(typical, float(np.sqrt(np.average(residual**2, weights=weight))))


def _blocks(at: Array) -> NDArray[np.intp]:
    """(N,) the block of the image that each of (N, 3) points lies in."""
    seen = at[:, :2] / at[:, 2:3]
    low = seen.min(axis=0)
    cell = (seen - low) / np.maximum(np.ptp(seen, axis=0), 1e-12) * _BLOCKS
    column, row = np.minimum(cell.astype(np.intp), _BLOCKS - 1).T
    return np.asarray(row * _BLOCKS + column)


def _shared(noise: float, pixel: float, config: CovarianceConfig) -> Array:
    """(6, 6) what all measurements of an object have wrong together."""
    aside = (config.outline_bias * pixel) ** 2 + config.position_floor**2
    along = (config.depth_bias * noise) ** 2 + config.position_floor**2
    return np.diag([aside, aside, along, *[config.rotation_floor**2] * 3])
