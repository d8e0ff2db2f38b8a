"""The points of one instance: cleaned of flying pixels and outliers, and spread over its whole mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.measurement import on_depth_edge
from sam3d_ros.perception.window import Window

Array = NDArray[np.float64]

#: Margin around a mask, as a share of its longer side, where occluders and free space are looked at.
_MARGIN = 0.5
#: Masks are looked at with at least so many pixels along their longer side, where they have them.
_ENOUGH_PIXELS = 75
#: Parts of a mask smaller than this share of the largest one are crumbs of the segmenter.
_CRUMB = 0.02
#: Depth is looked at in steps of this share of the mask's width. A stretch this long with hardly a point in it
#: separates an object from what bled in; a step is empty with less than this share of the points.
_DEPTH_STEP = 0.05
_DEPTH_GAP = 0.3
_SPARSE = 0.004
_DEPTH_BINS = 4096
#: A compact part may lie this share of the mask's width behind or before the rest: a slope was not measured.
_JUMP = 0.8
#: A separated stretch with at least this share of the points still belongs to the object.
_MAIN_SHARE = 0.4
#: Masks measured more thinly than this are interpolated over triangles.
_DENSE = 0.25
_TRIANGULATED_POINTS = 1200
#: Slopes are trusted for so many pixels beyond what is measured; farther away the surface is continued flat.
_CONTINUED_PIXELS = 6
#: Percentile of the distances to the border of the mask that tells how far the outermost measured pixels are from it.
_OUTERMOST = 2.0
#: Pixels around the mask that the filters reach which clean, fill and smooth its surface.
_FILTER_PIXELS = 8


@dataclass(frozen=True, eq=False)
class Segment:
    """One instance in a window of the image.

    Attributes:
        instance_id: value of its pixels in `labels`.
        camera: of the window, perhaps of every second or third of its pixels only.
        goes_on: whether the image goes on beyond the arrays: top, bottom, left, right.
        labels: (h, w) instances, without surroundings.
        points: (h, w, 3) float32 metres as measured, NaN = unknown.
        mask: (h, w) pixels of the instance, without crumbs.
        measured: (h, w) pixels of the mask with a trusted depth.
        depth: (h, w) float32 metres: the trusted depth smoothed, filled all over the mask; NaN beside it.
        rays: (h, w, 3) float32 directions with z = 1.
        normals: (h, w, 3) float32 unit normals of that depth, towards the camera, optical frame; zero beside the mask.
        noise: standard deviation of a measured depth, metres.
    """

    instance_id: int
    camera: Camera
    goes_on: tuple[bool, bool, bool, bool]
    labels: NDArray[np.uint16]
    points: NDArray[np.float32]
    mask: NDArray[np.bool_]
    measured: NDArray[np.bool_]
    depth: NDArray[np.float32]
    rays: NDArray[np.float32]
    normals: NDArray[np.float32]
    noise: float

    @property
    def is_sparse(self) -> bool:
        """Whether most of the mask is not measured."""
        return bool(np.count_nonzero(self.measured) < _DENSE * np.count_nonzero(self.mask))

    @property
    def border(self) -> float:
        """Pixels between the border of the mask and the outermost measured ones."""
        inside = cv2.distanceTransform(self.mask.astype(np.uint8), cv2.DIST_L2, 3)
        return float(np.percentile(inside[self.measured], _OUTERMOST)) - 0.5

    def surface(self, count: int) -> Array:
        """(N, 3) a regular sample of at most `count` points of the surface in the optical frame.

        Measured points; but where these are sparse, pixels of the whole mask with their filled depth, for sparse
        points do not reach the outline.
        """
        index = self._sample(count)
        rays = self.rays.reshape(-1, 3)[index].astype(np.float64)
        return rays * self.depth.ravel()[index, None].astype(np.float64)

    def sampled_normals(self, count: int) -> Array:
        """(N, 3) the normals at `surface(count)`."""
        return self.normals.reshape(-1, 3)[self._sample(count)].astype(np.float64)

    def _sample(self, count: int) -> NDArray[np.intp]:
        index = np.flatnonzero(self.mask if self.is_sparse else self.measured)
        if len(index) > count:
            index = index[np.linspace(0, len(index) - 1, count).astype(int)]
        return index


def segment_instance(evidence: Evidence) -> Segment | None:
    """Clean one instance, seen without lens distortion; None when it has no measured point."""
    window, step = _window(evidence)
    rows, columns = (slice(side.start, side.stop, step) for side in window.slices_in(evidence.window))
    camera = _camera_of(evidence.camera.cropped(*_corner_and_size(window)), step)
    mask = _without_crumbs(evidence.mask[rows, columns])
    points = evidence.point_map.at((rows, columns))
    rays = np.ascontiguousarray(evidence.rays[rows, columns])
    source, image = evidence.overview.points_source, evidence.camera
    # Nothing is to be found on the wide margin around the mask: it is filled in at the end.
    box = _box(mask, _FILTER_PIXELS)
    own, depth = np.ascontiguousarray(mask[box]), np.ascontiguousarray(points[..., 2][box])
    known = own & np.isfinite(depth) & (depth > 0)
    if not known.any():
        return None
    middle = float(np.median(depth[known]))
    noise = evidence.overview.range_noise.at(middle)
    known = _without_bleeding(known, depth, own, camera.fx)
    if source is PointsSource.DEPTH:
        known = _without_flying(known, own, depth, middle / camera.fx, noise, step)
    measured = np.zeros(mask.shape, bool)
    filled = np.full(mask.shape, np.nan, np.float32)
    normals = np.zeros(rays.shape, np.float32)
    measured[box] = known
    filled[box] = _filled(own, known, depth, noise)
    normals[box] = _normals(own, filled[box], rays[box])
    return Segment(
        instance_id=evidence.instance_id,
        camera=camera,
        goes_on=(
            window.top > 0,
            window.bottom < image.height,
            window.left > 0,
            window.right < image.width,
        ),
        labels=evidence.things[rows, columns],
        points=points,
        mask=mask,
        measured=measured,
        depth=filled,
        rays=rays,
        normals=normals,
        noise=noise,
    )


def _window(evidence: Evidence) -> tuple[Window, int]:
    """The part of the image around a mask, and every which of its pixels is enough where many are measured."""
    box = evidence.box
    tight = box.slices_in(evidence.window)
    known = np.isfinite(evidence.depth[tight][evidence.mask[tight]])
    step = max(1, box.longest // _ENOUGH_PIXELS) if known.mean() > _DENSE else 1
    return box.grown(3 + int(_MARGIN * box.longest), evidence.image_shape), step


def _box(mask: NDArray[np.bool_], margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of a mask with a margin, as far as the image goes."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return (
        slice(max(0, top - margin), min(mask.shape[0], top + height + margin)),
        slice(max(0, left - margin), min(mask.shape[1], left + width + margin)),
    )


def _corner_and_size(window: Window) -> tuple[int, int, int, int]:
    return window.left, window.top, window.right - window.left, window.bottom - window.top


def _camera_of(camera: Camera, step: int) -> Camera:
    """The pinhole of every `step`-th pixel, the first one first."""
    return Camera(
        width=len(range(0, camera.width, step)),
        height=len(range(0, camera.height, step)),
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=camera.cx / step,
        cy=camera.cy / step,
    )


def _without_crumbs(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask.copy()
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    return np.asarray((area >= _CRUMB * area.max())[parts])


def _without_bleeding(
    measured: NDArray[np.bool_], depth: NDArray[np.floating], mask: NDArray[np.bool_], focal: float
) -> NDArray[np.bool_]:
    """Keep the stretches of depth where most points are; drop those that (nearly) empty space separates.

    What bled in from behind is thin: it fills a histogram of depth sparsely.
    """
    values = depth[measured]
    width = np.sqrt(mask.sum()) * float(np.median(values)) / focal
    step = _DEPTH_STEP * width
    bins = np.minimum((values - values.min()) / step, _DEPTH_BINS - 1).astype(np.intp)
    count = np.bincount(bins)
    full = np.flatnonzero(count >= max(1.0, _SPARSE * len(values)))
    cuts = np.flatnonzero(np.diff(full) > _DEPTH_GAP / _DEPTH_STEP)
    starts, ends = np.r_[full[0], full[cuts + 1]], np.r_[full[cuts], full[-1]]
    size = np.array([count[a : b + 1].sum() for a, b in zip(starts, ends, strict=True)])
    origin, main = float(values.min()), int(np.argmax(size))
    kept = measured & _between(depth, origin + (starts[main] - 1) * step, origin + (ends[main] + 2) * step)
    for index in (*range(main - 1, -1, -1), *range(main + 1, len(size))):
        part = measured & _between(
            depth, origin + (starts[index] - 1) * step, origin + (ends[index] + 2) * step
        )
        gap = (max(starts[index], starts[main]) - min(ends[index], ends[main])) * _DEPTH_STEP
        if size[index] >= _MAIN_SHARE * size[main] or (gap < _JUMP and _is_compact(part)):
            kept |= part
    return np.asarray(kept)


def _between(depth: NDArray[np.floating], low: float, high: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray((depth >= low) & (depth <= high))


def _is_compact(part: NDArray[np.bool_]) -> bool:
    """Whether most of a part survives thinning: a neck does, what bled in along an outline does not."""
    core = cv2.erode(part.astype(np.uint8), np.ones((5, 5), np.uint8))
    grown = cv2.dilate(core, np.ones((5, 5), np.uint8))
    return bool(np.count_nonzero(grown) > 0.5 * np.count_nonzero(part))


def _without_flying(
    measured: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    depth: NDArray[np.floating],
    pixel: float,
    noise: float,
    step: int,
) -> NDArray[np.bool_]:
    """Drop pixels on depth edges and along the border of the mask, as long as enough are left.

    Args:
        pixel: metres that a pixel spans at the object.
        noise: of a depth, metres.
        step: pixels of the image for one of these.
    """
    kernel = np.ones((3, 3), np.uint8)
    smooth = ~on_depth_edge(depth, pixel, noise)
    half_width = float(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3).max())
    border = 0 if half_width < 4 else 1 if half_width < 15 or step > 1 else 2
    inner = cv2.erode(mask.astype(np.uint8), kernel, iterations=border, borderValue=1) > 0 if border else mask
    for candidate in (measured & smooth & inner, measured & smooth):
        if candidate.sum() >= max(20, 0.3 * measured.sum()):
            return _without_specks(candidate)
    return measured


def _without_specks(measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop measured pixels with few measured neighbours: outliers between holes."""
    neighbours = cv2.boxFilter(
        measured.astype(np.float32), -1, (5, 5), normalize=True, borderType=cv2.BORDER_CONSTANT
    )
    kept = measured & (neighbours > 0.3)
    return kept if kept.sum() >= 0.5 * measured.sum() else measured


