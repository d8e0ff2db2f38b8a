"""Launch files in XML and YAML mean what the same one in Python means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from launch import Action, LaunchContext, LaunchDescription, LaunchService, Substitution
from launch.actions import IncludeLaunchDescription, OpaqueFunction
from launch.frontend import InvalidFrontendLaunchFileError, expose_action, expose_substitution
from launch.frontend.parser import launch_description_of_file
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch_ros.actions import Node
from launch_xml.launch_description_sources import XMLLaunchDescriptionSource
from launch_yaml.launch_description_sources import YAMLLaunchDescriptionSource

CHILD = """
from launch import LaunchDescription
from launch.actions import *
from launch.substitutions import *
def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('camera'),
        SetLaunchConfiguration('child_camera', LaunchConfiguration('camera')),
    ])
"""
XML = """
<launch>
  <arg name="side" default="left" description="Which camera."><choice value="left"/><choice value="right"/></arg>
  <let name="topic" value="/$(var side)/image"/>
  <include file="$(dirname)/child.launch.py"><arg name="camera" value="$(var topic)"/></include>
  <group>
    <push-ros-namespace namespace="$(var side)"/>
    <let name="hidden" value="yes"/>
    <set_parameter name="rate" value="3"/>
    <node pkg="sam3d_ros" exec="frame_player" name="player" args="--flag 'two words' $(var side)_end">
      <param name="rate" value="5.0"/>
      <param name="loop" value="false"/>
      <param name="frames" value="12" type="str"/>
      <param name="deep"><param name="er" value="$(var side)"/></param>
      <param from="$(dirname)/own.yaml"/>
      <remap from="image" to="$(var topic)"/>
      <env name="PLAYED" value="1"/>
    </node>
  </group>
  <set_env name="LAUNCH_FRONTEND_TEST" value="set"/>
  <let name="never" value="1" if="false"/>
  <let name="ever" value="1" unless="false"/>
</launch>
"""
YAML = """
launch:
- arg:
    name: side
    default: left
    description: Which camera.
    choice: [{value: left}, {value: right}]
- let: {name: topic, value: /$(var side)/image}
- include:
    file: $(dirname)/child.launch.py
    arg: [{name: camera, value: $(var topic)}]
- group:
  - push_ros_namespace: {namespace: $(var side)}
  - let: {name: hidden, value: 'yes'}
  - set_parameter: {name: rate, value: 3}
  - node:
      pkg: sam3d_ros
      exec: frame_player
      name: player
      args: --flag 'two words' $(var side)_end
      param:
      - {name: rate, value: 5.0}
      - {name: loop, value: false}
      - {name: frames, value: '12'}
      - name: deep
        param: [{name: er, value: $(var side)}]
      - {from: $(dirname)/own.yaml}
      remap: [{from: image, to: $(var topic)}]
      env: [{name: PLAYED, value: '1'}]
- set_env: {name: LAUNCH_FRONTEND_TEST, value: set}
- let: {name: never, value: '1', if: false}
- let: {name: ever, value: '1', unless: false}
"""


@pytest.fixture(params=["a.launch.xml", "a.launch.yaml"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same launch file in either language, beside a child in Python."""
    (tmp_path / "child.launch.py").write_text(CHILD)
    (tmp_path / "own.yaml").write_text("/**: {ros__parameters: {seed: 4}}\n")
    path = tmp_path / request.param
    path.write_text(XML if path.suffix == ".xml" else YAML)
    return path


