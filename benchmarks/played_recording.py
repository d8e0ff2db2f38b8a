"""A recording that is played as `ros2 bag play --loop` plays one: again and again, with its own stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo

from sam3d_ros.nodes.frame_player import PlayerParameters, shot
from sam3d_ros.nodes.player_messages import label_info_message
from sam3d_ros.nodes.player_sources import captures_of_scene
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import time_message
from sam3d_ros.ros.transforms import transform_message

#: When the recording was made, nanoseconds: long ago, as that of a bag is.
RECORDED = 1_700_000_000 * 10**9
TOPICS = {"camera_info": CameraInfo, "depth": Image, "image": Image, "labels": Image}


@dataclass(frozen=True, eq=False)
class Recording:
    """Serialised messages.

    Attributes:
        moments: the messages of each image by topic, in the order of their publication.
        label_info: the names of the instances, the same all the time.
    """

    moments: list[dict[str, bytes]]
    label_info: LabelInfo

    @staticmethod
    def of_scene(seed: int, objects: int, rate: float) -> Recording:
        """What a camera saw that swung around a table, once and not back: the end does not fit the beginning."""
        there_and_back = captures_of_scene(seed, objects, "arc")
        captures = there_and_back[: len(there_and_back) // 2 + 1]
        parameters = PlayerParameters(sensor="depth")
        moments = []
        for i, capture in enumerate(captures):
            stamp = time_message(RECORDED + round(i * 1e9 / rate))
            messages = shot(capture, parameters).messages
            moments.append(
                {
                    "/tf": serialize_message(_pose_of_camera(capture, parameters, stamp)),
                    # A stamped message is one object whose bytes change: copied, they stay.
                    **{topic: bytes(bytearray(messages[topic].at(stamp))) for topic in TOPICS},
                }
            )
        return Recording(moments, label_info_message(captures[0].label_names, Header()))


class RecordingPlayer:
    """Plays a recording in a loop, an image each time that `step` is called.

    Attributes:
        loops: how often it has begun.
    """

    def __init__(self, node: Node, recording: Recording) -> None:
        self.loops = 0
        self._moments = recording.moments
        self._next = 0
        streamed, latched = qos_profile("sensor_data"), qos_profile("latched")
        self._publishers: dict[str, Publisher] = {
            topic: node.create_publisher(kind, topic, streamed) for topic, kind in TOPICS.items()
        }
        self._publishers["/tf"] = node.create_publisher(TFMessage, "/tf", qos_profile("reliable", depth=100))
        self._names = node.create_publisher(LabelInfo, "label_info", latched)
        self._names.publish(recording.label_info)

    def step(self) -> None:
        """Publish the messages of the next image."""
        if self._next == 0:
            self.loops += 1
        for topic, message in self._moments[self._next].items():
            self._publishers[topic].publish(message)
        self._next = (self._next + 1) % len(self._moments)


def _pose_of_camera(capture: Any, parameters: PlayerParameters, stamp: Time) -> TFMessage:
    header = Header(stamp=stamp, frame_id=parameters.fixed_frame)
    return TFMessage(
        transforms=[transform_message(header, parameters.camera_frame, capture.fixed_from_camera)]
    )
