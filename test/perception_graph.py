"""perception.launch.py as tests play it: the frame that it sees, how it is started, and how its nodes are asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

#: Loading PyTorch takes long on a busy machine, seconds.
PATIENCE = 60.0


def write_frame(root: Path, labels: np.ndarray, *, depths: tuple[float, float], focal: float) -> Path:
    """Write a frame folder: an image of noise, in which what has a label stands before a wall.

    Args:
        root: is made.
        labels: (H, W) uint8, 0 is the wall.
        depths: of what has a label and of the wall, metres.
        focal: length in pixels of a camera that looks through the middle of the image.
    """
    root.mkdir()
    height, width = labels.shape
    near, far = (round(1000 * depth) for depth in depths)
    rgb = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    cv2.imwrite(str(root / "rgb.png"), rgb)
    cv2.imwrite(str(root / "labels.png"), labels)
    cv2.imwrite(str(root / "depth.png"), np.where(labels > 0, near, far).astype(np.uint16))
    camera = {"width": width, "height": height, "fx": focal, "fy": focal, "cx": width / 2, "cy": height / 2}
    (root / "camera.json").write_text(json.dumps(camera))
    return root


def perception_graph(frames: Path, rate: float, arguments: dict[str, str]) -> LaunchDescription:
    """The launch file as a user includes it, and a camera that plays one frame, so many times a second."""
    launch_file = Path(get_package_share_directory("sam3d_ros")) / "launch" / "perception.launch.py"
    source = PythonLaunchDescriptionSource(str(launch_file))
    return LaunchDescription(
        [
            SetEnvironmentVariable("OMP_NUM_THREADS", "1"),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            Node(
                package="sam3d_ros",
                executable="frame_player",
                parameters=[{"frames": str(frames), "rate": rate}],
            ),
        ]
    )


def told_by(node: str, kind: str, diagnostics: Sequence[DiagnosticArray]) -> dict[str, str]:
    """What the newest status of a kind says of a node; empty where there is none."""
    for message in reversed(list(diagnostics)):
        for status in message.status:
            if status.name == f"{node.lstrip('/')}: {kind}":
                return {pair.key: pair.value for pair in status.values}
    return {}


@dataclass(frozen=True)
class NodeServices:
    """The services of a lifecycle node.

    Attributes:
        node: its name, with a slash before.
        call: asks a service, as the fixture of this name does.
    """

    node: str
    call: Callable[..., Any]

    def change(self, *transitions: int) -> bool:
        """Ask for transitions, one after the other until one fails; whether all succeeded."""
        requests = (ChangeState.Request(transition=Transition(id=transition)) for transition in transitions)
        return all(self.call(ChangeState, f"{self.node}/change_state", r).success for r in requests)

    def put(self, name: str, value: bool | str | float | list[str]) -> None:
        """Set a parameter, which the node has to take."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        result = self.call(SetParameters, f"{self.node}/set_parameters", request).results[0]
        assert result.successful, result.reason
