"""Whether one mask lies on two things: semantic segmenters give one label to all cups of a table.

Parts of a mask with something before the space between them may be one object. Where the view sees past that space,
or the parts lie farther apart in depth than they are wide, they are not.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.measurement import Measurement

#: The mask is looked at with about so many pixels along its longer side.
_PIXELS = 240
#: Parts below this share of a mask, or of so few pixels, are crumbs of the segmenter.
_CRUMB_SHARE, _CRUMB_PIXELS = 0.05, 20
#: So many of the shortest ways between two parts are looked at, each at so many places.
_WAYS, _PLACES = 150, 16
#: Of the measured places on the ways, of which there are some at least, those that are seen past where two things are
#: seen. Beside edges sensors measure little.
_PAST_SHARE, _LEAST_PLACES = 0.5, 10
#: A place is before what is beside it when it is nearer by so many standard deviations of the sensor, and by this share
#: of the distance.
_NOISES, _DEPTH_SHARE = 4.0, 0.02
#: Share of the points on each side of a gap in depth, at least; and the gap in widths of the nearer side.
_SIDE_SHARE, _WIDTHS = 0.1, 1.5


def is_disjoint(evidence: Evidence, measurement: Measurement) -> bool:
    """Whether a mask lies on several things.

    Args:
        evidence: the view.
        measurement: a sample of what is measured in the mask.
    """
    return _has_depth_gap(measurement.points) or _has_parts(evidence, measurement.noise)


def _has_depth_gap(points: NDArray[np.float64]) -> bool:
    """Whether nothing is measured over more depth than the nearer of two groups of points is wide."""
    if len(points) < _CRUMB_PIXELS:
        return False
    ordered = points[np.argsort(points[:, 2])]
    side = max(1, int(_SIDE_SHARE * len(ordered)))
    gaps = np.diff(ordered[:, 2])[side - 1 : len(ordered) - side]
    at = int(np.argmax(gaps))
    nearer = ordered[: at + side, :2]
    return bool(gaps[at] > _WIDTHS * np.linalg.norm(np.ptp(nearer, axis=0)))


def _has_parts(evidence: Evidence, noise: float) -> bool:
    """Whether the mask has parts with a space between them that is seen past."""
    box = evidence.box.slices_in(evidence.window)
    step = max(1, evidence.box.longest // _PIXELS)
    cells = (slice(box[0].start, box[0].stop, step), slice(box[1].start, box[1].stop, step))
    mask, things, depth = evidence.mask[cells], evidence.things[cells], evidence.depth[cells]
    count, parts, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    area = figures[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    least = max(_CRUMB_PIXELS, _CRUMB_SHARE * float(area.sum()))
    large = [part for part in range(1, count) if area[part] >= least]
    if len(large) < 2:
        return False
    # Around each part, of all the others the nearest one: what is one object hangs together by hidden spaces.
    return any(_is_apart(parts, part, large, things, depth, noise) for part in large)


def _is_apart(
    parts: NDArray[np.int32],
    part: int,
    large: list[int],
    things: NDArray[np.uint16],
    depth: NDArray[np.float32],
    noise: float,
) -> bool:
    """Whether the view sees past the shortest ways from one part of a mask to the others."""
    others = np.isin(parts, [other for other in large if other != part])
    # Ids of the labels follow the row-major order of the zero pixels.
    distance, nearest = cv2.distanceTransformWithLabels(
        (~others).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    own = np.argwhere(parts == part)
    far = distance[own[:, 0], own[:, 1]]
    start = own[np.argsort(far, kind="stable")[:_WAYS]]
    end = np.argwhere(others)[nearest[start[:, 0], start[:, 1]] - 1]
    share = np.linspace(0.0, 1.0, _PLACES + 2)[None, 1:-1, None]
    way = np.rint(start[:, None] + share * (end - start)[:, None]).astype(np.intp)
    row, column = way[..., 0].ravel(), way[..., 1].ravel()
    between = (parts[row, column] == 0) & np.isfinite(depth[row, column])
    if np.count_nonzero(between) < _LEAST_PLACES:
        return False
    place, label = depth[row, column], things[row, column]
    beside = np.fmin(_depth_at(depth, parts > 0, start), _depth_at(depth, parts > 0, end)).repeat(_PLACES)
    allowed = _NOISES * (0.0 if np.isnan(noise) else noise) + _DEPTH_SHARE * beside
    # Comparing NaN is false: beside what is not measured nothing is seen past.
    with np.errstate(invalid="ignore"):
        past = np.where(label == 0, place > beside - allowed, place > beside + allowed)
    return bool(past[between].mean() > _PAST_SHARE)


def _depth_at(
    depth: NDArray[np.float32], mask: NDArray[np.bool_], pixels: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(N,) depth of a mask at (N, 2) of its pixels: the farthest around, for its edges mix it with what is before."""
    own = np.where(mask & np.isfinite(depth), depth, np.float32(-1.0)).astype(np.float32)
    around = cv2.dilate(own, np.ones((5, 5), np.uint8))[pixels[:, 0], pixels[:, 1]]
    return np.where(around > 0.0, around, np.float32(np.nan))
