"""Readers of a source on nodes of one process, and a small camera for them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from spinning import SpunNodes
from tf2_msgs.msg import TFMessage

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.nodes.sources.frame_reader import FrameReader
from sam3d_ros.nodes.sources.frame_source import FrameSource, FrameSources
from sam3d_ros.nodes.sources.input_settings import InputSettings, PeopleInputs
from sam3d_ros.perception.frame import Frame
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.diagnostics import LatencyMeter
from sam3d_ros.ros.faults import FaultLog
from sam3d_ros.ros.frame_assembler import AssemblerConfig
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.pointclouds import cloud_from_points
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import transform_message

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
FRAME, LIDAR = "camera_optical_frame", "lidar"
#: Stamps of a camera of 10 Hz, nanoseconds.
TENTH = 100_000_000


class Report:
    """Where a reader reports."""

    def __init__(self) -> None:
        self.faults = FaultLog()
        self.latencies = LatencyMeter()


class Pipeline:
    """A reader on a node, and the frames that it gave, taken by a thread of its own while it is not held up.

    Args:
        host: the process.
        sources: of the process.
        name: of the node.
        settings, frames, people: what is read, and how.
        options: of the node.
    """

    def __init__(
        self,
        host: SpunNodes,
        sources: FrameSources,
        name: str,
        settings: InputSettings | None = None,
        frames: FrameBuilderConfig | None = None,
        people: PeopleInputs | None = None,
        **options: Any,
    ) -> None:
        self._host = host
        self.node = host.create(name, **options)
        self.report = Report()
        self.frames: list[Frame] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._closing = threading.Event()
        self.source: FrameSource = sources.source(
            self.node, settings or InputSettings(), frames or FrameBuilderConfig()
        )
        self.reader: FrameReader = host.do(
            lambda: FrameReader(self.node, self.source, AssemblerConfig(), self.report, people)
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def open(self) -> None:
        """As activation does."""
        self._host.do(self.reader.open)

    def close(self) -> None:
        """As deactivation does."""
        self._host.do(self.reader.close)

    def follow(self) -> None:
        """Look which sensors there are, as every report does."""
        self._host.do(self.reader.follow_publishers)

    def destroy(self) -> None:
        """As cleaning up does, and the end of the node; a second time without harm."""
        if self._closing.is_set():
            return
        self._closing.set()
        self.goes_on.set()
        self._thread.join()
        self._host.do(self.reader.destroy)
        self._host.destroy(self.node)

    def stamps(self) -> list[int]:
        """Of the frames that came, nanoseconds."""
        return [frame.stamp for frame in list(self.frames)]

    def _read(self) -> None:
        while not self._closing.is_set():
            self.goes_on.wait()
            if (frame := self.reader.next_frame(0.01)) is not None:
                self.frames.append(frame)


class SmallCamera:
    """Publishes sets of messages from the node of the test.

    Args:
        probe: carries the publishers.

    Attributes:
        sent: how many images were published.
    """

    def __init__(self, probe: Any) -> None:
        self._probe, node = probe, probe.node
        types = {"image": Image, "labels": Image, "camera_info": CameraInfo}
        sensor = qos_profile("sensor_data")
        self._publishers = {name: node.create_publisher(kind, name, sensor) for name, kind in types.items()}
        self._static_tf = node.create_publisher(TFMessage, "/tf_static", qos_profile("latched"))
        in_one_place = transform_message(header_message(0, FRAME), LIDAR, Similarity())
        self._static_tf.publish(TFMessage(transforms=[in_one_place]))
        self.sent = 0
        self._stamp = 10 * TENTH

    def add(self, sensor: str) -> None:
        """Have a sensor beside the camera: depth or points."""
        kind = {"depth": Image, "points": PointCloud2}[sensor]
        self._publishers[sensor] = self._probe.node.create_publisher(kind, sensor, qos_profile("sensor_data"))

    def rename(self, name: str, topic: str) -> None:
        """Publish what was the topic `name` as another one."""
        kind, qos = self._publishers[name].msg_type, qos_profile("sensor_data")
        self._destroy(self._publishers[name])
        self._publishers[name] = self._probe.node.create_publisher(kind, topic, qos)

    def remove(self, sensor: str) -> None:
        """Have it no more."""
        self._destroy(self._publishers.pop(sensor))

    def send(self, *, broken_depth: bool = False, lost: str = "") -> int:
        """Publish a set but for what is lost of it, the image last; its stamp, nanoseconds."""
        self._stamp += TENTH
        header = header_message(self._stamp, FRAME)
        size = (CAMERA.height, CAMERA.width)
        depth = image_message(np.full(size, 2.0, np.float32), "32FC1", header)
        if broken_depth:
            depth.encoding = "no_such_encoding"
        messages = {
            "camera_info": info_from_camera(CAMERA, header),
            "depth": depth,
            "points": cloud_from_points(np.array([[0.0, 0.0, 2.0]]), header_message(self._stamp, LIDAR)),
            "labels": image_message(np.ones(size, np.uint8), "mono8", header),
            "image": image_message(np.zeros((*size, 3), np.uint8), "rgb8", header),
        }
        for name, message in messages.items():
            if name in self._publishers and name != lost:
                self._publishers[name].publish(message)
        self.sent += 1
        return self._stamp

    def rewind(self) -> None:
        """Begin again with the first stamp."""
        self._stamp = 0

    def close(self) -> None:
        """Publish nothing any more."""
        for publisher in (*self._publishers.values(), self._static_tf):
            self._destroy(publisher)

    def _destroy(self, publisher: Publisher) -> None:
        self._probe.do(lambda: self._probe.node.destroy_publisher(publisher))


def readers_of(node: Node, topic: str) -> list[str]:
    """Names of the nodes that subscribe to a topic, one for each subscription."""
    return sorted(end.node_name for end in node.get_subscriptions_info_by_topic(topic))


def both_read(camera: SmallCamera, wait_for: Any, *pipelines: Pipeline) -> None:
    """Send until all of them get the same image."""

    def read() -> bool:
        stamp = camera.send()
        return bool(wait_for(lambda: all(stamp in p.stamps() for p in pipelines), 0.5))

    assert wait_for(read), [pipeline.report.faults.records() for pipeline in pipelines]