def _filled(
    mask: NDArray[np.bool_], measured: NDArray[np.bool_], depth: NDArray[np.floating], noise: float
) -> NDArray[np.float32]:
    """Depth at each pixel of the mask.

    Interpolates the inverse depth, which is linear in the image on a plane. Beyond the measured part it is
    continued from the nearest pixel, with the slope that the surface has there.
    """
    share = measured.sum() / max(1, mask.sum())
    if share < _DENSE:
        inverse = _triangulated(mask, measured, depth)
    else:
        inverse = _continued(measured, depth, noise)
    low, high = 1.0 / float(depth[measured].max()), 1.0 / float(depth[measured].min())
    slack = 0.1 * (high - low)
    inverse = np.clip(inverse, max(low - slack, 0.5 * low), high + slack)
    return np.where(mask, 1.0 / inverse, np.nan).astype(np.float32)


def _triangulated(
    mask: NDArray[np.bool_], measured: NDArray[np.bool_], depth: NDArray[np.floating]
) -> NDArray[np.float32]:
    inverse = _nearest(measured, 1.0 / np.where(measured, depth, 1.0))
    pixels = np.argwhere(measured)
    if len(pixels) > _TRIANGULATED_POINTS:
        pixels = pixels[np.linspace(0, len(pixels) - 1, _TRIANGULATED_POINTS).astype(int)]
    if (
        len(pixels) < 4
        or (np.ptp(pixels, axis=0) == 0).any()
        or np.linalg.matrix_rank(pixels - pixels[0]) < 2
    ):
        return inverse
    linear = LinearNDInterpolator(pixels, inverse[pixels[:, 0], pixels[:, 1]])
    wanted = np.argwhere(mask)
    values = linear(wanted)
    inside = np.isfinite(values)
    inverse[wanted[inside, 0], wanted[inside, 1]] = values[inside]
    return inverse


