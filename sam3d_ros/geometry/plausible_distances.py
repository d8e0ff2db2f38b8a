"""Tells depth and points in millimetres from those in metres: by distances that no sensor measures.

A scene a thousand times too large looks the same in the image: objects would come out a thousand times too large, and
fit it perfectly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Of what is measured, so much must lie outside of what is plausible.
_NEARLY_ALL = 0.95
#: Nearer than this measures no depth camera, metres; whole metres in an image of millimetres do.
_NEAREST = 0.01
#: Farther than this is not most of what a LiDAR on the ground sees, metres; the longest ranges are about as long.
_FARTHEST_POINTS = 500.0
#: Fewer measurements tell nothing.
_LEAST_MEASURED = 100
#: So many samples along each side of an image, and so many points, tell.
_SAMPLES, _POINTS = 64, 4096


def check_depth_unit(
    samples: NDArray[Any], known: tuple[float, float], per_metre: float, max_depth: float, *, unit: str
) -> None:
    """Refuse a depth image of which nearly all is beyond what is plausible, or nearer than anything is measured.

    Args:
        samples: (H, W) as they come.
        known: least and greatest sample that is a measurement.
        per_metre: samples of a metre.
        max_depth: metres; beyond it is another unit, or nothing of use.
        unit: what the samples are in, for messages.

    Raises:
        ValueError: it is in another unit.
    """
    rows, columns = (max(1, side // _SAMPLES) for side in samples.shape)
    sparse = samples[::rows, ::columns]
    measured = sparse[(sparse >= known[0]) & (sparse <= known[1])].astype(np.float64) / per_metre
    if measured.size < _LEAST_MEASURED:
        return
    # Simulators write the far end of their range where there is nothing.
    nearer = measured[measured < measured.max()]
    measured = nearer if nearer.size >= _LEAST_MEASURED else measured
    median = float(np.median(measured))
    for outside, reason in (
        (measured > max_depth, f"farther than {max_depth:g} m, which is the most that is taken"),
        (measured < _NEAREST, f"nearer than {_NEAREST:g} m"),
    ):
        if outside.mean() >= _NEARLY_ALL:
            raise ValueError(
                f"depth in {unit}: {outside.mean():.0%} of it is {reason}, and half of it farther than {median:.4g} m"
            )


def check_points_unit(points: NDArray[np.floating]) -> None:
    """Refuse (N, 3) points, NaN = unknown, that are farther away than those of a LiDAR on the ground.

    Raises:
        ValueError: they are in another unit.
    """
    sparse = points[:: max(1, len(points) // _POINTS)].astype(np.float64)
    distances = np.linalg.norm(sparse[np.isfinite(sparse).all(axis=1)], axis=1)
    median = float(np.median(distances)) if len(distances) else math.nan
    if median > _FARTHEST_POINTS:
        raise ValueError(
            f"half of the points are farther away than {median:.5g} m: points are in metres, and a LiDAR sees "
            f"{_FARTHEST_POINTS:g} m at most"
        )
