"""The node `frame_player`: plays recorded frames or a procedural scene as a camera would."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.lifecycle import LifecyclePublisher
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray, LabelInfo

from sam3d_ros.nodes.lifecycle import AutostartNode, run_nodes
from sam3d_ros.nodes.player_messages import (
    LABEL_TYPES,
    StampedMessage,
    compressed_depth_message,
    depth_message,
    jpeg_message,
    label_info_message,
    labels_message,
    truth_message,
)
from sam3d_ros.nodes.player_sources import Capture, captures_of_folder, captures_of_scene
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.parameters import declare, read, with_values
from sam3d_ros.ros.pointclouds import cloud_from_points
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.transforms import transform_message

#: Period at which delayed labels are looked after, seconds.
DELAY_TICK = 0.005


@dataclass(frozen=True)
class PlayerParameters(Settings):
    """Parameters of the node; they are read when it is configured."""

    frames: str = parameter(
        "", "Frame folder, or folder of frame folders; empty = a procedural tabletop scene."
    )
    seed: int = parameter(9, "Seed of the procedural scene.", minimum=0, maximum=2**31 - 1)
    object_count: int = parameter(5, "Objects of the procedural scene.", minimum=1, maximum=30)
    # Uncompressed depth of the largest size still fits a message of config/fastdds.xml.
    width: int = parameter(
        640, "Width of the images of the procedural scene, pixels.", minimum=64, maximum=1920
    )
    height: int = parameter(
        480, "Height of the images of the procedural scene, pixels.", minimum=48, maximum=1440
    )
    camera_motion: str = parameter(
        "static", "Motion of the camera in the procedural scene.", choices=("static", "arc")
    )
    rate: float = parameter(10.0, "Images a second, Hz.", minimum=0.1, maximum=120.0)
    loop: bool = parameter(True, "Start again after the last frame.")
    camera_frame: str = parameter("camera_optical_frame", "Optical frame of the images.")
    fixed_frame: str = parameter("map", "Frame that the pose of the camera is published in; empty = no TF.")
    lidar_frame: str = parameter("lidar", "Frame of the LiDAR.")
    sensor: str = parameter(
        "all",
        "Range sensors to publish, as far as the frames have them.",
        choices=("all", "depth", "lidar", "none"),
    )
    depth_encoding: str = parameter("32FC1", "Encoding of the depth image.", choices=("32FC1", "16UC1"))
    label_encoding: str = parameter("mono16", "Encoding of the label image.", choices=tuple(LABEL_TYPES))
    compressed: bool = parameter(False, "Publish image/compressed and depth/compressedDepth, too.")
    output_qos: str = parameter(
        "sensor_data",
        "Quality of service of what a camera publishes: best effort, or reliable as most drivers have it.",
        choices=("sensor_data", "reliable"),
    )
    label_delay: float = parameter(0.0, "Time that the segmenter takes, seconds.", minimum=0.0, maximum=10.0)
    renumber: bool = parameter(
        False, "Give the instances new numbers at every frame; label_info is not published then."
    )


class FramePlayer(AutostartNode):
    """Publishes captures with the stamp of the moment at which they are played.

    Topics: `image`, `camera_info`, `labels`, `label_info` (latched), `depth`, `points`, with `compressed` also
    `image/compressed` and `depth/compressedDepth`; /tf with the poses of the camera and of the LiDAR, which may be
    another in every frame; `~/truth` (vision_msgs/Detection3DArray) with the true boxes in the optical frame.
    """

    def __init__(self) -> None:
        super().__init__("frame_player")
        self.parameters = declare(self, PlayerParameters())
        self._reel: list[Shot] = []
        self._outputs: dict[str, LifecyclePublisher] = {}
        self._tickers: list[Timer] = []
        self._late_labels: deque[tuple[int, Time, Image | StampedMessage]] = deque()

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        super().check_parameters(values)
        wanted = with_values(self.parameters, values)
        if self.state != "unconfigured" and wanted != self.parameters:
            raise FaultError(
                Fault.INVALID_REQUEST,
                f"the parameters {', '.join(values)} are read when the node is configured, and it is {self.state}: "
                "deactivate and clean it up, set them, then configure and activate it",
            )

    def configure(self) -> None:
        p = self.parameters = read(self, PlayerParameters())
        if p.frames:
            captures = captures_of_folder(p.frames)
        else:
            captures = captures_of_scene(p.seed, p.object_count, p.camera_motion, (p.width, p.height))
        self._reel = [shot(capture, p) for capture in captures]
        self._next = 0
        self._told_names: Mapping[int, str] | None = None
        self._random = np.random.default_rng(p.seed)
        # image_transport names: a transport is a sibling of the topic that the base name is remapped to.
        jpeg_topic = self.resolve_topic_name("image") + "/compressed"
        depth_png_topic = self.resolve_topic_name("depth") + "/compressedDepth"
        streamed, latched = qos_profile(p.output_qos), qos_profile("latched")
        self._outputs = {
            "image": self.create_lifecycle_publisher(Image, "image", streamed),
            "camera_info": self.create_lifecycle_publisher(CameraInfo, "camera_info", streamed),
            "labels": self.create_lifecycle_publisher(Image, "labels", streamed),
            "label_info": self.create_lifecycle_publisher(LabelInfo, "label_info", latched),
            "depth": self.create_lifecycle_publisher(Image, "depth", streamed),
            "points": self.create_lifecycle_publisher(PointCloud2, "points", streamed),
            "jpeg": self.create_lifecycle_publisher(CompressedImage, jpeg_topic, streamed),
            "depth_png": self.create_lifecycle_publisher(CompressedImage, depth_png_topic, streamed),
            "truth": self.create_lifecycle_publisher(Detection3DArray, "~/truth", latched),
        }
        self._tf = TransformBroadcaster(self)
        camera = captures[0].camera
        self.get_logger().info(
            f"playing {len(captures)} frame(s) of {camera.width}x{camera.height} at {p.rate:g} Hz "
            f"from {p.frames or f'procedural scene {p.seed}'}"
        )

    def activate(self) -> None:
        p = self.parameters
        self._tickers = [self.create_timer(1.0 / p.rate, self._play, clock=self.steady_clock)]
        if p.label_delay > 0:
            self._tickers.append(
                self.create_timer(DELAY_TICK, self._play_late_labels, clock=self.steady_clock)
            )

    def deactivate(self) -> None:
        for timer in self._tickers:
            self.destroy_timer(timer)
        self._tickers = []
        self._late_labels.clear()

    def cleanup(self) -> None:
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}
        self._reel = []

    def _play(self) -> None:
        p = self.parameters
        if self._next == len(self._reel):
            if not p.loop:
                self._tickers[0].cancel()
                self.get_logger().info("played the last frame")
                return
            self._next = 0
        played = self._reel[self._next]
        self._next += 1
        stamp = self.get_clock().now().to_msg()
        self._send_poses(played.capture, stamp)
        if not p.renumber and played.capture.label_names != self._told_names:
            self._told_names = played.capture.label_names
            self._publish("label_info", label_info_message(self._told_names, Header()), stamp)
        for name, message in played.messages.items():
            if name != "labels":
                self._publish(name, message, stamp)
        labels: Image | StampedMessage = played.messages["labels"]
        if p.renumber:
            labels = self._renumbered(played.capture.labels)
        if p.label_delay > 0:
            due = self.steady_clock.now().nanoseconds + round(p.label_delay * 1e9)
            self._late_labels.append((due, stamp, labels))
        else:
            self._publish("labels", labels, stamp)

    def _send_poses(self, capture: Capture, stamp: Time) -> None:
        p = self.parameters
        poses = [(p.camera_frame, p.lidar_frame, capture.camera_from_lidar)]
        if p.fixed_frame:
            poses.append((p.fixed_frame, p.camera_frame, capture.fixed_from_camera))
        known = [
            transform_message(Header(stamp=stamp, frame_id=parent), child, parent_from_child)
            for parent, child, parent_from_child in poses
            if parent_from_child is not None
        ]
        if known:
            self._tf.sendTransform(known)

    def _publish(self, name: str, message: Any, stamp: Time) -> None:
        """Publish a message object or a `StampedMessage`."""
        if isinstance(message, StampedMessage):
            self._outputs[name].publish(message.at(stamp))
            return
        message.header.stamp = stamp
        self._outputs[name].publish(message)

    def _renumbered(self, labels: NDArray[np.uint16]) -> Image:
        table = np.zeros(int(labels.max()) + 1, dtype=np.uint16)
        table[1:] = self._random.permutation(np.arange(1, len(table)))
        header = Header(frame_id=self.parameters.camera_frame)
        return labels_message(table[labels], self.parameters.label_encoding, header)

    def _play_late_labels(self) -> None:
        now = self.steady_clock.now().nanoseconds
        while self._late_labels and self._late_labels[0][0] <= now:
            _, stamp, labels = self._late_labels.popleft()
            self._publish("labels", labels, stamp)


@dataclass(frozen=True, eq=False)
class Shot:
    """A capture and its messages by output, made once: playing only stamps them."""

    capture: Capture
    messages: dict[str, StampedMessage]


def shot(capture: Capture, parameters: PlayerParameters) -> Shot:
    """The messages of a capture by output, depth before image as a camera driver sends them."""
    header = Header(frame_id=parameters.camera_frame)
    made: dict[str, Any] = {
        "camera_info": info_from_camera(capture.camera, header),
        "truth": truth_message(capture.truth, header),
    }
    if capture.depth is not None and parameters.sensor in ("all", "depth"):
        made["depth"] = depth_message(capture.depth, parameters.depth_encoding, header)
        if parameters.compressed:
            made["depth_png"] = compressed_depth_message(capture.depth, header)
    if capture.lidar is not None and parameters.sensor in ("all", "lidar"):
        made["points"] = cloud_from_points(capture.lidar[:, :3], Header(frame_id=parameters.lidar_frame))
    made["image"] = image_message(capture.rgb, "rgb8", header)
    if parameters.compressed:
        made["jpeg"] = jpeg_message(capture.rgb, header)
    made["labels"] = labels_message(capture.labels, parameters.label_encoding, header)
    return Shot(capture, {name: StampedMessage(message) for name, message in made.items()})


def main() -> int:
    """Entry point of the executable `frame_player`."""
    return run_nodes([FramePlayer], sys.argv)
