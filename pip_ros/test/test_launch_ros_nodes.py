"""Real nodes in real launches: what they see of their parameters, names, remappings and environment."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import launch.substitutions
import launch_pytest.tools
import launch_ros.actions
import pytest
from ament_index_python.packages import PackageNotFoundError
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessIO, OnProcessStart
from launch.events import matches_action
from launch.events.process import ProcessIO
from launch.logging import launch_config
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, SubstitutionFailure
from launch_ros.actions import (
    LifecycleNode,
    Node,
    PushRosNamespace,
    SetParameter,
    SetParametersFromFile,
    SetRemap,
)
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events import matches_node_name
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import ExecutableInPackage, FindPackagePrefix, FindPackageShare
from lifecycle_msgs.msg import Transition

PACKAGE = "launch_ros_probe"
PATIENCE = 30.0  # seconds after which a launch that hangs is shut down

PROBE = """
import json, os, sys
import rclpy
from rclpy.executors import ExternalShutdownException

try:
    rclpy.init()
    node = rclpy.create_node("probe", automatically_declare_parameters_from_overrides=True)
    print(json.dumps({
        "name": node.get_fully_qualified_name(),
        "parameters": {name: parameter.value for name, parameter in node._parameters.items()},
        "topics": {name: node.resolve_topic_name(name) for name in ("image", "~/image", "/absolute")},
        "variable": os.environ.get("PROBE"),
        "arguments": sys.argv[1:sys.argv.index("--ros-args")],
    }), flush=True)
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""

