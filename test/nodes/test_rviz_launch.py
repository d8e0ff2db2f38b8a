"""RViz opens in a frame that there is, and hears the topics that the nodes have; seen by what stands in for RViz."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sam3d_ros.ros.qos import qos_profile

ROOT = Path(__file__).resolve().parents[2]
ROS2 = str(Path(sys.executable).parent / "ros2")
CAMERA_INFO = "/front_camera/color/camera_info"
FRAME = "front_camera_color_optical_frame"
#: Writes its command line to a file, and stays until it is told to go.
STAND_IN = """#!{python}
import json, os, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
with open({told!r} + ".part", "w") as file:
    json.dump(sys.argv[1:], file)
os.replace({told!r} + ".part", {told!r})
signal.pause()
"""


@pytest.fixture
def rviz(tmp_path: Path, own_domain: None) -> Iterator[Callable[..., Callable[[], list[str]]]]:
    """Launches the graph with a package rviz2 that tells its command line."""
    told = tmp_path / "told.json"
    program = tmp_path / "lib" / "rviz2" / "rviz2"
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    for folder in (program.parent, index):
        folder.mkdir(parents=True)
    (index / "rviz2").touch()
    program.write_text(STAND_IN.format(python=sys.executable, told=str(told)))
    program.chmod(0o755)
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> Callable[[], list[str]]:
        prefixes = [str(tmp_path), *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
        environment = {**os.environ, "AMENT_PREFIX_PATH": os.pathsep.join(filter(None, prefixes))}
        command = [ROS2, "launch", "sam3d_ros", "perception.launch.py", "sam3d_rviz:=true", *arguments]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        return lambda: json.loads(told.read_text()) if told.exists() else []

    yield begin
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def after(option: str, command: list[str]) -> list[str]:
    """What stands after each mention of an option."""
    return [value for name, value in pairwise(command) if name == option]


def test_rviz_opens_in_the_frame_of_the_camera_that_it_is_told_of(
    rviz: Any, probe: Any, wait_for: Any
) -> None:
    publisher = probe.node.create_publisher(CameraInfo, CAMERA_INFO, qos_profile("sensor_data"))
    told = rviz(
        "sam3d_namespace:=front",
        f"sam3d_camera_info_topic:={CAMERA_INFO}",
        "sam3d_markers_topic:=/shown",
        "sam3d_body_markers_topic:=~/people",
    )

    def answer() -> list[str]:
        # With the slash of old drivers, which tf2 knows no more.
        publisher.publish(CameraInfo(header=Header(frame_id=f"/{FRAME}")))
        return told()

    command = wait_for(answer)
    assert after("-f", command) == [FRAME]
    assert [Path(path).name for path in after("-d", command)] == ["perception.rviz"]
    remappings = dict(rule.split(":=") for rule in after("-r", command))
    assert remappings["__ns"] == "/front"
    assert remappings["sam3d_objects/markers"] == "/shown"
    assert remappings["sam3d_bodies/markers"] == "sam3d_bodies/people"


@pytest.mark.parametrize(
    ("arguments", "frame"),
    [
        (["sam3d_target_frame:=map"], "map"),
        (["sam3d_target_frame:=map", "sam3d_rviz_frame:=/odom"], "odom"),
    ],
)
def test_rviz_opens_at_once_in_a_frame_that_is_named(
    arguments: list[str], frame: str, rviz: Any, wait_for: Any
) -> None:
    command = wait_for(rviz(*arguments))
    assert after("-f", command) == [frame]


def test_a_camera_that_names_no_frame_or_says_nothing_is_not_waited_for_for_ever(
    late_probe: Any, call: Any
) -> None:
    publisher = late_probe.node.create_publisher(CameraInfo, "camera_info", qos_profile("sensor_data"))
    timer = late_probe.node.create_timer(0.05, lambda: publisher.publish(CameraInfo()))
    try:
        assert camera_frame_of_another_process(0.5) == ""
    finally:
        late_probe.do(timer.cancel)


def camera_frame_of_another_process(patience: float) -> str:
    """What `camera_frame` answers to a node of its own."""
    code = (
        "import rclpy; from sam3d_ros.nodes.camera_view import camera_frame; rclpy.init(); "
        f"print(repr(camera_frame(rclpy.create_node('view'), {patience})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return str(json.loads(answer.stdout.replace("'", '"')))


@pytest.mark.parametrize("prefix", ["", "robot1/", "a/b/"])
def test_rviz_shows_the_frames_of_objects_and_people_with_any_namespace(prefix: str) -> None:
    displays = yaml.safe_load((ROOT / "config" / "perception.rviz").read_text())["Visualization Manager"][
        "Displays"
    ]
    (tf,) = (display for display in displays if display["Class"].endswith("/TF"))
    shown = re.compile(tf["Filter (whitelist)"])
    assert shown.fullmatch(f"{prefix}object_7") and shown.fullmatch(f"{prefix}body_12")
    assert not shown.fullmatch(f"{prefix}spine_12") and not shown.fullmatch(f"{prefix}body_b0012")
