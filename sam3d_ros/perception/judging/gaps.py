"""What a view shows around an object: whether it sees through below it, and whether anything else touches it."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.judging.solids import SolidObject

Array = NDArray[np.float64]

#: Measured points of an object that are looked at; and the share and number of these that tell that it goes on.
_POINTS, _LEAST_SHARE, _LEAST_POINTS = 500, 0.03, 8
#: Standard deviations of the sensor between two depths that differ.
_NOISES = 3.0
#: Of the places in a gap, those that the view sees past.
_OPEN_SHARE = 0.3
#: Pixels beside a mask that are looked at for what touches the object; nearer ones mix it with what is behind.
_INNER, _OUTER = 2, 6
#: Of these pixels: those that are to be measured, or nobody knows what is there; and those that tell of a holder.
_KNOWN_SHARE, _TOUCH_SHARE, _TOUCH_PIXELS = 0.5, 0.005, 6
#: What comes out behind an object may touch it where it is hidden: so near to it, as a share of its size.
_BEHIND = 0.5


def goes_on_below(evidence: Evidence, normal: Array, level: float) -> bool:
    """Whether the instance is measured below a level where its mesh ends.

    Args:
        evidence: the view.
        normal: (3,) up in the optical frame.
        level: metres along it.
    """
    points = evidence.measured(_POINTS).points
    below = np.count_nonzero(points @ normal < level)
    return bool(below >= max(_LEAST_POINTS, _LEAST_SHARE * len(points)))


def is_seen_through(evidence: Evidence, places: Array) -> bool:
    """Whether the view sees past (N, 3) places of its optical frame, which some thing would be at."""
    pixels = evidence.camera.project(places)
    known = np.isfinite(pixels).all(axis=1)
    window = evidence.window
    cells = np.rint(pixels[known]).astype(np.intp) - (window.left, window.top)
    columns, rows = cells[:, 0], cells[:, 1]
    inside = (
        (rows >= 0) & (rows < evidence.depth.shape[0]) & (columns >= 0) & (columns < evidence.depth.shape[1])
    )
    at = (rows[inside], columns[inside])
    depth = places[known][inside, 2]
    noise = evidence.overview.range_noise
    margin = _NOISES * (noise.floor + noise.growth * depth**2)
    with np.errstate(invalid="ignore"):
        past = ~evidence.mask[at] & (evidence.depth[at] > depth + margin)
    return bool(np.count_nonzero(past) > _OPEN_SHARE * len(places))


def may_be_held(
    solid: SolidObject, evidence: Evidence, normal: Array, level: float, apart: Collection[int]
) -> bool:
    """Whether something else than what is below may hold an object: something beside it in the image that is near.

    Where the object meets the border of the image, or where little is measured around it, nobody knows what is there.

    Args:
        solid: the object.
        evidence: the view.
        normal: (3,) up in the optical frame.
        level: metres along it; what is measured below does not count.
        apart: instances that are known not to hold it.
    """
    if evidence.touches_border:
        return True
    ring = _ring(evidence.mask) & ~np.isin(evidence.labels, list(apart))
    around = evidence.point_map.at(ring).astype(np.float64)
    known = np.isfinite(around[:, 2])
    if np.count_nonzero(known) < _KNOWN_SHARE * len(around):
        return True
    above = around[known]
    above = above[above @ normal > level]
    if len(above) == 0:
        return False
    overview = evidence.overview
    placed = above if overview.fixed_from_camera is None else overview.fixed_from_camera.apply(above)
    depth = float(np.median(above[:, 2]))
    reach = max(_BEHIND * solid.size, (_OUTER + 1) * depth / evidence.camera.fx)
    touching = np.count_nonzero(solid.touches(placed, reach))
    return bool(touching > max(_TOUCH_PIXELS, _TOUCH_SHARE * len(around)))


def _ring(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) the pixels from some to some more beside a mask."""
    own = mask.astype(np.uint8)
    inner, outer = (
        cv2.dilate(own, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
        for reach in (_INNER, _OUTER)
    )
    return np.asarray((outer > 0) & (inner == 0))