@pytest.fixture
def launched(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Launch configurations after the launch, and under `command` what would have been started."""
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    monkeypatch.setenv("LAUNCH_FRONTEND_TEST", "unset")
    seen: dict[str, Any] = {}

    def execute(node: Node, context: LaunchContext) -> None:
        seen["command"] = node._command_line(context)
        files = [Path(word) for word in seen["command"] if Path(word).name.startswith("launch_params_")]
        seen["parameters"] = [yaml.safe_load(file.read_text()) for file in files]
        node._clean_up()

    def note(context: LaunchContext) -> None:
        seen.update(context.launch_configurations)
        seen["variable"] = context.environment["LAUNCH_FRONTEND_TEST"]

    monkeypatch.setattr(Node, "execute", execute)
    service = LaunchService()
    include = IncludeLaunchDescription(
        AnyLaunchDescriptionSource(str(file)), launch_arguments=[("side", "right")]
    )
    service.include_launch_description(LaunchDescription([include, OpaqueFunction(function=note)]))
    assert service.run() == 0
    return seen


def test_arguments_includes_and_conditions(launched: dict[str, Any]) -> None:
    assert launched["child_camera"] == "/right/image"
    assert launched["ever"] == "1"
    assert "never" not in launched
    assert "hidden" not in launched  # a group keeps its own
    assert launched["variable"] == "set"


def test_a_node_with_all_that_it_is_given(launched: dict[str, Any]) -> None:
    command = launched["command"]
    assert command[0].endswith("/lib/sam3d_ros/frame_player")
    assert command[1:5] == ["--flag", "two words", "right_end", "--ros-args"]
    assert "__ns:=/right" in command
    assert "__node:=player" in command
    assert "rate:=3" in command
    assert "image:=/right/image" in command
    assert any(word.endswith("/own.yaml") for word in command)
    values: dict[str, Any] = {}
    for content in launched["parameters"]:
        values |= content["/right/player"]["ros__parameters"]
    assert values == {"rate": 5.0, "loop": False, "frames": "12", "deep.er": "right"}


def test_its_arguments_are_told(file: Path) -> None:
    (side,) = (
        argument
        for argument in launch_description_of_file(str(file)).get_launch_arguments()
        if argument.name == "side"
    )
    assert side.choices == ["left", "right"]
    assert side.description.startswith("Which camera.")
    source = XMLLaunchDescriptionSource if file.suffix == ".xml" else YAMLLaunchDescriptionSource
    assert source(str(file)).get_launch_description(LaunchContext()).entities


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("<launch><node_container pkg='a'/></launch>", NotImplementedError, "node_container"),
        ("<launch><let name='a' value='b' colour='red'/></launch>", InvalidFrontendLaunchFileError, "colour"),
        ("<launch><let name='a'/></launch>", InvalidFrontendLaunchFileError, "value"),
        ("<robot/>", InvalidFrontendLaunchFileError, "robot"),
        ("<launch>", InvalidFrontendLaunchFileError, "cannot be read"),
        (
            "<launch><let name='a' value='b' if='1' unless='1'/></launch>",
            InvalidFrontendLaunchFileError,
            "both",
        ),
        ("<launch><timer period='soon'/></launch>", InvalidFrontendLaunchFileError, "period"),
    ],
)
def test_what_is_wrong_or_left_out_is_named(
    content: str, error: type[Exception], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.launch.xml"
    path.write_text(content)
    with pytest.raises(error, match=words) as caught:
        launch_description_of_file(str(path))
    assert "wrong.launch.xml" in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[]", "launch: 3", "launch: [1]", "launch: [{let: 3}]", "- a", "launch: ["]
)
def test_yaml_that_is_no_launch_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.launch.yaml"
    path.write_text(content)
    with pytest.raises(InvalidFrontendLaunchFileError, match=r"wrong\.launch\.yaml"):
        launch_description_of_file(str(path))


def test_own_actions_and_substitutions_are_exposed(tmp_path: Path) -> None:
    @expose_substitution("shout")
    class Shout(Substitution):
        def __init__(self, text: list[Substitution]) -> None:
            self.text = text

        @classmethod
        def parse(cls, data: Any) -> tuple[type[Shout], dict[str, Any]]:
            return cls, {"text": data[0]}

        def perform(self, context: LaunchContext) -> str:
            return "".join(part.perform(context) for part in self.text).upper()

    @expose_action("note")
    class Note(Action):
        def __init__(self, text: list[Substitution], **keywords: Any) -> None:
            super().__init__(**keywords)
            self.text = text

        @classmethod
        def parse(cls, entity: Any, parser: Any) -> tuple[type[Action], dict[str, Any]]:
            _, keywords = super().parse(entity, parser)
            return cls, {**keywords, "text": parser.parse_substitution(entity.get_attr("text"))}

    path = tmp_path / "own.launch.xml"
    path.write_text("<launch><note text='$(shout hello)' if='true'/></launch>")
    (note,) = launch_description_of_file(str(path)).entities
    assert isinstance(note, Note)
    assert note.condition is not None
    assert note.text[0].perform(LaunchContext()) == "HELLO"
