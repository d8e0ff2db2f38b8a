"""What a frame measures of one instance, as refinement and verdict need it: few points, well spread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.range_noise import RangeNoise
from sam3d_ros.perception.window import Window

Array = NDArray[np.float64]

#: The rim around a mask, as a share of the longer side of its box, and its least width in pixels.
_RIM_SHARE = 0.15
_RIM_PIXELS = 4
#: An outline is looked at with about so many pixels along the longer side of its window, where it has them.
_OUTLINE_PIXELS = 100
#: Points that tell the range of depth of an instance.
_RANGE_POINTS = 1000
#: Blur that the direction of an outline is found with, pixels.
_SOFT_OUTLINE = 2.0
#: Width of the inner part of the rim, pixels.
_NEAR_RIM_PIXELS = 4.0
#: Steepest surface that a depth step between neighbouring pixels is taken for: tan(84 degrees).
_STEEPEST = 10.0
#: Stands in for unknown depth, metres.
_NO_DEPTH = 1e6
#: Masks with more measured pixels than this lose their outermost ones, where depth mixes two surfaces.
_ERODE_FROM = 400
#: A pixel and its eight neighbours.
_KERNEL = np.ones((3, 3), np.uint8)


def hiding_pixels(
    mask: NDArray[np.bool_], labels: NDArray[np.uint16], depth: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Pixels outside a mask where something may stand before the object, so that its absence proves nothing.

    Another instance hides the object unless it is measured behind all of it; the unlabelled background hides it
    only where it is measured before all of it.

    Args:
        mask: (H, W) the object's pixels.
        labels: (H, W) instances.
        depth: (H, W) metres, NaN = unknown.
    """
    own = depth[mask]
    own = own[np.isfinite(own)]
    if own.size == 0:
        return np.asarray(~mask & (labels != 0))
    own = np.sort(_spread(own, _RANGE_POINTS))
    near, far = own[len(own) // 20], own[-1 - len(own) // 20]
    with np.errstate(invalid="ignore"):
        behind, before = depth > far, depth < near
    return np.asarray(~mask & np.where(labels != 0, ~behind, before))


def on_depth_edge(depth: NDArray[np.floating], pixel: float, noise: float) -> NDArray[np.bool_]:
    """(H, W) pixels beside a depth step that no surface is steep enough for: flying pixels lie there.

    Args:
        depth: (H, W) metres, NaN = unknown.
        pixel: metres that a pixel spans at the surface.
        noise: standard deviation of a depth, metres.
    """
    known = np.isfinite(depth)
    far = cv2.dilate(np.where(known, depth, np.float32(-_NO_DEPTH)), _KERNEL)
    near = cv2.erode(np.where(known, depth, np.float32(_NO_DEPTH)), _KERNEL)
    return np.asarray(far - near > 2.0 * _STEEPEST * pixel + 4.0 * noise)


@dataclass(frozen=True, eq=False)
class Outline:
    """The border of an instance; everything in the optical frame.

    Attributes:
        seam: (K, 3) metres, on the outermost pixels of the mask, with the depth of the nearest measured point: good to
            tell whether the object reaches its outline, not how far away it is.
        outward: (K, 2) unit vectors x y in the image, from there out of the mask.
        spacing: directions (z = 1) from one pixel that was looked at to the next: the outline is known to half of it.
        rim: (M, 3) directions (z = 1) of pixels around the mask, where the object is surely not seen.
        rim_inward: (M, 3) for each of them the direction of the nearest pixel of the mask.
    """

    seam: Array
    outward: Array
    spacing: float
    rim: Array
    rim_inward: Array


@dataclass(frozen=True, eq=False)
class Measurement:
    """A sample of what is measured of one instance; everything in the optical frame.

    Attributes:
        points: (N, 3) metres, on the instance.
        noise: standard deviation of a point along its ray, metres; NaN without points.
        count: measured pixels on the instance, of which `points` are a sample.
        window: the part of the image that was looked at: the box of the instance, and its rim.
    """

    points: Array
    noise: float
    count: int
    window: Window
    _cutout: _Cutout

    @cached_property
    def outline(self) -> Outline:
        """The border of the instance; found at the first question, for an object at rest is never asked."""
        cutout = self._cutout
        hiding = hiding_pixels(cutout.mask, cutout.labels, cutout.depth)
        rim, inward = _rim(cutout.mask, hiding, cutout.rays, cutout.count)
        seam, outward = _seam(
            cutout.mask, cutout.measured, hiding, cutout.depth, cutout.rays, cutout.count // 2
        )
        return Outline(seam, outward, cutout.spacing, rim, inward)


@dataclass(frozen=True, eq=False)
class _Cutout:
    """The pixels of a window that the outline is found in, and about how many of each kind to take."""

    mask: NDArray[np.bool_]
    measured: NDArray[np.bool_]
    labels: NDArray[np.uint16]
    depth: NDArray[np.float32]
    rays: NDArray[np.float32]
    spacing: float
    count: int


def measured(
    *,
    mask: NDArray[np.bool_],
    labels: NDArray[np.uint16],
    point_map: PointMap,
    rays: NDArray[np.float32],
    box: Window,
    window: Window,
    source: PointsSource,
    range_noise: RangeNoise,
    focal: float,
    count: int,
) -> Measurement:
    """Sample an instance's measured points, and the pixels around it that it does not cover.

    Args:
        mask: (h, w) pixels of the instance in the window.
        labels: (h, w) instances.
        point_map: what is measured of them.
        rays: (h, w, 3) directions with z = 1.
        box: around the mask, in the image.
        window: the part of the image that the arrays show.
        source: the sensor.
        range_noise: how much it errs.
        focal: pixels.
        count: about how many points and rim pixels at most.
    """
    margin = max(_RIM_PIXELS, int(np.ceil(_RIM_SHARE * box.longest)))
    looked_at = Window(box.top - margin, box.bottom + margin, box.left - margin, box.right + margin).within(
        window
    )
    cells = looked_at.slices_in(window)
    mask, labels, point_map, rays = mask[cells], labels[cells], point_map.cropped(*cells), rays[cells]
    # A plane of its own: the filters below pass over it several times.
    depth = np.ascontiguousarray(point_map.depth)
    chosen = _trusted(mask, depth, source, range_noise, focal)
    at = np.flatnonzero(chosen)
    sample = point_map.at(np.divmod(_spread(at, count), chosen.shape[1])).astype(np.float64)
    noise = range_noise.at(float(np.median(sample[:, 2]))) if len(sample) else np.nan
    # The outline is looked at more coarsely where it is large; sparse points would be lost.
    step = max(1, looked_at.longest // _OUTLINE_PIXELS) if len(at) > 0.25 * np.count_nonzero(mask) else 1
    coarse = (slice(None, None, step), slice(None, None, step))
    cutout = _Cutout(
        mask=mask[coarse],
        measured=chosen[coarse],
        labels=labels[coarse],
        depth=depth[coarse],
        rays=rays[coarse],
        spacing=step / focal,
        count=count,
    )
    return Measurement(points=sample, noise=noise, count=len(at), window=looked_at, _cutout=cutout)


def _trusted(
    mask: NDArray[np.bool_],
    depth: NDArray[np.float32],
    source: PointsSource,
    range_noise: RangeNoise,
    focal: float,
) -> NDArray[np.bool_]:
    """The measured pixels of a mask without its rim and depth edges, where depth mixes two surfaces."""
    # Comparing NaN is false.
    found = mask & (depth > 0) & (depth < np.inf)
    inner = found & (cv2.erode(mask.view(np.uint8), _KERNEL, iterations=2) > 0)
    chosen = inner if np.count_nonzero(inner) >= _ERODE_FROM else found
    if source is PointsSource.DEPTH and chosen.any():
        middle = float(np.median(_spread(depth[chosen], _RANGE_POINTS)))
        smooth = chosen & ~on_depth_edge(depth, middle / focal, range_noise.at(middle))
        chosen = smooth if np.count_nonzero(smooth) > 0.5 * np.count_nonzero(chosen) else chosen
    return chosen


def _spread(items: NDArray[Any], count: int) -> NDArray[Any]:
    """At most `count` of the items, evenly over their order."""
    if len(items) <= count:
        return items
    return items[np.linspace(0, len(items) - 1, count).astype(int)]


def _seam(
    mask: NDArray[np.bool_],
    measured: NDArray[np.bool_],
    hiding: NDArray[np.bool_],
    depth: NDArray[np.floating],
    rays: NDArray[np.float32],
    count: int,
) -> tuple[Array, Array]:
    """Points on the outermost pixels of a mask, and outward; but for those beside what hides the rest of the object."""
    if not measured.any():
        return np.zeros((0, 3)), np.zeros((0, 2))
    outermost = mask & (cv2.erode(mask.astype(np.uint8), _KERNEL, borderValue=1) == 0)
    outermost &= cv2.dilate(hiding.astype(np.uint8), _KERNEL) == 0
    at = _spread(np.argwhere(outermost), count)
    _, nearest = cv2.distanceTransformWithLabels(
        (~measured).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    borrowed = depth[measured].astype(np.float64)[nearest[at[:, 0], at[:, 1]] - 1]
    points = rays[at[:, 0], at[:, 1]].astype(np.float64) * borrowed[:, None]
    # A mask has corners everywhere; blurred, it has a direction.
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _SOFT_OUTLINE, borderType=cv2.BORDER_REPLICATE)
    outward = -np.stack(
        [cv2.Sobel(soft, cv2.CV_32F, *d)[at[:, 0], at[:, 1]] for d in ((1, 0), (0, 1))], axis=1
    )
    length = np.linalg.norm(outward, axis=1)
    known = np.isfinite(points[:, 0]) & (length > 0.0)
    return points[known], outward[known].astype(np.float64) / length[known, None]


def _rim(
    mask: NDArray[np.bool_], hiding: NDArray[np.bool_], rays: NDArray[np.float32], count: int
) -> tuple[Array, Array]:
    """Directions of free pixels around the mask, and of the mask's pixel nearest to each."""
    distance, nearest = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    free = ~hiding & ~mask & np.isfinite(rays[..., 0])
    # Half of the sample lies close to the mask, which settles a pose; the other half catches what is far off.
    close = distance <= _NEAR_RIM_PIXELS
    at = np.concatenate([_spread(np.flatnonzero(free & part), count // 2) for part in (close, ~close)])
    # Ids of the labels follow the row-major order of the zero pixels, which are the mask's.
    inward = np.flatnonzero(mask)[nearest.ravel()[at] - 1]
    flat = rays.reshape(-1, 3).astype(np.float64)
    known = np.isfinite(flat[inward, 0])
    return flat[at[known]], flat[inward[known]]