def _continued(measured: NDArray[np.bool_], depth: NDArray[np.floating], noise: float) -> NDArray[np.float32]:
    nearest = np.flatnonzero(measured)[_nearest_index(measured)]
    near = depth.astype(np.float32).ravel()[nearest]
    inverse = 1.0 / cv2.bilateralFilter(near, 5, 4.0 * noise, 2.0)
    # Slopes are taken inside the measured part only, where they are not made up; elsewhere they are those nearby.
    weight = cv2.erode(measured.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    total = cv2.GaussianBlur(weight, (9, 9), 2.0)
    weight_nearby = np.where(total > 1e-3, 1.0 / np.maximum(total, 1e-3), 0.0)
    height, width = measured.shape
    down = np.arange(height)[:, None] - nearest // width
    right = np.arange(width) - nearest % width
    continued = inverse.ravel()[nearest]
    for dx, dy, offset in ((1, 0, right), (0, 1, down)):
        slope = cv2.Sobel(inverse, cv2.CV_32F, dx, dy, ksize=3, scale=0.125)
        slope = cv2.GaussianBlur(slope * weight, (9, 9), 2.0) * weight_nearby
        reach = np.clip(offset, -_CONTINUED_PIXELS, _CONTINUED_PIXELS).astype(np.float32)
        continued += slope.ravel()[nearest] * reach
    return np.where(measured, inverse, continued).astype(np.float32)


def _normals(
    mask: NDArray[np.bool_], depth: NDArray[np.float32], rays: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Unit normals towards the camera, from differences of smoothed points."""
    known = np.where(mask, depth, np.float32(np.nanmedian(depth)))
    points = rays * cv2.GaussianBlur(known, (5, 5), 1.2)[..., None]
    down, right = (cv2.split(cv2.Sobel(points, cv2.CV_32F, dx, dy, ksize=3)) for dx, dy in ((0, 1), (1, 0)))
    # The cross product, plane by plane: numpy is slow where the last axis is as short as three.
    normal = [down[i] * right[j] - down[j] * right[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    length = np.sqrt(sum(part * part for part in normal))
    return cv2.merge([part * (mask / np.maximum(length, np.float32(1e-12))) for part in normal])


def _nearest(measured: NDArray[np.bool_], values: NDArray[np.floating]) -> NDArray[np.float32]:
    return values[measured].astype(np.float32)[_nearest_index(measured)]


def _nearest_index(measured: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(h, w) for each pixel the nearest measured one, counted row by row among the measured."""
    _, label = cv2.distanceTransformWithLabels(
        (~measured).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    return np.asarray(label, np.intp) - 1
