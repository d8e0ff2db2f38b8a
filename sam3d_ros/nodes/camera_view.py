"""Start RViz in the frame of the camera: `python -m sam3d_ros.nodes.camera_view RVIZ ARGUMENT...`.

Its configuration cannot name that frame, which every driver calls otherwise, and in any other one a camera without /tf
shows nothing. So RViz waits for the first `camera_info`, in the namespace and by the remappings of its own arguments.
"""

from __future__ import annotations

import os
import sys
import time
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from sam3d_ros.ros.frame_ids import without_slash
from sam3d_ros.ros.qos import qos_profile

#: How long RViz waits, seconds; then it opens in the frame of its configuration.
PATIENCE = 10.0


def camera_frame(node: Node, patience: float) -> str:
    """The frame that `camera_info` names; empty where none is named in time.

    Args:
        node: subscribes.
        patience: seconds.
    """
    frames: list[str] = []

    def note(message: CameraInfo) -> None:
        frames.append(without_slash(message.header.frame_id))

    subscription = node.create_subscription(CameraInfo, "camera_info", note, qos_profile("sensor_data"))
    end = time.monotonic() + patience
    while not any(frames) and (left := end - time.monotonic()) > 0:
        rclpy.spin_once(node, timeout_sec=left)
    node.destroy_subscription(subscription)
    return next(filter(None, frames), "")


def main() -> NoReturn:
    """Run the command with `-f FRAME` before its arguments, in place of this process."""
    rclpy.init(args=sys.argv)
    node = rclpy.create_node("camera_view")
    try:
        frame = camera_frame(node, PATIENCE)
        if not frame:
            node.get_logger().warning(
                f"no camera_info with a frame came in {PATIENCE:g} s: RViz opens in the frame of its configuration, "
                "check the topic, or name the frame by sam3d_rviz_frame"
            )
    except (KeyboardInterrupt, ExternalShutdownException):
        sys.exit(0)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    program, *arguments = sys.argv[1:]
    os.execv(program, [program, *(["-f", frame] if frame else []), *arguments])


if __name__ == "__main__":
    main()
