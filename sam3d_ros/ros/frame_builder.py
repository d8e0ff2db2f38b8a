"""Turns messages that belong to one moment into a Frame."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.plausible_distances import check_points_unit
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.pointmaps import pointmap_from_lidar, reproject_depth
from sam3d_ros.msg import BodyKeypoints2DArray
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.perception.range_noise import DEPTH_NOISE, LIDAR_NOISE, NoiseWatch, RangeNoise, RangeSensor
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.camera_info import camera_from_info
from sam3d_ros.ros.compressed_depth import depth_from_compressed
from sam3d_ros.ros.decoding import IMAGE, LABELS, POINT_MAP, Decoding
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_ids import FrameIds, frame_ids, names_frame_of, without_slash
from sam3d_ros.ros.images import (
    depth_from_image,
    labels_from_compressed,
    labels_from_image,
    rgb_from_compressed,
    rgb_from_image,
)
from sam3d_ros.ros.people_messages import boxes_from_detections, prompts_from_keypoints
from sam3d_ros.ros.pointclouds import points_from_cloud
from sam3d_ros.ros.stamps import nanoseconds
from sam3d_ros.ros.transforms import TransformLookup

#: Aspect ratios that differ by less than this share belong to one field of view.
_SAME_ASPECT = 0.01
#: Value of the parameter `depth_sensor`.
ESTIMATED = "estimated"
#: Cameras are one that image the same rays within this share of the width, or a pixel: by half of it differ those who
#: count pixels from their edges and from their centres.
_SAME_CAMERA = 0.005


@dataclass(frozen=True)
class FrameBuilderConfig(Settings):
    """Parameters of the conversion.

    Attributes:
        target_frame: a frame fixed in the world, in which objects are tracked; empty = the camera itself.
        rectified: images are rectified: P of their camera_info holds, without distortion.
        resize_labels: labels of another size than the image, but of its aspect ratio, are resized by the nearest
            pixel, with a warning; otherwise they are refused.
        background_ids: values of label pixels that mean the background, such as 0 and 255; 0 and below always do.
        max_depth: depth beyond this is unknown, metres; many a sensor writes its largest number, 1e3 or 1e4 for
            nothing. Without effect on relative depth.
        relative_depth: the depth image has no metric scale, as one that was guessed from a single image: sizes of
            objects are then in its unit, people are placed by the camera alone, and save_scene gives the objects the
            scale of the people.
        depth_sensor: how much depth errs: as usual for structured_light, stereo or time_of_flight, or estimated: as its
            images tell, until then as structured light. Poses, verdicts and what counts as rest go by it.
        lidar_noise: metres; standard deviation of a point of the LiDAR along its ray.
    """

    target_frame: str = ""
    rectified: bool = False
    resize_labels: bool = True
    background_ids: tuple[int, ...] = parameter((0,), minimum=-(2**31), maximum=65535)
    max_depth: float = parameter(60.0, minimum=0.01, maximum=100_000.0)
    relative_depth: bool = False
    depth_sensor: str = parameter(
        RangeSensor.STRUCTURED_LIGHT.value, choices=(*(sensor.value for sensor in RangeSensor), ESTIMATED)
    )
    lidar_noise: float = parameter(LIDAR_NOISE.floor, minimum=1e-5, maximum=10.0)

    @property
    def tracking_frame(self) -> str:
        """`target_frame` as tf2 knows it."""
        return without_slash(self.target_frame)

    @property
    def farthest(self) -> float:
        """What the numbers of a depth image may be at most: metres, or anything where they have no metric scale."""
        return math.inf if self.relative_depth else self.max_depth


@dataclass
class FrameBuilder:
    """Builds frames; meant for a worker thread, since conversions take milliseconds and look-ups may wait.

    Attributes:
        lookup: where frames are relative to each other.
        faults: where faults are reported that do not stop a frame: resized labels, odd names of frames, and unusable
            depth, LiDAR, boxes or keypoints.
        config: parameters.
        decoding: makes arrays of messages, for all builders that share it.
        keypoints: names that keypoints may have.
        min_keypoint_confidence: keypoints of a lower confidence are passed over.
    """

    lookup: TransformLookup
    faults: FaultLog
    config: FrameBuilderConfig = field(default_factory=FrameBuilderConfig)
    decoding: Decoding = field(default_factory=Decoding)
    keypoints: tuple[str, ...] = ()
    min_keypoint_confidence: float = 0.0
    _noise_watch: NoiseWatch = field(default_factory=NoiseWatch, init=False, repr=False)

    def build(self, inputs: InputSet, label_names: Mapping[int, str] | None = None) -> Frame:
        """Convert a set of messages.

        Depth comes before LiDAR. One that cannot be used is reported and left out; the frame then says by its
        `points_source` what it has instead. Keypoints that cannot be used are left out, too.

        Args:
            inputs: the messages.
            label_names: names of instances, or of classes where detections are given in place of labels.

        Raises:
            FaultError: image, labels, detections or camera_info cannot be used, or `target_frame` has no transform.
        """
        frames = frame_ids(inputs, self.config.target_frame)
        self._report(frames.faults)
        frame_id = frames.camera
        rgb = self.decoding.once(IMAGE, (inputs.image,), lambda: rgb_from(inputs.image))
        size = (rgb.shape[1], rgb.shape[0])
        camera = camera_from_info(inputs.camera_info, size, rectified=self.config.rectified)
        names = {} if label_names is None else label_names
        boxes: Mapping[int, NDArray[np.float32]] = {}
        if inputs.detections is not None:
            boxes, names = boxes_from_detections(inputs.detections, camera, names, self.faults)
        labels, faults = self.decoding.once(
            LABELS, (inputs.image, inputs.labels), lambda: self._labels(inputs.labels, size)
        )
        self._report(faults)
        fixed_from_camera = None
        if self.config.tracking_frame not in ("", frame_id):
            fixed_from_camera = self.lookup(self.config.tracking_frame, frame_id, inputs.stamp)
        point_map, source, faults = self.decoding.once(
            POINT_MAP,
            (inputs.image, inputs.depth, inputs.points),
            lambda: self._points(inputs, camera, frames),
        )
        self._report(faults)
        return Frame(
            stamp=inputs.stamp,
            frame_id=frame_id,
            rgb=rgb,
            labels=labels,
            point_map=point_map,
            points_source=source,
            camera=camera,
            label_names=names,
            fixed_from_camera=fixed_from_camera,
            is_metric=not (self.config.relative_depth and source is PointsSource.DEPTH),
            boxes=boxes,
            prompts=self._prompts(inputs.keypoints, camera),
            range_noise=self._range_noise(point_map, source, inputs.stamp),
        )

    def _range_noise(self, point_map: PointMap, source: PointsSource, stamp: int) -> RangeNoise:
        """How much the points of a frame err."""
        if source is PointsSource.LIDAR:
            return RangeNoise(self.config.lidar_noise)
        if self.config.depth_sensor != ESTIMATED:
            return DEPTH_NOISE[RangeSensor(self.config.depth_sensor)]
        if source is PointsSource.DEPTH:
            self._noise_watch.look(point_map.depth, stamp)
        return self._noise_watch.noise

    def _prompts(self, message: BodyKeypoints2DArray | None, camera: Camera) -> tuple[KeypointPrompt, ...]:
        if message is None:
            return ()
        try:
            return prompts_from_keypoints(message, camera, self.keypoints, self.min_keypoint_confidence)
        except FaultError as error:
            self.faults.report_error(error)
            return ()

    def _report(self, faults: Sequence[FaultError]) -> None:
        """Report what was wrong with what this builder or another one decoded: each tells its node."""
        for fault in faults:
            self.faults.report_error(fault)

    def _labels(
        self, message: Image | CompressedImage | None, size: tuple[int, int]
    ) -> tuple[NDArray[np.uint16], tuple[FaultError, ...]]:
        if message is None:
            return np.zeros((size[1], size[0]), dtype=np.uint16), ()
        labels = labels_from(message)
        # Not in place: they may be the memory of the message.
        for background in self.config.background_ids:
            labels = np.where(labels == background, np.uint16(0), labels) if background > 0 else labels
        given = (labels.shape[1], labels.shape[0])
        if given == size:
            return labels, ()
        text = f"labels are {given[0]}x{given[1]} but the image is {size[0]}x{size[1]}"
        if not is_resize(given, size):
            raise FaultError(
                Fault.SIZE_MISMATCH,
                f"{text}, of another aspect ratio, so that nothing tells which pixels belong together: cut off the "
                "borders that a segmenter adds, and publish both at one size",
            )
        if not self.config.resize_labels:
            raise FaultError(Fault.SIZE_MISMATCH, f"{text}: publish both at one size or set resize_labels")
        fault = FaultError(Fault.LABELS_RESIZED, f"{text}: resized by the nearest pixel")
        # NEAREST_EXACT samples pixel centres; plain NEAREST is half a pixel off.
        resized = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(resized, dtype=np.uint16), (fault,)

    def _points(
        self, inputs: InputSet, camera: Camera, frames: FrameIds
    ) -> tuple[PointMap, PointsSource, tuple[FaultError, ...]]:
        faults: tuple[FaultError, ...] = ()
        if inputs.depth is not None:
            try:
                point_map, faults = self._points_of_depth(inputs, camera, frames)
                return point_map, PointsSource.DEPTH, faults
            except FaultError as error:
                self.decoding.depth_failed_at = time.monotonic()
                faults = (error.with_traceback(None),)
        if inputs.points is not None:
            try:
                return self._points_of_lidar(inputs, camera, frames), PointsSource.LIDAR, faults
            except FaultError as error:
                faults = (*faults, error.with_traceback(None))
        return PointMap.unknown(camera.height, camera.width), PointsSource.NONE, faults

    def _points_of_depth(
        self, inputs: InputSet, camera: Camera, frames: FrameIds
    ) -> tuple[PointMap, tuple[FaultError, ...]]:
        assert inputs.depth is not None
        depth = depth_from(inputs.depth, self.config.farthest)
        registered = frames.depth == frames.camera
        depth_camera = self._depth_camera(inputs, depth, camera, registered=registered)
        rgb_from_depth = Similarity()
        if not registered:
            rgb_from_depth = self.lookup(
                frames.camera,
                frames.depth,
                inputs.stamp,
                source_stamp=nanoseconds(inputs.depth.header.stamp),
                fixed=self.config.tracking_frame,
            )
        elif depth_camera == camera:
            return PointMap.from_depth(depth, camera), ()
        faults: tuple[FaultError, ...] = ()
        if registered and depth.shape == (camera.height, camera.width):
            text = (
                f"depth and the image are in one frame {frames.camera!r} and of one size, but their camera_info differ "
                f"by {_apart(camera, depth_camera):.0f} pixels: that of the depth is used for it"
            )
            faults = (FaultError(Fault.CALIBRATION_CONFLICT, text),)
        return PointMap.from_depth(
            reproject_depth(depth, depth_camera, camera, rgb_from_depth), camera
        ), faults

    def _depth_camera(
        self, inputs: InputSet, depth: NDArray[np.float32], camera: Camera, *, registered: bool
    ) -> Camera:
        """The camera of the depth image: its own camera_info, or the colour camera at its size."""
        height, width = depth.shape
        if registered and (width, height) == (camera.width, camera.height):
            return self._camera_in_place(inputs, camera)
        if inputs.depth_info is not None:
            return camera_from_info(inputs.depth_info, (width, height), rectified=self.config.rectified)
        if not registered:
            assert inputs.depth is not None
            raise FaultError(
                Fault.MISSING_CAMERA_INFO,
                f"depth is in frame {inputs.depth.header.frame_id!r}, the image in "
                f"{inputs.image.header.frame_id!r}: publish depth/camera_info, or register the depth",
            )
        if abs(width * camera.height / (height * camera.width) - 1.0) > _SAME_ASPECT:
            raise FaultError(
                Fault.SIZE_MISMATCH,
                f"depth is {width}x{height} but the image is {camera.width}x{camera.height}, in one frame and with "
                "another aspect ratio: publish depth/camera_info, or register the depth",
            )
        return camera.resized(width, height)

    def _camera_in_place(self, inputs: InputSet, camera: Camera) -> Camera:
        """The camera of depth in the frame and the size of the image: that of the image, unless its own is another."""
        info = inputs.depth_info
        # One of another frame is of the sensor before it was registered, or from before its driver did that.
        if info is None or not names_frame_of(info, inputs.depth):
            return camera
        try:
            own = camera_from_info(info, (camera.width, camera.height), rectified=self.config.rectified)
        except FaultError:
            return camera  # many a driver registers depth and leaves its camera_info empty
        return camera if _apart(camera, own) <= max(1.0, _SAME_CAMERA * camera.width) else own

    def _points_of_lidar(self, inputs: InputSet, camera: Camera, frames: FrameIds) -> PointMap:
        assert inputs.points is not None
        if not frames.points:
            raise FaultError(Fault.MISSING_FRAME_ID, "points have no frame_id: nothing tells where they are")
        points = points_from_cloud(inputs.points)
        try:
            check_points_unit(points)
        except ValueError as error:
            raise FaultError(Fault.IMPLAUSIBLE_DEPTH, str(error)) from error
        camera_from_lidar = self.lookup(
            frames.camera,
            frames.points,
            inputs.stamp,
            source_stamp=nanoseconds(inputs.points.header.stamp),
            fixed=self.config.tracking_frame,
        )
        return PointMap(pointmap_from_lidar(points, camera_from_lidar, camera))


def is_resize(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one size may be the other one scaled, with either side of the result rounded up or down."""
    (w, h), (width, height) = size, other
    return abs(w * height - h * width) < max(w + h, width + height)


def _apart(camera: Camera, other: Camera) -> float:
    """How far apart two cameras of one size image the same rays at most, pixels, their lenses left out."""
    corners = np.array([(0, 0), (camera.width - 1, camera.height - 1)], dtype=np.float64)
    images = other.undistorted().project(camera.undistorted().rays_at(corners))
    return float(np.abs(images - corners).max())


def rgb_from(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a raw or compressed image; raises as the decoder of its kind does."""
    return rgb_from_compressed(message) if isinstance(message, CompressedImage) else rgb_from_image(message)


def labels_from(message: Image | CompressedImage) -> NDArray[np.uint16]:
    """(H, W) instance ids of a raw or compressed image; raises as the decoder of its kind does."""
    return (
        labels_from_compressed(message)
        if isinstance(message, CompressedImage)
        else labels_from_image(message)
    )


def depth_from(message: Image | CompressedImage, max_depth: float = math.inf) -> NDArray[np.float32]:
    """(H, W) metres of a raw or compressed depth image; raises as the decoder of its kind does."""
    decode = depth_from_compressed if isinstance(message, CompressedImage) else depth_from_image
    return decode(message, max_depth)
