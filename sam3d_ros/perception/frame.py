"""One moment as the sensors saw it: everything a reconstruction starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ScaleSource
from sam3d_ros.perception.instance_table import instance_table
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.perception.range_noise import DEPTH_NOISE, LIDAR_NOISE, RangeNoise, RangeSensor


class PointsSource(Enum):
    """Where the point map of a frame comes from."""

    DEPTH = "depth"
    LIDAR = "lidar"
    NONE = "none"


_SCALE_SOURCES = {
    PointsSource.DEPTH: ScaleSource.DEPTH,
    PointsSource.LIDAR: ScaleSource.LIDAR,
    PointsSource.NONE: ScaleSource.PRIOR,
}


@dataclass(frozen=True, eq=False)
class Frame:
    """A colour image with instance labels and a point map, all of one size.

    Attributes:
        stamp: time of the image, nanoseconds.
        frame_id: the optical frame (x right, y down, z forward).
        rgb: (H, W, 3) uint8.
        labels: (H, W) uint16 instance of each pixel, 0 = none.
        point_map: what is measured at each pixel; nothing without a sensor.
        points_source: the sensor behind it.
        camera: intrinsics of `rgb`.
        label_names: instance id -> class name, as far as known.
        fixed_from_camera: pose of the camera in the fixed frame that objects are tracked in; None = the camera
            itself is that frame.
        is_metric: whether the points are in metres; otherwise in a unit that nobody knows, which may be another one in
            the next frame.
        boxes: instance id -> (4,) float32 x1, y1, x2, y2, pixels within the image, of instances that are told by
            boxes in place of labels; then all labels are 0.
        prompts: keypoints of people that are known.
        range_noise: how much the points err; None = as usual for their sensor.

    Raises:
        ValueError: the arrays disagree in size or have the wrong type, a box has no area, or there are boxes beside
            labels.
    """

    stamp: int
    frame_id: str
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    point_map: PointMap
    points_source: PointsSource
    camera: Camera
    label_names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    fixed_from_camera: Similarity | None = None
    is_metric: bool = True
    boxes: Mapping[int, NDArray[np.float32]] = field(default_factory=lambda: MappingProxyType({}))
    prompts: tuple[KeypointPrompt, ...] = ()
    range_noise: RangeNoise | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        expected = {
            "rgb": ((*size, 3), np.uint8),
            "labels": (size, np.uint16),
        }
        if self.point_map.shape != size:
            raise ValueError(
                f"the point map is {self.point_map.shape} but the camera is {size[1]}x{size[0]}: give {size}"
            )
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"{name} is {array.shape} {array.dtype} but the camera is {size[1]}x{size[0]}: "
                    f"give {shape} {np.dtype(dtype).name}"
                )
        if self.boxes and self.labels.any():
            raise ValueError("there are boxes beside labels: tell instances by one of them")
        for instance_id, box in self.boxes.items():
            if box.shape != (4,) or not (box[:2] < box[2:]).all():
                raise ValueError(f"box {instance_id} is {box}: give x1 < x2 and y1 < y2")

    @property
    def points(self) -> NDArray[np.float32]:
        """(H, W, 3) float32 metres in the optical frame, NaN = unknown; made at the first question."""
        return self.point_map.points

    @property
    def noise(self) -> RangeNoise:
        """How much the points err."""
        if self.range_noise is not None:
            return self.range_noise
        is_lidar = self.points_source is PointsSource.LIDAR
        return LIDAR_NOISE if is_lidar else DEPTH_NOISE[RangeSensor.STRUCTURED_LIGHT]

    @property
    def scale_source(self) -> ScaleSource:
        """What the size of something rests on that is measured by the points of this frame."""
        return scale_source(self.points_source, is_metric=self.is_metric)

    def without_points(self) -> Frame:
        """The same as seen by the camera alone."""
        unknown = PointMap.unknown(*self.point_map.shape)
        return replace(self, point_map=unknown, points_source=PointsSource.NONE)

    def instance_ids(self) -> list[int]:
        """The instances that have a box or at least one pixel, ascending."""
        if self.boxes:
            return sorted(self.boxes)
        return [int(i) for i in instance_table(self.labels).ids]

    def mask(self, instance_id: int) -> NDArray[np.bool_]:
        """(H, W) pixels of one instance; all of those in its box where a box tells it."""
        if instance_id not in self.boxes:
            return self.labels == instance_id
        mask = np.zeros(self.labels.shape, dtype=np.bool_)
        mask[self.box_pixels(instance_id)] = True
        return mask

    def label(self, instance_id: int) -> str:
        """Class name of an instance; empty when nobody told it."""
        return self.label_names.get(instance_id, "")

    def box_pixels(self, instance_id: int) -> tuple[slice, slice]:
        """Rows and columns of the pixels whose centres lie in the box of an instance; at least one of each."""
        x1, y1, x2, y2 = self.boxes[instance_id].tolist()
        return _within(y1, y2, self.camera.height), _within(x1, x2, self.camera.width)


def scale_source(source: PointsSource, *, is_metric: bool) -> ScaleSource:
    """What the size of something rests on that is measured by points of a sensor."""
    return _SCALE_SOURCES[source] if is_metric else ScaleSource.PRIOR


def _within(low: float, high: float, count: int) -> slice:
    """The whole numbers from `low` to `high` of the first `count` ones, or the nearest one."""
    first = min(max(math.ceil(low), 0), count - 1)
    return slice(first, max(first, min(math.floor(high), count - 1)) + 1)
