"""A recording that is played as `ros2 bag play --loop` plays one: again and again, with its own stamps.

`python benchmarks/played_recording.py FRAMES [--rate 10]` plays the frame folders in a folder until it is
interrupted.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo

from sam3d_ros.nodes.frame_player import PlayerParameters, shot
from sam3d_ros.nodes.player_messages import label_info_message
from sam3d_ros.nodes.player_sources import captures_of_folder
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
    def of_folder(path: Path, rate: float) -> Recording:
        """The frame folders in a folder."""
        captures = captures_of_folder(path)
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


class RecordingPlayer(Node):
    """Plays a recording in a loop.

    Args:
        recording: what is played.
        rate: images a second.
    """

    def __init__(self, recording: Recording, rate: float) -> None:
        super().__init__("recording_player", enable_rosout=False)
        self._moments = itertools.cycle(recording.moments)
        streamed, latched = qos_profile("sensor_data"), qos_profile("latched")
        self._outputs: dict[str, Publisher] = {
            topic: self.create_publisher(kind, topic, streamed) for topic, kind in TOPICS.items()
        }
        self._outputs["/tf"] = self.create_publisher(TFMessage, "/tf", qos_profile("reliable", depth=100))
        self._names = self.create_publisher(LabelInfo, "label_info", latched)
        self._names.publish(recording.label_info)
        self.create_timer(1.0 / rate, self._step)

    def _step(self) -> None:
        for topic, message in next(self._moments).items():
            self._outputs[topic].publish(message)


def _pose_of_camera(capture: Any, parameters: PlayerParameters, stamp: Time) -> TFMessage:
    header = Header(stamp=stamp, frame_id=parameters.fixed_frame)
    return TFMessage(
        transforms=[transform_message(header, parameters.camera_frame, capture.fixed_from_camera)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("frames", type=Path, help="folder of frame folders")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second (default: 10)")
    options = parser.parse_args()
    recording = Recording.of_folder(options.frames, options.rate)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = RecordingPlayer(recording, options.rate)
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main()
