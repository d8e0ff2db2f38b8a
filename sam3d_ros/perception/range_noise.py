"""How much a range sensor errs: models of kinds of sensors, and an estimate from what one measures."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

#: Pixels between the three places that a second difference is taken of: farther apart than errors of neighbours agree.
_LAG = 5
#: Of the image, every which row is looked at.
_ROW_STEP = 4
#: The middle share of the differences, beyond which edges lie; and the variance of that part of a standard normal
#: distribution: 1 - 2 q phi(q) / share at q = 0.6745, the quantile of 75 %.
_MIDDLE, _VARIANCE_OF_MIDDLE = 0.5, 0.14257
#: A difference a - 2 b + c of independent errors has six times their variance.
_VARIANCE_OF_DIFFERENCE = 6.0
#: Depths are grouped into so many, each of at least so many differences; fewer say nothing.
_GROUPS, _LEAST_DIFFERENCES = 8, 400
#: Nanoseconds between two looks at a camera's noise, and how many of them are remembered.
_INTERVAL, _REMEMBERED = 1_000_000_000, 15


@dataclass(frozen=True)
class RangeNoise:
    """The standard deviation of one measured point along its ray: `floor + growth * depth**2`.

    Attributes:
        floor: metres.
        growth: 1 / metre; with triangulation errors grow with the square of the distance.
    """

    floor: float
    growth: float = 0.0

    def at(self, depth: float) -> float:
        """Standard deviation in metres at a depth in metres."""
        return self.floor + self.growth * depth**2


class RangeSensor(Enum):
    """Kinds of depth cameras whose errors are known."""

    STRUCTURED_LIGHT = "structured_light"
    STEREO = "stereo"
    TIME_OF_FLIGHT = "time_of_flight"


#: Structured light: Khoshelham and Elberink 2012, for the first Kinect. Stereo: 0.08 pixels of disparity, with eyes
#: 50 mm apart and a focal length of 640 pixels. Time of flight: the repeatability of usual cameras up to 3 m.
DEPTH_NOISE: Mapping[RangeSensor, RangeNoise] = MappingProxyType(
    {
        RangeSensor.STRUCTURED_LIGHT: RangeNoise(0.001, 0.001425),
        RangeSensor.STEREO: RangeNoise(0.001, 0.0025),
        RangeSensor.TIME_OF_FLIGHT: RangeNoise(0.002, 0.0005),
    }
)
#: At any distance: the repeatability of usual scanners (their accuracy is 2 to 3 cm).
LIDAR_NOISE = RangeNoise(0.01)


def estimated_noise(depth: NDArray[np.floating]) -> RangeNoise | None:
    """What a depth image says of its own noise; None where it says too little.

    On a plane the inverse depth is linear in the image: what is left of its second differences is noise. The edges of
    things are beyond the middle of their distribution, which alone is looked at. Errors that neighbours share over more
    than a few pixels are not seen.

    Args:
        depth: (H, W) metres, NaN or at most 0 = unknown.
    """
    rows = depth[::_ROW_STEP].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(rows > 0.0, 1.0 / rows, np.nan)
    middle = inverse[:, _LAG:-_LAG]
    bend = inverse[:, : -2 * _LAG] - 2.0 * middle + inverse[:, 2 * _LAG :]
    # The row before tells how far away it is: grouped by their own errors, differences would be large and small.
    beside, bend = middle[:-1], bend[1:]
    known = np.isfinite(bend) & np.isfinite(beside)
    if np.count_nonzero(known) < _LEAST_DIFFERENCES:
        return None
    # Errors of the depth itself: d(1/z) = dz / z^2.
    distance = 1.0 / beside[known]
    bend = bend[known] * distance**2
    order = np.argsort(distance)
    groups = np.array_split(order, min(_GROUPS, len(order) // _LEAST_DIFFERENCES))
    distances = np.array([np.median(distance[group]) for group in groups])
    return _fitted(distances, np.array([_sigma(bend[group]) for group in groups]))


class NoiseWatch:
    """Follows the noise of a depth camera over its images, one a second: scenes tell more and less of it."""

    def __init__(self) -> None:
        self._seen: deque[RangeNoise] = deque(maxlen=_REMEMBERED)
        self._looked = -_INTERVAL

    @property
    def noise(self) -> RangeNoise:
        """The median of what the last images told; as of structured light before one did."""
        if not self._seen:
            return DEPTH_NOISE[RangeSensor.STRUCTURED_LIGHT]
        return RangeNoise(
            float(np.median([noise.floor for noise in self._seen])),
            float(np.median([noise.growth for noise in self._seen])),
        )

    def look(self, depth: NDArray[np.floating], stamp: int) -> None:
        """Look at a depth image as `estimated_noise` does, of a time in nanoseconds, unless it just looked at one."""
        if abs(stamp - self._looked) < _INTERVAL:
            return
        self._looked = stamp
        if (found := estimated_noise(depth)) is not None:
            self._seen.append(found)


def _sigma(bend: NDArray[np.float64]) -> float:
    """Standard deviation of a single error from second differences that hold outliers."""
    size = np.sort(np.abs(bend))[: int(_MIDDLE * len(bend))]
    return float(np.sqrt(np.mean(size**2) / _VARIANCE_OF_MIDDLE / _VARIANCE_OF_DIFFERENCE))


def _fitted(distance: NDArray[np.float64], sigma: NDArray[np.float64]) -> RangeNoise:
    """The model nearest to standard deviations at some distances, with no negative part."""
    columns = np.column_stack([np.ones(len(distance)), distance**2])
    if len(distance) > 1:
        (floor, growth), *_ = np.linalg.lstsq(
            columns / sigma[:, None].clip(1e-9), np.ones(len(sigma)), rcond=None
        )
        if floor >= 0.0 and growth >= 0.0:
            return RangeNoise(float(floor), float(growth))
    # Of the two parts one explains more than all: the other one is nothing.
    flat, steep = float(np.mean(sigma)), float(np.mean(sigma / distance**2))
    misfit = (
        np.abs(np.log(flat / sigma.clip(1e-9))).sum(),
        np.abs(np.log(steep * distance**2 / sigma.clip(1e-9))).sum(),
    )
    return RangeNoise(flat) if misfit[0] <= misfit[1] else RangeNoise(0.0, steep)