LIFECYCLE_PROBE = """
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

class Probe(LifecycleNode):
    def on_configure(self, state):
        print("configured", flush=True)
        good = not self.declare_parameter("fail", False).value
        return TransitionCallbackReturn.SUCCESS if good else TransitionCallbackReturn.FAILURE

    def on_activate(self, state):
        print("activated", flush=True)
        return super().on_activate(state)

rclpy.init()
node = Probe("probe")
node.create_timer(0.2, lambda: None)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


@pytest.fixture(scope="module", autouse=True)
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A prefix with a package of probes, found by ament; a ROS domain and a log folder of our own."""
    root = tmp_path_factory.mktemp("prefix")
    (root / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (root / "share/ament_index/resource_index/packages" / PACKAGE).touch()
    (root / "share" / PACKAGE).mkdir()
    executables = root / "lib" / PACKAGE
    executables.mkdir(parents=True)
    for name, code in (("probe", PROBE), ("lifecycle_probe", LIFECYCLE_PROBE)):
        (executables / name).write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
        (executables / name).chmod(0o755)
    (executables / "not_executable").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMENT_PREFIX_PATH", f"{root}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', '')}")
        patch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("ROS_LOG_DIR", str(root / "log"))
        launch_config.reset()
        yield root
        launch_config.reset()


def run(*entities: LaunchDescriptionEntity) -> int:
    service = LaunchService()
    guard = TimerAction(period=PATIENCE, actions=[Shutdown()])
    service.include_launch_description(LaunchDescription([*entities, guard]))
    return service.run()


def probe(**keywords: Any) -> Node:
    return Node(package=PACKAGE, executable="probe", cached_output=True, **keywords)


class Probes:
    """Launches probes; shuts the launch down when all have spoken."""

    def __init__(self, **nodes: Node) -> None:
        self.nodes = nodes
        self._silent = set(nodes.values())

    def handler(self) -> RegisterEventHandler:
        def on_output(event: ProcessIO) -> list[LaunchDescriptionEntity]:
            self._silent.discard(event.action)
            return [] if self._silent else [Shutdown()]

        return RegisterEventHandler(OnProcessIO(on_stdout=on_output))

    def __getitem__(self, name: str) -> dict[str, Any]:
        return json.loads(self.nodes[name].get_stdout().splitlines()[0])


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Probes:
    """All probes of this module, in one launch."""
    folder = tmp_path_factory.mktemp("parameters")
    (folder / "own.yaml").write_text(
        "/**:\n  ros__parameters: {shared: 1, both: file}\n"
        "/arm/named:\n  ros__parameters: {nested: {value: 2.5}, both: named file}\n"
        "/other/node:\n  ros__parameters: {foreign: true}\n"
    )
    (folder / "scope.yaml").write_text("/**:\n  ros__parameters: {scope: from file, both: scope}\n")
    plain = probe()
    named = probe(
        name="named",
        namespace="arm",
        parameters=[
            PathJoinSubstitution([str(folder), "own.yaml"]),
            {
                "both": "mapping",
                "number": LaunchConfiguration("number"),
                "list": [1.0, 2.0],
                "deep": {"er": True},
            },
        ],
        remappings=[("image", "camera/image"), ("/absolute", LaunchConfiguration("target"))],
        arguments=["first", ["sec", "ond"]],
        additional_env={"PROBE": "added"},
    )
    scoped = probe(
        namespace="inner", name="scoped", parameters=[{"own": "wins"}], ros_arguments=["--log-level", "warn"]
    )
    file_only = probe(parameters=[str(folder / "own.yaml")])
    absent = probe(condition=IfCondition("false"))
    group = GroupAction(
        [
            PushRosNamespace("outer"),
            SetParameter("own", "scope"),
            SetParameter("text", "3"),
            SetParametersFromFile(str(folder / "scope.yaml")),
            SetParameter("use_sim_time", True),
            SetRemap("image", "scoped_image"),
            SetEnvironmentVariable("PROBE", "scope"),
            scoped,
        ]
    )
    all_probes = Probes(plain=plain, named=named, scoped=scoped, file_only=file_only)
    code = run(
        DeclareLaunchArgument("number", default_value="7"),
        DeclareLaunchArgument("target", default_value="/elsewhere"),
        all_probes.handler(),
        named,
        group,
        plain,
        file_only,
        absent,
    )
    assert code == 0
    assert absent.process_details is None
    return all_probes


def test_all_probes_end_cleanly_on_sigint(probes: Probes) -> None:
    assert {name: node.return_code for name, node in probes.nodes.items()} == dict.fromkeys(probes.nodes, 0)


def test_plain_node_keeps_the_names_of_its_code(probes: Probes) -> None:
    seen = probes["plain"]
    assert seen["name"] == "/probe"
    assert seen["topics"] == {"image": "/image", "~/image": "/probe/image", "/absolute": "/absolute"}
    assert seen["parameters"] == {"use_sim_time": False, "start_type_description_service": True}
    assert seen["variable"] is None
    assert seen["arguments"] == []


def test_name_namespace_and_remappings(probes: Probes) -> None:
    seen = probes["named"]
    assert seen["name"] == "/arm/named"
    assert seen["topics"] == {
        "image": "/arm/camera/image",
        "~/image": "/arm/named/image",
        "/absolute": "/elsewhere",
    }


def test_parameters_of_files_and_mappings_with_the_last_one_winning(probes: Probes) -> None:
    parameters = probes["named"]["parameters"]
    assert parameters["shared"] == 1
    assert parameters["nested.value"] == 2.5
    assert parameters["both"] == "mapping"
    assert parameters["number"] == 7
    assert parameters["list"] == [1.0, 2.0]
    assert parameters["deep.er"] is True
    assert "foreign" not in parameters


def test_file_alone_addresses_nodes_by_name(probes: Probes) -> None:
    parameters = probes["file_only"]["parameters"]
    assert parameters["both"] == "file"
    assert "nested.value" not in parameters


def test_arguments_and_environment_of_a_node(probes: Probes) -> None:
    assert probes["named"]["arguments"] == ["first", "second"]
    assert probes["named"]["variable"] == "added"


def test_settings_of_a_scope_reach_its_nodes_and_no_others(probes: Probes) -> None:
    seen = probes["scoped"]
    assert seen["name"] == "/outer/inner/scoped"
    assert seen["topics"]["image"] == "/outer/inner/scoped_image"
    assert seen["variable"] == "scope"
    parameters = seen["parameters"]
    assert parameters["own"] == "wins"
    assert parameters["text"] == 3  # YAML reads it
    assert parameters["scope"] == "from file"
    assert parameters["use_sim_time"] is True


def test_parameter_files_are_removed_after_the_launch(probes: Probes) -> None:
    details = probes.nodes["named"].process_details
    assert details is not None
    files = [
        path
        for flag, path in zip(details["cmd"], details["cmd"][1:], strict=False)
        if flag == "--params-file"
    ]
    assert [Path(path).exists() for path in files] == [True, False]


def lifecycle_probe(**keywords: Any) -> LifecycleNode:
    return LifecycleNode(
        package=PACKAGE,
        executable="lifecycle_probe",
        name="managed",
        namespace="",
        cached_output=True,
        **keywords,
    )


def test_lifecycle_node_is_brought_up_by_events() -> None:
    node = lifecycle_probe()
    states: list[tuple[str, str]] = []

    def change(transition: int, matcher: Any) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matcher, transition_id=transition))

    def note(event: Any, context: LaunchContext) -> None:
        states.append((event.start_state, event.goal_state))

    code = run(
        node,
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state="configuring",
                goal_state="inactive",
                entities=[change(Transition.TRANSITION_ACTIVATE, matches_node_name("/managed"))],
            )
        ),
        RegisterEventHandler(OnStateTransition(goal_state="active", entities=[Shutdown(reason="done")])),
        RegisterEventHandler(
            OnProcessStart(
                target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE, matches_action(node))]
            )
        ),
    )
    assert code == 0
    assert node.node_name == "/managed"
    assert node.get_stdout().split() == ["configured", "activated"]
    assert node.return_code == 0


