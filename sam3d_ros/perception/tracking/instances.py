"""The instances of a frame as tracking sees them: where, how large, how well in view."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.frame import Frame

#: Width of the coarse image, in cells, on which masks are compared.
GRID_WIDTH = 160
#: Enough points for a median centre good to a millimetre.
_SAMPLE_POINTS = 1000


@dataclass(frozen=True, eq=False)
class InstanceView:
    """One instance of one frame.

    Attributes:
        instance_id: its value in the label image.
        label: class name, may be empty.
        pixels: number of its pixels.
        box: x0, y0, x1, y1 in pixels, the last two exclusive.
        cells: (K,) int64 its cells in the flattened coarse grid, at least one.
        center: (3,) median of its measured points, in the fixed frame, metres; NaN without points.
        extent: diameter of its visible surface without the outer tenth, metres; NaN without points.
        measured: share of its pixels with a measured point.
        touches_border: whether the mask meets the edge of the image.
        hidden: share of its outline behind which another instance lies nearer to the camera.
    """

    instance_id: int
    label: str
    pixels: int
    box: tuple[int, int, int, int]
    cells: NDArray[np.int64]
    center: NDArray[np.float64]
    extent: float
    measured: float
    touches_border: bool
    hidden: float

    @property
    def quality(self) -> float:
        """How much a reconstruction would see, in pixels: visible, measured, whole."""
        whole = 0.5 if self.touches_border else 1.0
        return self.pixels * (0.25 + 0.75 * self.measured) * whole * (1.0 - self.hidden)


@dataclass(frozen=True, eq=False)
class InstanceViews:
    """All instances of a frame that tracking takes up, largest first.

    Attributes:
        views: the instances; their order does not depend on the ids that the segmenter chose.
        grid_shape: rows and columns of the coarse grid.
        tiny: instances left out because they have too few pixels.
        too_many: instances left out because there are more than the limit.
        without_points: instances in `views` without a single measured point although there is a sensor.
    """

    views: tuple[InstanceView, ...]
    grid_shape: tuple[int, int]
    tiny: int
    too_many: int
    without_points: int


def grid_stride(width: int) -> int:
    """Pixels from one cell of the coarse grid to the next, for an image of this width."""
    return max(1, round(width / GRID_WIDTH))


def view_instances(
    frame: Frame, *, min_pixels: int = 1, limit: int = 256, excluded_labels: frozenset[str] = frozenset()
) -> InstanceViews:
    """Measure the instances of a frame.

    Args:
        frame: the frame.
        min_pixels: instances with fewer pixels are left out.
        limit: at most this many instances, largest first.
        excluded_labels: class names that are not tracked as objects.
    """
    areas = frame.instance_areas()
    areas[0] = 0
    wanted = [int(i) for i in np.flatnonzero(areas) if frame.label(int(i)) not in excluded_labels]
    large = [i for i in wanted if areas[i] >= min_pixels]
    # Rank 1, 2, ... by area; ties in the order of the ids are undone by the final sort.
    ranked = sorted(large, key=lambda i: -int(areas[i]))[:limit]
    rank_of = np.zeros(len(areas), dtype=np.uint16)
    rank_of[ranked] = np.arange(1, len(ranked) + 1, dtype=np.uint16)
    stride = grid_stride(frame.camera.width)
    ranks = rank_of[frame.labels[::stride, ::stride]]
    cells = ranks.ravel()
    order = np.argsort(cells, kind="stable")
    starts = np.searchsorted(cells[order], np.arange(1, len(ranked) + 2))
    hidden = _hidden_shares(ranks, frame.points[::stride, ::stride, 2], len(ranked))
    views = [
        _view(
            frame,
            instance_id,
            int(areas[instance_id]),
            order[starts[rank - 1] : starts[rank]],
            float(hidden[rank]),
        )
        for rank, instance_id in enumerate(ranked, start=1)
    ]
    views.sort(key=lambda view: (-view.pixels, view.box[1], view.box[0]))
    has_sensor = frame.points_source.value != "none"
    return InstanceViews(
        views=tuple(views),
        grid_shape=(ranks.shape[0], ranks.shape[1]),
        tiny=len(wanted) - len(large),
        too_many=len(large) - len(ranked),
        without_points=sum(has_sensor and view.measured == 0 for view in views),
    )


def _view(
    frame: Frame, instance_id: int, pixels: int, cells: NDArray[np.int64], hidden: float
) -> InstanceView:
    """Measure one instance."""
    whole = frame.mask(instance_id)
    height, width = whole.shape
    left, top, columns, rows = cv2.boundingRect(whole.view(np.uint8))
    right, bottom = left + columns, top + rows
    window = (slice(top, bottom), slice(left, right))
    mask = whole[window]
    points = frame.points[window]
    measured = np.flatnonzero(mask & ~np.isnan(points[..., 2]))
    center, extent = np.full(3, np.nan), float("nan")
    if len(measured):
        row, column = np.divmod(measured[:: max(1, len(measured) // _SAMPLE_POINTS)], mask.shape[1])
        sample = points[row, column].astype(np.float64)
        center = np.median(sample, axis=0)
        extent = 2.0 * float(np.percentile(np.linalg.norm(sample - center, axis=1), 90))
        if frame.fixed_from_camera is not None:
            center = frame.fixed_from_camera.apply(center)
    return InstanceView(
        instance_id=instance_id,
        label=frame.label(instance_id),
        pixels=pixels,
        box=(left, top, right, bottom),
        cells=cells.astype(np.int64) if len(cells) else _middle_cell(mask, window, width),
        center=center,
        extent=extent,
        measured=len(measured) / pixels,
        touches_border=top == 0 or left == 0 or bottom == height or right == width,
        hidden=hidden,
    )


def _middle_cell(mask: NDArray[np.bool_], window: tuple[slice, slice], width: int) -> NDArray[np.int64]:
    """The cell around the middle pixel of a mask that is too thin to cover the sample of any cell."""
    stride = grid_stride(width)
    pixels = np.argwhere(mask)
    row, column = (pixels[len(pixels) // 2] + (window[0].start, window[1].start)) // stride
    return np.array([row * len(range(0, width, stride)) + column], dtype=np.int64)


def _hidden_shares(ranks: NDArray[np.uint16], depth: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """For each rank the share of its outline cells whose neighbour is another, nearer instance.

    An instance that is cut by a nearer one is seen in part; one that lies in front of another is not.
    """
    outline = np.zeros(count + 1)
    cut = np.zeros(count + 1)
    # Where the depth is unknown, nobody is nearer.
    near = np.where(np.isnan(depth), np.inf, depth)
    for own, other, own_depth, other_depth in _neighbours(ranks, near):
        edge = (own != other) & (own > 0)
        outline += np.bincount(own[edge], minlength=count + 1)
        cut += np.bincount(own[edge & (other > 0) & (other_depth < own_depth)], minlength=count + 1)
    return np.asarray(cut / np.maximum(outline, 1.0))


def _neighbours(
    ranks: NDArray[np.uint16], depth: NDArray[np.float32]
) -> list[tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.float32], NDArray[np.float32]]]:
    """The four ways to pair each cell with the one beside it."""
    first, second = (slice(None), slice(None, -1)), (slice(None), slice(1, None))
    upper, lower = (slice(None, -1), slice(None)), (slice(1, None), slice(None))
    pairs = ((first, second), (second, first), (upper, lower), (lower, upper))
    return [(ranks[a], ranks[b], depth[a], depth[b]) for a, b in pairs]
