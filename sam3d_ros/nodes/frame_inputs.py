"""What the nodes subscribe to, up to the newest complete frame."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_ros import Buffer, TransformListener
from vision_msgs.msg import Detection2DArray, LabelInfo

from sam3d_ros.msg import BodyKeypoints2DArray
from sam3d_ros.nodes.self_report import SelfReport
from sam3d_ros.perception.frame import Frame
from sam3d_ros.ros.diagnostics import InputHealth, RateMeter
from sam3d_ros.ros.faults import FaultError
from sam3d_ros.ros.frame_assembler import AssemblerConfig, FrameAssembler, Input
from sam3d_ros.ros.frame_builder import FrameBuilder, FrameBuilderConfig
from sam3d_ros.ros.parameters import parameter
from sam3d_ros.ros.qos import PROFILE_NAMES, qos_profile
from sam3d_ros.ros.stamps import nanoseconds
from sam3d_ros.ros.transforms import BufferLookup

#: So long after it subscribes the node does not yet know that there is no depth: discovery takes usually less than a
#: second. Seconds.
DISCOVERY_TIME = 1.5


@dataclass(frozen=True)
class InputSettings:
    """How inputs are received."""

    image_transport: str = parameter(
        "raw", "Read the topic image, or its sibling image/compressed.", choices=("raw", "compressed")
    )
    depth_transport: str = parameter(
        "raw",
        "Read the topic depth, or its sibling depth/compressedDepth.",
        choices=("raw", "compressedDepth"),
    )
    input_qos: str = parameter(
        "sensor_data",
        "Quality of service of the inputs, except label_info, which is latched.",
        choices=PROFILE_NAMES,
    )
    tf_timeout: float = parameter(
        0.1, "Longest wait for a transform at the stamp of an image, seconds.", minimum=0.0, maximum=5.0
    )
    auto_range_sensor: bool = parameter(
        True,
        "Wait for depth or points exactly while their topic has a publisher; false = as assembler.expect_depth and "
        "assembler.expect_points say.",
    )


@dataclass(frozen=True)
class PeopleInputSettings:
    """What tells where people are, and of their keypoints."""

    people_from: str = parameter(
        "labels",
        "What says where people are: the topic labels, or the topic detections (boxes) in its place.",
        choices=(Input.LABELS.value, Input.DETECTIONS.value),
    )
    min_keypoint_confidence: float = parameter(
        0.5,
        "Keypoints of the topic keypoints with a lower confidence are passed over.",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class PeopleInputs:
    """What is read beside images, labels and points where people are reconstructed.

    Attributes:
        settings: parameters.
        keypoints: the names that keypoints may have.
    """

    settings: PeopleInputSettings
    keypoints: tuple[str, ...]


class FrameInputs:
    """Subscriptions, transforms, and the way from messages to frames.

    Callbacks only hand messages over; `next_frame`, which decodes them, belongs to the tracking thread.

    Args:
        node: carries the subscriptions.
        settings: how inputs are received.
        frames: from messages to frames.
        assembler: which messages belong together.
        report: where unusable input is reported, and the time spent: `wait` from the arrival of the image, `decode`.
        people: what is read of people; None = nothing but labels.
    """

    def __init__(
        self,
        node: Node,
        settings: InputSettings,
        frames: FrameBuilderConfig,
        assembler: AssemblerConfig,
        report: SelfReport,
        people: PeopleInputs | None = None,
    ) -> None:
        self._node = node
        self._settings = settings
        self._faults = report.faults
        self._latencies = report.latencies
        self._people = people
        located_by = Input.LABELS if people is None else Input(people.settings.people_from)
        self.assembler = FrameAssembler(assembler, report.faults, located_by=located_by)
        self._buffer = Buffer()
        self._transforms = TransformListener(self._buffer, node)
        lookup = BufferLookup(self._buffer, settings.tf_timeout)
        self._builder = FrameBuilder(lookup, report.faults, frames)
        if people is not None:
            self._builder.keypoints = people.keypoints
            self._builder.min_keypoint_confidence = people.settings.min_keypoint_confidence
        self._label_names: Mapping[int, str] = {}
        self._meters: dict[Input, RateMeter] = {}
        self._subscriptions: dict[Input | None, Subscription] = {}
        self._wait = assembler.wait
        self._settled_at = 0.0

    def open(self) -> None:
        """Subscribe."""
        settings, node = self._settings, self._node
        image: tuple[Any, str] = (Image, "image")
        if settings.image_transport == "compressed":
            # image_transport names: a transport is a sibling of the topic that the base name is remapped to.
            image = (CompressedImage, node.resolve_topic_name("image") + "/compressed")
        depth: tuple[Any, str] = (Image, "depth")
        if settings.depth_transport == "compressedDepth":
            depth = (CompressedImage, node.resolve_topic_name("depth") + "/compressedDepth")
        topics: dict[Input, tuple[Any, str]] = {
            Input.IMAGE: image,
            **self._topics_of_instances(),
            Input.CAMERA_INFO: (CameraInfo, "camera_info"),
            Input.DEPTH: depth,
            Input.DEPTH_INFO: (CameraInfo, "depth/camera_info"),
            Input.POINTS: (PointCloud2, "points"),
        }
        qos = qos_profile(settings.input_qos)
        self._meters = {kind: RateMeter() for kind in topics}
        self._subscriptions = {
            kind: node.create_subscription(message_type, topic, partial(self._take, kind), qos)
            for kind, (message_type, topic) in topics.items()
        }
        if settings.auto_range_sensor:
            # Discovery finds the camera and its depth in any order: an object must not be made from the first of them.
            config = self.assembler.config
            self._settled_at = time.monotonic() + DISCOVERY_TIME
            self.assembler.config = replace(config, expect_depth=True, wait=max(config.wait, DISCOVERY_TIME))
        # Classes have numbers of their own, which may be those of instances.
        names = "detections/label_info" if self.assembler.located_by is Input.DETECTIONS else "label_info"
        self._subscriptions[None] = node.create_subscription(
            LabelInfo, names, self._take_label_info, qos_profile("latched")
        )

    def _topics_of_instances(self) -> dict[Input, tuple[Any, str]]:
        """What says where things are, and what is known of them."""
        topics: dict[Input, tuple[Any, str]] = {Input.LABELS: (Image, "labels")}
        if self.assembler.located_by is Input.DETECTIONS:
            topics = {Input.DETECTIONS: (Detection2DArray, "detections")}
        if self._people is not None:
            topics[Input.KEYPOINTS] = (BodyKeypoints2DArray, "keypoints")
        return topics

    def close(self) -> None:
        """Unsubscribe, and forget what came."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions = {}
        self.assembler.clear()

    def destroy(self) -> None:
        """Stop listening to /tf."""
        self._transforms.unregister()

    def next_frame(self, timeout: float) -> Frame | None:
        """The newest complete frame, or None when none comes in time or it cannot be used."""
        inputs = self.assembler.wait(timeout)
        if inputs is None:
            return None
        began = time.monotonic()
        self._latencies.add("wait", 1e3 * (began - inputs.arrival))
        try:
            return self._builder.build(inputs, self._label_names)
        except FaultError as error:
            self._faults.report_error(error)
            return None
        finally:
            self._latencies.add("decode", 1e3 * (time.monotonic() - began))

    def follow_publishers(self) -> None:
        """Expect the keypoints and range sensors that somebody publishes; called now and then."""
        if not self._subscriptions:
            return
        self.assembler.expect_keypoints = self._is_published(Input.KEYPOINTS)
        if self._settings.auto_range_sensor and time.monotonic() >= self._settled_at:
            published = {kind: self._is_published(kind) for kind in (Input.DEPTH, Input.POINTS)}
            self.assembler.config = replace(
                self.assembler.config,
                wait=self._wait,
                expect_depth=published[Input.DEPTH],
                expect_points=published[Input.POINTS] and not published[Input.DEPTH],
            )

    def _is_published(self, kind: Input) -> bool:
        """Whether an input is read that somebody publishes."""
        subscription = self._subscriptions.get(kind)
        return subscription is not None and self._node.count_publishers(subscription.topic_name) > 0

    def health(self) -> list[InputHealth]:
        """How each input does; without image, camera_info and what says where things are there is no frame."""
        required = (Input.IMAGE, Input.CAMERA_INFO, self.assembler.located_by)
        return [
            InputHealth(self._subscriptions[kind].topic_name, meter.rate(), meter.age(), kind in required)
            for kind, meter in self._meters.items()
            if kind in self._subscriptions
        ]

    def drops(self) -> dict[str, int]:
        """How many messages were not used, by input and reason."""
        return {
            f"{kind.value}: {reason.value}": count for (kind, reason), count in self.assembler.drops.items()
        }

    def _take(self, kind: Input, message: Any) -> None:
        self._meters[kind].tick()
        if self.assembler.add(kind, nanoseconds(message.header.stamp), message):
            # Time started anew: transforms from before would answer for stamps that come again.
            self._buffer.clear()

    def _take_label_info(self, message: LabelInfo) -> None:
        self._label_names = MappingProxyType(
            {entry.class_id: entry.class_name for entry in message.class_map}
        )