def test_a_lifecycle_node_of_jazzy_does_not_start_by_itself() -> None:
    with pytest.raises(TypeError, match="autostart"):
        lifecycle_probe(autostart=True)


def test_failed_transition_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    node = lifecycle_probe(parameters=[{"fail": True}])
    configure = ChangeState(
        lifecycle_node_matcher=matches_action(node), transition_id=Transition.TRANSITION_CONFIGURE
    )
    back = OnStateTransition(
        start_state="configuring",
        goal_state="unconfigured",
        entities=[TimerAction(period=0.5, actions=[Shutdown()])],
    )
    assert run(node, RegisterEventHandler(back), EmitEvent(event=configure)) == 0
    assert node.get_stdout().split() == ["configured"]
    message = "Failed to make transition 'TRANSITION_CONFIGURE' for LifecycleNode '/managed'"
    assert message in capfd.readouterr().out


@pytest.mark.parametrize("program", ["/bin/true", "/bin/cat"])
def test_launch_does_not_wait_for_a_lifecycle_node_that_never_comes(program: str) -> None:
    # The first ends by itself, and then so does the launch; the second is ended by the shutdown.
    node = LifecycleNode(executable=program, name="ghost", namespace="/")
    configure = ChangeState(
        lifecycle_node_matcher=matches_action(node), transition_id=Transition.TRANSITION_CONFIGURE
    )
    end = [] if program == "/bin/true" else [TimerAction(period=0.3, actions=[Shutdown()])]
    service = LaunchService()
    service.include_launch_description(LaunchDescription([node, EmitEvent(event=configure), *end]))
    assert service.run() == 0
    assert node.return_code is not None


def test_packages_are_found_where_they_are(prefix: Path) -> None:
    context = LaunchContext()
    assert FindPackagePrefix(PACKAGE).perform(context) == str(prefix)
    assert FindPackageShare(["launch_ros_", "probe"]).perform(context) == str(prefix / "share" / PACKAGE)
    executable = ExecutableInPackage(package=PACKAGE, executable="probe").perform(context)
    assert executable == str(prefix / "lib" / PACKAGE / "probe")
    with pytest.raises(PackageNotFoundError):
        FindPackageShare("no_such_package").perform(context)


@pytest.mark.parametrize(
    ("package", "executable"),
    [("no_such_package", "x"), (PACKAGE, "no_such_probe"), (PACKAGE, "not_executable")],
)
def test_missing_executable_fails_the_launch_by_name(
    package: str, executable: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SubstitutionFailure):
        ExecutableInPackage(package=package, executable=executable).perform(LaunchContext())
    assert run(Node(package=package, executable=executable)) == 1
    assert package in capfd.readouterr().out


def test_what_jazzy_does_not_have_is_not_here_either() -> None:
    with pytest.raises(TypeError):
        FindPackageShare(PACKAGE) / "config"  # type: ignore[operator]
    assert not hasattr(launch.substitutions, "PathSubstitution")
    assert not hasattr(launch_pytest.tools.process, "assert_stdout_sync")


def test_what_is_left_out_says_so() -> None:
    with pytest.raises(NotImplementedError, match="composable"):
        Node(executable="x", composable=True)
    with pytest.raises(NotImplementedError, match="ComposableNodeContainer"):
        launch_ros.actions.ComposableNodeContainer  # noqa: B018
    with pytest.raises(NotImplementedError, match=r'SetParameter\("use_sim_time"'):
        launch_ros.actions.SetUseSimTime  # noqa: B018
    with pytest.raises(ValueError, match="transition_id"):
        ChangeState(lifecycle_node_matcher=matches_node_name("/x"), transition_id=200)
