"""What a frame measures of one instance, as refinement and verdict need it: few points, well spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.frame import Frame, PointsSource

Array = NDArray[np.float64]

#: Structured light: sigma = 1.425e-3 z^2 metres (Khoshelham and Elberink 2012), here with a floor of 1 mm.
_DEPTH_NOISE_FLOOR = 0.001
_DEPTH_NOISE_GROWTH = 0.001425
#: Range noise of a spinning LiDAR, metres, at any distance (data sheets state 2 to 3 cm).
_LIDAR_NOISE = 0.02

#: The rim around a mask, as a share of the longer side of its box, and its least width in pixels.
_RIM_SHARE = 0.15
_RIM_PIXELS = 4
#: Width of the inner part of the rim, pixels.
_NEAR_RIM_PIXELS = 4.0
#: Masks with more measured pixels than this lose their outermost ones, where depth mixes two surfaces.
_ERODE_FROM = 400


def sensor_noise(source: PointsSource, depth: float) -> float:
    """Standard deviation of one measured point along its ray, metres, at a depth in metres."""
    if source is PointsSource.LIDAR:
        return _LIDAR_NOISE
    return _DEPTH_NOISE_FLOOR + _DEPTH_NOISE_GROWTH * depth**2


@dataclass(frozen=True, eq=False)
class Window:
    """The part of the image around an instance: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def including(self, pixels: NDArray[np.floating], shape: tuple[int, int]) -> Window:
        """The window widened to hold (N, 2) pixels u, v as far as they lie in an image of (height, width)."""
        known = pixels[np.isfinite(pixels[:, 0])]
        if len(known) == 0:
            return self
        (left, top), (right, bottom) = known.min(axis=0), known.max(axis=0)
        return Window(
            int(np.clip(np.floor(top), 0, self.top)),
            int(np.clip(np.ceil(bottom) + 1, self.bottom, shape[0])),
            int(np.clip(np.floor(left), 0, self.left)),
            int(np.clip(np.ceil(right) + 1, self.right, shape[1])),
        )

    def touches_border(self, mask: NDArray[np.bool_], shape: tuple[int, int]) -> bool:
        """Whether a mask, given inside this window, reaches the border of an image of (height, width)."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return False
        return bool(
            self.top + rows[0] == 0
            or self.left + columns[0] == 0
            or self.top + rows[-1] == shape[0] - 1
            or self.left + columns[-1] == shape[1] - 1
        )


def window_of(mask: NDArray[np.bool_]) -> Window:
    """The box of a mask with a margin for its rim.

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        raise ValueError(
            "the instance has no pixel in this frame: ask only for ids of `Frame.instance_ids()`"
        )
    longest = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    margin = max(_RIM_PIXELS, int(np.ceil(_RIM_SHARE * longest)))
    return Window(
        max(0, int(rows[0]) - margin),
        min(mask.shape[0], int(rows[-1]) + 1 + margin),
        max(0, int(columns[0]) - margin),
        min(mask.shape[1], int(columns[-1]) + 1 + margin),
    )


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
    near, far = np.percentile(own, (5.0, 95.0))
    with np.errstate(invalid="ignore"):
        behind, before = depth > far, depth < near
    return np.asarray(~mask & np.where(labels != 0, ~behind, before))


@dataclass(frozen=True, eq=False)
class Measurement:
    """A sample of what is measured of one instance; everything in the optical frame.

    Attributes:
        points: (N, 3) metres, on the instance.
        seam: (K, 3) metres, on the outermost pixels of the mask, with the depth of the nearest of the points: good
            to tell whether the object reaches its outline, not how far away it is.
        rim: (M, 3) directions (z = 1) of pixels around the mask, where the object is surely not seen.
        rim_inward: (M, 3) for each of them the direction of the nearest pixel of the mask.
        noise: standard deviation of a point along its ray, metres; NaN without points.
        count: measured pixels on the instance, of which `points` are a sample.
    """

    points: Array
    seam: Array
    rim: Array
    rim_inward: Array
    noise: float
    count: int


def measure(frame: Frame, instance_id: int, *, max_points: int) -> Measurement:
    """Sample an instance's measured points, and the pixels around it that it does not cover.

    Args:
        frame: the measurement.
        instance_id: value of its pixels in `frame.labels`.
        max_points: about how many points and rim pixels at most.

    Raises:
        ValueError: the instance has no pixel.
    """
    whole = frame.mask(instance_id)
    rows, columns = window_of(whole).slices
    mask, labels, points = whole[rows, columns], frame.labels[rows, columns], frame.points[rows, columns]
    measured = mask & np.isfinite(points[..., 2])
    inner = measured & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0)
    chosen = inner if inner.sum() >= _ERODE_FROM else measured
    sample = _spread(points[chosen], max_points).astype(np.float64)
    depth = float(np.median(sample[:, 2])) if len(sample) else np.nan
    hiding = hiding_pixels(mask, labels, points[..., 2])
    rim, inward = _rim(mask, hiding, max_points)
    rays = frame.camera.rays()[rows, columns].astype(np.float64)
    seam = _seam(mask, chosen, hiding, points[..., 2], rays, max_points // 2)
    noise = sensor_noise(frame.points_source, depth) if len(sample) else np.nan
    known = np.isfinite(rays[rim][:, 0]) & np.isfinite(rays[inward][:, 0])
    return Measurement(sample, seam, rays[rim][known], rays[inward][known], noise, int(chosen.sum()))


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
    rays: Array,
    count: int,
) -> Array:
    """Points on the outermost pixels of a mask, but for those next to what hides the rest of the object."""
    if not measured.any():
        return np.zeros((0, 3))
    kernel = np.ones((3, 3), np.uint8)
    outermost = mask & (cv2.erode(mask.astype(np.uint8), kernel, borderValue=1) == 0)
    outermost &= cv2.dilate(hiding.astype(np.uint8), kernel) == 0
    at = _spread(np.argwhere(outermost), count)
    _, nearest = cv2.distanceTransformWithLabels(
        (~measured).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    borrowed = depth[measured].astype(np.float64)[nearest[at[:, 0], at[:, 1]] - 1]
    points = rays[at[:, 0], at[:, 1]] * borrowed[:, None]
    return np.asarray(points[np.isfinite(points[:, 0])])


def _rim(
    mask: NDArray[np.bool_], hiding: NDArray[np.bool_], count: int
) -> tuple[tuple[NDArray[np.intp], ...], tuple[NDArray[np.intp], ...]]:
    """Indices of free pixels around the mask, and of the mask's pixel nearest to each."""
    distance, nearest = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Ids of the labels follow the row-major order of the zero pixels, which are the mask's.
    inside = np.argwhere(mask)
    free_pixels = ~hiding & ~mask
    # Half of the sample lies close to the mask, which settles a pose; the other half catches what is far off.
    near, far = free_pixels & (distance <= _NEAR_RIM_PIXELS), free_pixels & (distance > _NEAR_RIM_PIXELS)
    free = np.concatenate([_spread(np.argwhere(part), count // 2) for part in (near, far)])
    toward = inside[nearest[free[:, 0], free[:, 1]] - 1]
    return (free[:, 0], free[:, 1]), (toward[:, 0], toward[:, 1])
