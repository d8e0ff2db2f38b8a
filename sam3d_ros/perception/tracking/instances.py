"""The instances of a frame as tracking sees them: where, how large, how well in view."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.class_names import is_one_of
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.window import Window

#: Enough points for a median centre good to a millimetre or two.
_SAMPLE_POINTS = 400


@dataclass(frozen=True, eq=False)
class InstanceView:
    """One instance of one frame.

    Attributes:
        instance_id: its value in the label image.
        label: class name, may be empty.
        pixels: number of its pixels.
        box: around them.
        cells: (K,) int64 its cells in the flattened grid of the overview, at least one.
        center: (3,) median of its measured points, in the fixed frame, metres; NaN without points.
        extent: diameter of its visible surface without the outer tenth, metres; NaN without points.
        measured: share of its pixels with a measured point.
        touches_border: whether the mask meets the edge of the image.
        hidden: share of its outline behind which another instance lies nearer to the camera.
    """

    instance_id: int
    label: str
    pixels: int
    box: Window
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


def view_instances(
    cut: Cut, *, min_pixels: int = 1, limit: int = 256, excluded_labels: frozenset[str] = frozenset()
) -> InstanceViews:
    """Measure the instances of a frame.

    Args:
        cut: the frame.
        min_pixels: instances with fewer pixels are left out.
        limit: at most this many instances, largest first.
        excluded_labels: class names that are not tracked as objects.
    """
    overview, areas = cut.overview, cut.table.areas
    wanted = [
        row
        for row, instance_id in enumerate(cut.table.ids.tolist())
        if not is_one_of(cut.label(instance_id), excluded_labels)
    ]
    large = [row for row in wanted if areas[row] >= min_pixels]
    # Rank 1, 2, ... by area; ties in the order of the ids are undone by the final sort.
    ranked = [int(cut.table.ids[row]) for row in sorted(large, key=lambda row: -int(areas[row]))[:limit]]
    rank_of = np.zeros(int(cut.table.ids.max(initial=0)) + 1, dtype=np.uint16)
    rank_of[ranked] = np.arange(1, len(ranked) + 1, dtype=np.uint16)
    ranks = rank_of[overview.labels]
    cells = ranks.ravel()
    order = np.argsort(cells, kind="stable")
    starts = np.searchsorted(cells[order], np.arange(1, len(ranked) + 2))
    hidden = _hidden_shares(ranks, overview.points[..., 2], len(ranked))
    views = [
        _view(cut.evidence(instance_id), order[starts[rank - 1] : starts[rank]], float(hidden[rank]))
        for rank, instance_id in enumerate(ranked, start=1)
    ]
    views.sort(key=lambda view: (-view.pixels, view.box.top, view.box.left))
    has_sensor = overview.points_source is not PointsSource.NONE
    return InstanceViews(
        views=tuple(views),
        grid_shape=overview.grid_shape,
        tiny=len(wanted) - len(large),
        too_many=len(large) - len(ranked),
        without_points=sum(has_sensor and view.measured == 0 for view in views),
    )


def _view(evidence: Evidence, cells: NDArray[np.int64], hidden: float) -> InstanceView:
    """Measure one instance."""
    inner = evidence.box.slices_in(evidence.window)
    # Of the box alone: the mask of the whole window is not needed while the object rests.
    mask, point_map = evidence.labels[inner] == evidence.instance_id, evidence.point_map.cropped(*inner)
    depth = point_map.depth
    measured = np.flatnonzero(mask & (depth == depth))  # NaN, an unknown depth, equals nothing
    center, extent = np.full(3, np.nan), float("nan")
    if len(measured):
        chosen = measured[:: max(1, len(measured) // _SAMPLE_POINTS)]
        sample = point_map.at(np.divmod(chosen, mask.shape[1])).astype(np.float64)
        center = _middle(sample)
        reach = np.square(sample - center).sum(axis=1)
        tenth = len(reach) - 1 - len(reach) // 10
        extent = 2.0 * math.sqrt(float(np.partition(reach, tenth)[tenth]))
        if evidence.overview.fixed_from_camera is not None:
            center = evidence.overview.fixed_from_camera.apply(center)
    return InstanceView(
        instance_id=evidence.instance_id,
        label=evidence.label,
        pixels=evidence.pixels,
        box=evidence.box,
        cells=cells.astype(np.int64) if len(cells) else _middle_cell(evidence, mask),
        center=center,
        extent=extent,
        measured=len(measured) / evidence.pixels,
        touches_border=evidence.touches_border,
        hidden=hidden,
    )


def _middle(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) median of each coordinate of (N, 3) points; numpy's own takes five times as long on so few."""
    low, high = (len(sample) - 1) // 2, len(sample) // 2
    ordered = np.partition(sample, (low, high), axis=0)
    return np.asarray((ordered[low] + ordered[high]) / 2.0)


def _middle_cell(evidence: Evidence, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The cell around the middle pixel of a mask that is too thin to cover the first corner of any cell."""
    pixels = np.argwhere(mask)
    row, column = (
        pixels[len(pixels) // 2] + (evidence.box.top, evidence.box.left)
    ) // evidence.overview.stride
    return np.array([row * evidence.overview.grid_shape[1] + column], dtype=np.int64)


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
