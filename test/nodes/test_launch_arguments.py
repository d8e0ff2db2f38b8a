"""Arguments of perception.launch.py reach the nodes whatever the launch files around say, or are refused by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch_pytest
import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from hypothesis import given
from hypothesis import strategies as st
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node, SetParameter
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.expand_topic_name import expand_topic_name
from rclpy.validate_full_topic_name import validate_full_topic_name

from sam3d_ros.nodes.launch_arguments import misspelt, namespace, parameter_value, topic_name
from sam3d_ros.nodes.parameter_yaml import overriding_parameters

NODE = "/front/sam3d_objects"
ROS2 = str(Path(sys.executable).parent / "ros2")
#: What launch files around ours commonly have as arguments, with values that mean something else there.
FOREIGN = {
    "image": "image:=/cam/x",
    "depth": "true",
    "points": "",
    "labels": "no topic",
    "device": "/dev/video0",
    "steps": "many",
    "outputs": "screen",
    "memory": "16",
    "namespace": "robot1",
    "params_file": "/nowhere.yaml",
    "log_level": "WARN",
    "rviz": "true",
    "image_topic": "1",
    "checkpoint": "false",
}


@launch_pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> LaunchDescription:
    """Ours, included by a launch file with arguments and parameters of its own."""
    settings = tmp_path_factory.mktemp("settings") / "perception.yaml"
    content = {
        "/**/sam3d_objects": {"ros__parameters": {"reconstructor": "sam3d", "tracker.max_objects": 7}},
        NODE: {"ros__parameters": {"reconstructor": "auto", "steps": 25}},
    }
    settings.write_text(yaml.safe_dump(content))
    arguments = {
        "sam3d_params_file": str(settings),
        "sam3d_namespace": "front",
        "sam3d_reconstructor": "geometric",
        "sam3d_steps": "3",
        "sam3d_target_frame": "1e3",
        "sam3d_frame_prefix": "/",
        "sam3d_publish_rejected": "false",
        "sam3d_relative_depth": "true",
        "sam3d_outputs": "mesh, gaussians",
        "sam3d_labels_topic": "/segmenter/labels",
    }
    launch_file = Path(get_package_share_directory("sam3d_ros")) / "launch" / "perception.launch.py"
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(launch_file)), launch_arguments=arguments.items()
    )
    after = Node(
        package="sam3d_ros",
        executable="frame_player",
        name="after",
        parameters=[{"frames": "", "rate": 1.0}],
        namespace="aside",
    )
    foreign = [DeclareLaunchArgument(name, default_value=value) for name, value in FOREIGN.items()]
    parameters = [SetParameter("reconstructor", "sam3d"), SetParameter("use_sim_time", True)]
    return LaunchDescription([*foreign, GroupAction([*parameters, include]), after])


@pytest.fixture(scope="module")
def parameters(graph: LaunchDescription, call: Callable[..., Any]) -> Callable[[str], Any]:
    """Value of a parameter of the running node."""
    fields = {
        ParameterType.PARAMETER_BOOL: "bool_value",
        ParameterType.PARAMETER_INTEGER: "integer_value",
        ParameterType.PARAMETER_STRING: "string_value",
        ParameterType.PARAMETER_STRING_ARRAY: "string_array_value",
    }

    def value(name: str) -> Any:
        answer = call(GetParameters, f"{NODE}/get_parameters", GetParameters.Request(names=[name]))
        return getattr(answer.values[0], fields[answer.values[0].type])

    return value


@pytest.mark.launch(fixture=graph)
def test_arguments_win_over_the_file_and_over_parameters_set_around(parameters: Callable[[str], Any]) -> None:
    assert parameters("reconstructor") == "geometric"
    assert parameters("steps") == 3
    assert parameters("target_frame") == "1e3"
    assert parameters("frame_prefix") == "/"
    assert parameters("publish_rejected") is False
    assert parameters("relative_depth") is True
    assert list(parameters("outputs")) == ["mesh", "gaussians"]


@pytest.mark.launch(fixture=graph)
def test_what_no_argument_sets_comes_from_the_file_and_from_around(parameters: Callable[[str], Any]) -> None:
    assert parameters("tracker.max_objects") == 7
    assert parameters("use_sim_time") is True


@pytest.mark.launch(fixture=graph)
def test_topics_of_launch_files_around_are_not_subscribed_to(
    graph: LaunchDescription, probe: Any, wait_for: Any
) -> None:
    def heard() -> set[str]:
        try:
            found = probe.node.get_subscriber_names_and_types_by_node("sam3d_objects", "/front")
        except RuntimeError:  # not discovered yet
            return set()
        return {name for name, _ in found}

    wanted = {"/front/image", "/front/depth", "/front/camera_info", "/segmenter/labels"}
    assert wait_for(lambda: wanted <= heard()), heard()
    assert "/true" not in heard() and "/front/true" not in heard()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("sam3d_depth_topic:=true", "sam3d_depth_topic is 'true', which is no topic"),
        ("sam3d_steps:=many", "sam3d_steps is 'many': expected a whole number"),
        ("sam3d_namespace:=robot 1", "sam3d_namespace is 'robot 1', which is no namespace"),
        ("sam3d_params_file:=/nowhere.yaml", "sam3d_params_file is '/nowhere.yaml', which is no file"),
    ],
)
def test_a_launch_with_a_wrong_argument_is_refused_by_name(
    own_domain: None, argument: str, expected: str
) -> None:
    command = [ROS2, "launch", "sam3d_ros", "perception.launch.py", argument]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert expected in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "parent.launch.xml",
            """<launch><include file="$(find-pkg-share sam3d_ros)/launch/perception.launch.py">
            <arg name="sam3d_depth_topic" value="true"/></include></launch>""",
        ),
        (
            "parent.launch.yaml",
            """launch: [include: {file: $(find-pkg-share sam3d_ros)/launch/perception.launch.py,
            arg: [{name: sam3d_depth_topic, value: 'true'}]}]""",
        ),
    ],
)
def test_a_launch_file_in_another_language_includes_this_one(
    own_domain: None, name: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    command = [ROS2, "launch", str(tmp_path / name)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert "sam3d_depth_topic is 'true', which is no topic" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "/",
        "image:=/cam/x",
        "a b",
        "/cam/",
        "//cam",
        "1cam",
        "~cam",
        "é",
        "a\n",
        "True",
        "/none",
        "/cam__/x",
    ],
)
def test_what_is_no_topic_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="sam3d_image_topic is '"):
        topic_name("sam3d_image_topic", value)


@given(st.text(st.sampled_from("aZ0_/~{}:=- .é\n"), max_size=8))
def test_every_topic_that_is_taken_is_one_for_ros(value: str) -> None:
    try:
        taken = topic_name("sam3d_image_topic", value)
    except ValueError:
        return
    assert taken == value
    validate_full_topic_name(expand_topic_name(value, "node", "/"))


@pytest.mark.parametrize("value", ["image", "/cam/color/image_raw", "~/image", "camera_1/_x"])
def test_a_topic_is_taken_as_it_is(value: str) -> None:
    assert topic_name("sam3d_image_topic", value) == value


@pytest.mark.parametrize(
    "value", [" ", "robot 1", "1robot", "röbot", "//", "a//b", "~/a", "a__b", "true", "/None/"]
)
def test_what_is_no_namespace_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="sam3d_namespace is '"):
        namespace("sam3d_namespace", value)


@pytest.mark.parametrize("value", ["", "/", "front", "/robot1", "/robot1/", "robot1/front"])
def test_a_namespace_is_taken_as_it_is(value: str) -> None:
    assert namespace("sam3d_namespace", value) == value


def test_a_misspelt_argument_is_told_with_the_one_that_is_meant(own_domain: None) -> None:
    wrong = ["sam3d_depht_topic:=/cam/depth", "sam3d_target:=map", "sam3d_steps:=many"]
    command = [ROS2, "launch", "sam3d_ros", "perception.launch.py", *wrong]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = answer.stdout + answer.stderr
    assert (
        "sam3d_depht_topic is no argument of this launch file and has no effect: is sam3d_depth_topic meant?"
        in said
    )
    assert "sam3d_steps is no argument" not in said


def test_arguments_of_others_are_not_taken_for_misspelt_ones() -> None:
    declared = ["sam3d_device", "sam3d_depth_topic", "sam3d_namespace"]
    assert misspelt(["sam3d_enabled", "sam3d_device", "sam3d_camera_height"], declared) == []


@pytest.mark.parametrize(
    ("value", "kind"), [("2.0", int), ("true", int), ("[", int), ("1", bool), ("yes or no", bool)]
)
def test_a_value_of_another_kind_is_refused(value: str, kind: type) -> None:
    with pytest.raises(ValueError, match="sam3d_steps is"):
        parameter_value("sam3d_steps", value, kind)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"])))
def test_a_text_stays_a_text_in_the_file(text: str) -> None:
    written = yaml.safe_load(overriding_parameters(["node"], {"value": text, "values": [text]}))
    assert written == {"/**/**/node": {"ros__parameters": {"value": text, "values": [text]}}}
