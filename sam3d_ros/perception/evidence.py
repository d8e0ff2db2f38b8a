"""Evidence: what one view tells of one instance.

A frame is cut once (`cut`), in one pass over its labels. From there on tracking, fitting, judging and the geometric
reconstructor look at evidence alone: the pixels around the instance, and the rest of the image on a coarse grid.
Evidence is small, does not change, and can be kept (`Evidence.kept`) or written to a file (`recorded.evidence_files`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ScaleSource
from sam3d_ros.perception.frame import Frame, PointsSource, scale_source
from sam3d_ros.perception.instance_table import InstanceTable, instance_table
from sam3d_ros.perception.measurement import Measurement, measured
from sam3d_ros.perception.range_noise import RangeNoise
from sam3d_ros.perception.surroundings import surroundings, without_surroundings
from sam3d_ros.perception.window import Window, window_around

_IDENTITY = Similarity()
#: Width of the coarse image, in cells.
GRID_WIDTH = 160
#: Points that tell what the background is, and every how many rows of the image have enough where it is dense.
_BACKGROUND_POINTS, _BACKGROUND_ROWS = 1500, 4


@dataclass(frozen=True, eq=False)
class Overview:
    """What all evidence of one moment shares: when and where it was, and the whole image on a coarse grid.

    Attributes:
        stamp: time of the image, nanoseconds.
        frame_id: the optical frame.
        camera: of the whole image.
        points_source: the sensor behind the points.
        range_noise: how much these err.
        is_metric: whether they are in metres; otherwise in a unit that nobody knows.
        fixed_from_camera: pose of the camera in the frame of tracking; None = the camera is that frame.
        stride: pixels from one cell of the grid to the next; a cell shows the pixel in its first corner.
        labels: (r, c) uint16 instance in each cell.
        points: (r, c, 3) float32 metres in the optical frame, NaN = unknown.
        frame: the full images, for networks, which want to see them; None where the evidence was kept without.
        kept_background: see `background`; None = taken from `frame` when it is asked for.
    """

    stamp: int
    frame_id: str
    camera: Camera
    points_source: PointsSource
    range_noise: RangeNoise
    is_metric: bool
    fixed_from_camera: Similarity | None
    stride: int
    labels: NDArray[np.uint16]
    points: NDArray[np.float32]
    frame: Frame | None = None
    kept_background: NDArray[np.float32] | None = None

    @staticmethod
    def of(frame: Frame) -> Overview:
        """The overview of a frame."""
        stride = grid_stride(frame.camera.width)
        cells = (slice(None, None, stride), slice(None, None, stride))
        return Overview(
            stamp=frame.stamp,
            frame_id=frame.frame_id,
            camera=frame.camera,
            points_source=frame.points_source,
            range_noise=frame.noise,
            is_metric=frame.is_metric,
            fixed_from_camera=frame.fixed_from_camera,
            stride=stride,
            labels=np.ascontiguousarray(frame.labels[cells]),
            points=np.ascontiguousarray(frame.point_map.at(cells)),
            frame=frame,
        )

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def scale_source(self) -> ScaleSource:
        """What the size of something rests on that is measured by these points."""
        return scale_source(self.points_source, is_metric=self.is_metric)

    @cached_property
    def camera_from_fixed(self) -> Similarity:
        """Pose of the frame of tracking in the camera; identity where the camera is that frame."""
        return _IDENTITY if self.fixed_from_camera is None else self.fixed_from_camera.inverse()

    @cached_property
    def background(self) -> NDArray[np.float32]:
        """(N, 3) points of all that is measured, in the order of the pixels; a sample where there are many.

        Whether a table has a label depends on the segmenter: labels do not count here.
        """
        if self.kept_background is not None or self.frame is None:
            return np.zeros((0, 3), np.float32) if self.kept_background is None else self.kept_background
        point_map = self.frame.point_map
        for rows in (slice(None, None, _BACKGROUND_ROWS), slice(None)):
            known = np.flatnonzero(np.isfinite(point_map.depth[rows]))
            if len(known) >= _BACKGROUND_POINTS:
                known = known[np.linspace(0, len(known) - 1, _BACKGROUND_POINTS).astype(int)]
                break
        return point_map.cropped(rows, slice(None)).at(np.divmod(known, point_map.shape[1]))

    @cached_property
    def surroundings(self) -> tuple[int, ...]:
        """Instances that are no things but what things stand on, ascending; see `surroundings`."""
        return surroundings(self.labels, self.points, self.range_noise)

    def kept(self) -> Overview:
        """The same without the full images; one for all evidence of the moment."""
        return self._kept

    @cached_property
    def _kept(self) -> Overview:
        return replace(
            self,
            labels=self.labels.copy(),
            points=self.points.copy(),
            frame=None,
            kept_background=self.background,
        )


@dataclass(frozen=True, eq=False)
class Evidence:
    """One instance in one view; nothing else is looked at once a frame is cut.

    Attributes:
        overview: what it shares with the other instances.
        camera: of the whole image that `window` is a part of.
        instance_id: value of its pixels in `labels`.
        label: class name, may be empty.
        pixels: number of its pixels.
        box: around them.
        window: the part of the image that was cut out, with room around the box.
        rgb: (h, w, 3) uint8 colours in the window.
        labels: (h, w) uint16 instances in it.
        point_map: what is measured in it.
        others: other views of the same thing, which rested in between; where somebody remembered some.

    Raises:
        ValueError: the arrays disagree with the window, or the window with the image.
    """

    overview: Overview
    camera: Camera
    instance_id: int
    label: str
    pixels: int
    box: Window
    window: Window
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    point_map: PointMap
    others: tuple[PosedView, ...] = ()
    # Not of the constructor: changed evidence is measured anew.
    _measurements: dict[int, Measurement] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        size = (self.window.bottom - self.window.top, self.window.right - self.window.left)
        image = Window(0, self.camera.height, 0, self.camera.width)
        if not (self.window.holds(self.box) and image.holds(self.window) and self.box.area > 0):
            raise ValueError(
                f"box {self.box}, {self.window}, {image}: each must lie in the next, and hold a pixel"
            )
        for name, shape, dtype in (
            ("rgb", (*size, 3), np.uint8),
            ("labels", size, np.uint16),
            ("depth", size, np.float32),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"{name} is {array.shape} {array.dtype} but the window is {size[1]}x{size[0]}: give {shape} "
                    f"{np.dtype(dtype).name}"
                )

    @property
    def stamp(self) -> int:
        """Time of the image, nanoseconds."""
        return self.overview.stamp

    @property
    def scale_source(self) -> ScaleSource:
        """What the size of something rests on that is measured here."""
        return self.overview.scale_source

    @property
    def views(self) -> tuple[PosedView, ...]:
        """This view, and then the others."""
        return (PosedView(self, _IDENTITY), *self.others)

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of the whole image."""
        return self.camera.height, self.camera.width

    @property
    def touches_border(self) -> bool:
        """Whether the instance meets the border of the image."""
        return self.box.meets_border(self.image_shape)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(h, w) pixels of the instance in the window."""
        return self.labels == self.instance_id

    @cached_property
    def things(self) -> NDArray[np.uint16]:
        """(h, w) the labels of the instance and of others that may hide it: those of its surroundings are 0."""
        return without_surroundings(self.labels, self.overview.surroundings, self.instance_id)

    @property
    def depth(self) -> NDArray[np.float32]:
        """(h, w) metres along the optical axis in the window, NaN = unknown."""
        return self.point_map.depth

    @property
    def points(self) -> NDArray[np.float32]:
        """(h, w, 3) float32 metres in the optical frame, NaN = unknown; made at the first question."""
        return self.point_map.points

    @property
    def rays(self) -> NDArray[np.float32]:
        """(h, w, 3) directions with z = 1 through the pixels of the window."""
        return self.camera.rays()[self.window.slices]

    def measured(self, count: int) -> Measurement:
        """What is measured of the instance, in about `count` points; found once for each count."""
        known = self._measurements.get(count)
        if known is None:
            known = self._measurements[count] = measured(
                mask=self.mask,
                labels=self.things,
                point_map=self.point_map,
                rays=self.rays,
                box=self.box,
                window=self.window,
                source=self.overview.points_source,
                range_noise=self.overview.range_noise,
                focal=self.camera.fx,
                count=count,
            )
        return known

    def looked_at(
        self, window: Window, stride: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32], NDArray[np.float32]]:
        """Things, depth and rays of every `stride`-th pixel of a window, which may leave that of the evidence.

        Beyond it the overview answers: what is there is known to a cell.

        Returns:
            (r, c) labels as in `things`; (r, c) metres, NaN = unknown; (r, c, 3) directions with z = 1.
        """
        first = (window.top + stride // 2, window.left + stride // 2)
        rays = self.camera.rays()[first[0] : window.bottom : stride, first[1] : window.right : stride]
        own = self.window
        if own.holds(window):
            cells = (
                slice(first[0] - own.top, window.bottom - own.top, stride),
                slice(first[1] - own.left, window.right - own.left, stride),
            )
            return self.things[cells], self.depth[cells], rays
        rows = np.arange(first[0], window.bottom, stride)
        columns = np.arange(first[1], window.right, stride)
        coarse = np.ix_(rows // self.overview.stride, columns // self.overview.stride)
        labels, depth = self.overview.labels[coarse], self.overview.points[..., 2][coarse]
        labels = without_surroundings(labels, self.overview.surroundings, self.instance_id)
        inside = [
            slice(*np.searchsorted(places, ends))
            for places, ends in ((rows, (own.top, own.bottom)), (columns, (own.left, own.right)))
        ]
        fine = np.ix_(rows[inside[0]] - own.top, columns[inside[1]] - own.left)
        labels[inside[0], inside[1]], depth[inside[0], inside[1]] = self.things[fine], self.depth[fine]
        return labels, depth, rays

    def kept(self) -> Evidence:
        """The same in memory of its own: without the full images, which it would hold otherwise."""
        return replace(
            self,
            overview=self.overview.kept(),
            rgb=self.rgb.copy(),
            labels=self.labels.copy(),
            point_map=PointMap(self.points.copy()),
            others=tuple(replace(view, evidence=view.evidence.kept()) for view in self.others),
        )


@dataclass(frozen=True, eq=False)
class PosedView:
    """What a view tells of an instance, and from where, for evidence of several views.

    Attributes:
        evidence: what it tells; other views of its own are not looked at.
        camera_from_view: rigid pose of its camera in that of the evidence that it belongs to.
    """

    evidence: Evidence
    camera_from_view: Similarity

    @cached_property
    def view_from_camera(self) -> Similarity:
        """The inverse."""
        return self.camera_from_view.inverse()

    def pose_of(self, camera_from_thing: Similarity) -> Similarity:
        """`view_from_thing`, to the last digit the same where the view is that of the evidence itself."""
        if self.camera_from_view is _IDENTITY:
            return camera_from_thing
        return self.view_from_camera @ camera_from_thing


class Cut:
    """A frame, cut into the evidence of its instances; made by `cut`.

    Args:
        frame: the frame; told by labels, not by boxes.

    Attributes:
        overview: what all evidence shares.
        table: the instances.
    """

    def __init__(self, frame: Frame) -> None:
        self.overview = Overview.of(frame)
        self.table: InstanceTable = instance_table(frame.labels)
        self._frame = frame
        self._evidence: dict[int, Evidence] = {}

    def label(self, instance_id: int) -> str:
        """Class name of an instance; empty when nobody told it."""
        return self._frame.label(instance_id)

    def evidence(self, instance_id: int, *, whole: bool = False) -> Evidence:
        """The evidence of one instance, made at the first question.

        Args:
            instance_id: value of its pixels.
            whole: cut out all of the image.

        Raises:
            ValueError: it has no pixel.
        """
        if whole:
            return self._made(instance_id, whole=True)
        known = self._evidence.get(instance_id)
        if known is None:
            known = self._evidence[instance_id] = self._made(instance_id, whole=False)
        return known

    def _made(self, instance_id: int, *, whole: bool) -> Evidence:
        index = self.table.index(instance_id)
        if index is None:
            raise ValueError(
                f"instance {instance_id} has no pixel in this frame: ask only for ids of `Frame.instance_ids()`"
            )
        frame, box = self._frame, self.table.window(index)
        shape = frame.labels.shape
        window = Window(0, shape[0], 0, shape[1]) if whole else window_around(box, frame.camera)
        cells = window.slices
        return Evidence(
            overview=self.overview,
            camera=frame.camera,
            instance_id=instance_id,
            label=frame.label(instance_id),
            pixels=int(self.table.areas[index]),
            box=box,
            window=window,
            rgb=frame.rgb[cells],
            labels=frame.labels[cells],
            point_map=frame.point_map.cropped(*cells),
        )


def cut(frame: Frame, instance_ids: Iterable[int] | None = None) -> list[Evidence]:
    """The evidence of instances of a frame.

    Args:
        frame: told by labels, not by boxes.
        instance_ids: values of their pixels; None = all, ascending.

    Raises:
        ValueError: one of them has no pixel.
    """
    pieces = Cut(frame)
    wanted = pieces.table.ids.tolist() if instance_ids is None else instance_ids
    return [pieces.evidence(instance_id) for instance_id in wanted]


def grid_stride(width: int) -> int:
    """Pixels from one cell of the coarse grid to the next, for an image of this width."""
    return max(1, round(width / GRID_WIDTH))
