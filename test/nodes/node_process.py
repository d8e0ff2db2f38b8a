"""The node sam3d_objects inside the process of a test, on the executor that it has as a process of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.msg import ObjectArray
from sam3d_ros.nodes.lifecycle import SPIN_PERIOD, quickest_executor
from sam3d_ros.nodes.sam3d_objects import Sam3dObjects
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.pointclouds import cloud_from_points
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message, nanoseconds

CAMERA = Camera(96, 72, 90.0, 90.0, 47.5, 35.5)
FRAME, DEPTH_FRAME, LIDAR_FRAME = "camera", "depth_sensor", "lidar"
NAME = "/sam3d_objects"


class NodeInProcess:
    """The node, spun by a thread that nothing guards: what leaves a callback ends it.

    Args:
        parameters: name -> value, as text of the command line.

    Attributes:
        node: the node.
    """

    def __init__(self, **parameters: str | Path) -> None:
        given = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
        rclpy.init(args=["--ros-args", *given], signal_handler_options=SignalHandlerOptions.NO)
        self.node = Sam3dObjects()
        self._executor = quickest_executor()
        self._executor.add_node(self.node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def is_spinning(self) -> bool:
        """Whether nothing ended its thread."""
        return self._thread.is_alive()

    def faults(self) -> Counter[str]:
        """What it counted so far, by name."""
        return Counter({record.fault.label: record.count for record in self.node._report.faults.records()})

    def close(self) -> None:
        """End it as a signal does."""

        def close() -> None:
            self.node.close()
            self._closing.set()

        self._executor.create_task(close)
        self._thread.join(30)
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=SPIN_PERIOD)


class Feed:
    """A camera that looks at one box before a wall, with depth and LiDAR in the frames that the test names.

    Args:
        probe: carries the publishers.
    """

    def __init__(self, probe: Any) -> None:
        types = {"image": Image, "labels": Image, "camera_info": CameraInfo, "depth": Image}
        types |= {"depth/camera_info": CameraInfo, "points": PointCloud2}
        sensor = qos_profile("sensor_data")
        self._publishers = {
            name: probe.node.create_publisher(kind, name, sensor) for name, kind in types.items()
        }
        self._clock = probe.node.get_clock()
        self.objects = probe.hear(ObjectArray, f"{NAME}/objects", qos_profile("reliable"))
        self._labels = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
        self._labels[20:50, 30:60] = 1
        self._depth = np.where(self._labels > 0, 0.8, 1.0).astype(np.float32)

    def send(self, *, depth_frame: str = FRAME, lidar_frame: str | None = None) -> int:
        """Publish a set, with a LiDAR in place of depth where a frame is named for it; its stamp."""
        stamp = int(self._clock.now().nanoseconds)
        header = header_message(stamp, FRAME)
        messages: dict[str, Any] = {"camera_info": info_from_camera(CAMERA, header)}
        if lidar_frame is None:
            depth_header = Header(stamp=header.stamp, frame_id=depth_frame)
            messages["depth/camera_info"] = info_from_camera(CAMERA, depth_header)
            messages["depth"] = image_message(self._depth, "32FC1", depth_header)
        else:
            points = np.array([[0.0, 0.0, 0.8]])
            messages["points"] = cloud_from_points(points, Header(stamp=header.stamp, frame_id=lidar_frame))
        messages["labels"] = image_message(self._labels, "mono8", header)
        messages["image"] = image_message(np.full((*self._labels.shape, 3), 90, np.uint8), "rgb8", header)
        for name, message in messages.items():
            self._publishers[name].publish(message)
        time.sleep(0.05)
        return stamp

    def is_answered(self, stamp: int) -> bool:
        """Whether objects of a stamp came."""
        return any(nanoseconds(message.header.stamp) == stamp for message in list(self.objects))

    def works(self, wait_for: Callable[..., Any]) -> bool:
        """Whether good input is answered, with the box."""
        return bool(wait_for(lambda: self.is_answered(self.send()) and self.objects[-1].objects))
