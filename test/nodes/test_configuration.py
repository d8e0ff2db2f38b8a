"""What is shipped beside the code agrees with the code: parameters, launch arguments, RViz and Fast DDS profiles."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch.launch_description_sources import get_launch_description_from_python_launch_file

from sam3d_ros.nodes.parameter_file import parameter_file

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
#: What a 1920x1200 image in four channels takes, bytes.
LARGE_IMAGE = 1920 * 1200 * 4


def test_the_parameter_file_holds_every_parameter_with_its_default(probe: Any) -> None:
    shipped = (CONFIG / "perception.yaml").read_text()
    command = "python -m sam3d_ros.nodes.parameter_file config/perception.yaml"
    assert shipped == parameter_file(probe.context), f"the parameters have changed: run {command}"
    content = yaml.safe_load(shipped)
    assert set(content) == {"/**/perception", "/**/sam3d_objects", "/**/sam3d_bodies"}
    for name in ("reconstructor", "target_frame", "tracker", "verdict", "geometric"):
        assert name in content["/**/sam3d_objects"]["ros__parameters"]
    assert content["/**/sam3d_bodies"]["ros__parameters"]["people"] == ["person"]
    assert content["/**/perception"]["ros__parameters"]["nodes"] == ["sam3d_objects"]


def test_the_parameter_file_says_what_each_parameter_is_for() -> None:
    lines = (CONFIG / "perception.yaml").read_text().splitlines()
    silent = [
        line
        for above, line in itertools.pairwise(lines)
        if line.strip() and not line.strip().startswith("#") and not line.endswith(":") and "# " not in above
    ]
    assert silent == []


def launch_arguments(name: str) -> list[Any]:
    """What a launch file of the package declares."""
    path = str(ROOT / "launch" / name)
    return get_launch_description_from_python_launch_file(path).get_launch_arguments()


@pytest.mark.parametrize("name", ["perception.launch.py", "demo.launch.py"])
def test_every_launch_argument_is_described(name: str) -> None:
    arguments = launch_arguments(name)
    assert arguments
    silent = [a.name for a in arguments if not a.description or a.description == "no description given"]
    assert silent == []


def test_perception_launch_has_an_argument_for_every_topic_and_the_main_settings() -> None:
    names = {argument.name for argument in launch_arguments("perception.launch.py")}
    inputs = {"image", "camera_info", "labels", "label_info", "depth", "depth_camera_info", "points"}
    outputs = {"objects", "meshes", "detections", "markers", "surfaces"}
    settings = {"reconstructor", "target_frame", "rviz", "params_file", "log_level", "namespace"}
    assert {f"sam3d_{name}_topic" for name in inputs | outputs} <= names
    assert {f"sam3d_{name}" for name in settings} <= names


def test_perception_launch_shares_no_argument_with_launch_files_around_but_the_clock() -> None:
    names = {argument.name for argument in launch_arguments("perception.launch.py")}
    assert {name for name in names if not name.startswith("sam3d_")} == {"use_sim_time"}


def test_rviz_shows_what_the_nodes_publish() -> None:
    displays = yaml.safe_load((CONFIG / "perception.rviz").read_text())["Visualization Manager"]["Displays"]
    shown = {display["Class"].rsplit("/", 1)[1] for display in displays}
    assert {"Image", "DepthCloud", "MarkerArray", "TF"} <= shown
    markers = [display["Topic"] for display in displays if display["Class"].endswith("/MarkerArray")]
    assert {topic["Value"] for topic in markers} == {"sam3d_objects/markers", "sam3d_bodies/markers"}
    for topic in markers:
        assert (topic["Reliability Policy"], topic["Durability Policy"]) == ("Reliable", "Transient Local")


def test_the_fast_dds_profile_holds_whole_images_in_shared_memory() -> None:
    space = {"dds": "http://www.eprosima.com"}
    root = ElementTree.parse(CONFIG / "fastdds.xml").getroot()
    transports = {
        t.find("dds:type", space).text: t for t in root.iterfind(".//dds:transport_descriptor", space)
    }
    assert set(transports) == {"SHM", "UDPv4"}
    shared = transports["SHM"]
    assert int(shared.find("dds:maxMessageSize", space).text) >= LARGE_IMAGE
    assert int(shared.find("dds:segment_size", space).text) >= 4 * LARGE_IMAGE
    participant = root.find(".//dds:participant", space)
    assert participant.get("is_default_profile") == "true"
    used = {t.text for t in participant.iterfind(".//dds:userTransports/dds:transport_id", space)}
    assert used == {t.find("dds:transport_id", space).text for t in transports.values()}
