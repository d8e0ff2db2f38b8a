"""``ros2 topic``, ``node``, ``param``, ``lifecycle``, ``service`` and ``action`` on a real graph."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from ros2cli.cli import main
from ros2cli.verbs.topic_hz import RateMeter

ROS2 = str(Path(sys.prefix) / "bin" / "ros2")
TIMEOUT = 30.0  # seconds

SOURCE = """
import rclpy
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.action import ActionServer
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import SetBool
from tf2_msgs.action import LookupTransform

try:
    rclpy.init()
    source = rclpy.create_node("source", namespace="cli")
    bounds = FloatingPointRange(from_value=0.0, to_value=2.0, step=0.5)
    described = ParameterDescriptor(description="How fast.", floating_point_range=[bounds])
    source.declare_parameter("drive.speed", 1.5, described)
    source.declare_parameter("rate", 5)
    source.declare_parameter("names", ["a", "b"])
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    kept = source.create_publisher(String, "kept", latched)
    kept.publish(String(data="latched"))
    loose = source.create_publisher(String, "mixed", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    strict = source.create_publisher(String, "mixed", latched)
    hidden = source.create_publisher(String, "_hidden", 1)
    octets = source.create_publisher(UInt8MultiArray, "octets", 10)
    point = source.create_publisher(PointStamped, "point", 10)
    stamped = source.create_publisher(PointStamped, "stamped", 10)

    def tick():
        octets.publish(UInt8MultiArray(data=range(200)))
        message = PointStamped()
        message.point.x = 0.25
        point.publish(message)
        message.header.stamp = source.get_clock().now().to_msg()
        stamped.publish(message)
        loose.publish(String(data="loose"))
        strict.publish(String(data="strict"))

    source.create_timer(0.05, tick)

    def set_bool(request, response):
        response.success, response.message = request.data, "done"
        return response

    source.create_service(SetBool, "switch", set_bool)

    def execute(goal):
        goal.publish_feedback(LookupTransform.Feedback())
        result = LookupTransform.Result()
        result.transform.child_frame_id = goal.request.source_frame
        goal.succeed()
        return result

    ActionServer(source, LookupTransform, "look_up", execute)
    managed = LifecycleNode("managed", namespace="cli")
    executor = SingleThreadedExecutor()
    executor.add_node(source)
    executor.add_node(managed)
    print("ready", flush=True)
    executor.spin()
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


class Result(NamedTuple):
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


Ros2 = Callable[..., Result]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A ROS domain of our own: another than that of tests of launches in this process."""
    return {
        **os.environ,
        "ROS_DOMAIN_ID": str(1 + (os.getpid() + 50) % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(tmp_path_factory.mktemp("log")),
    }


@pytest.fixture(scope="module", autouse=True)
def _source(environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SOURCE)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)


@pytest.fixture
def ros2(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ros2:
    """Run ``ros2`` to its end, in this process: an interpreter takes longer to start than most commands."""
    monkeypatch.setenv("ROS_DOMAIN_ID", environment["ROS_DOMAIN_ID"])
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", environment["ROS_AUTOMATIC_DISCOVERY_RANGE"])
    monkeypatch.setenv("ROS_LOG_DIR", environment["ROS_LOG_DIR"])

    def run(*arguments: str) -> Result:
        returncode = main(arguments)
        return Result(returncode, *capsys.readouterr())

    return run


def test_echo_receives_a_latched_message_of_the_past(ros2: Ros2) -> None:
    result = ros2("topic", "echo", "--once", "/cli/kept")
    assert (result.returncode, result.stdout) == (0, "data: latched\n---\n")


def test_echo_with_given_type_and_quality(ros2: Ros2) -> None:
    durable = ("--qos-durability", "transient_local", "--qos-reliability", "reliable", "--qos-depth", "1")
    result = ros2("topic", "echo", "--once", "/cli/kept", "std_msgs/msg/String", *durable)
    assert result.stdout == "data: latched\n---\n"
    # A volatile subscription gets nothing of the past.
    result = ros2("topic", "echo", "--once", "/cli/kept", "--qos-durability", "volatile", "--timeout", "1")
    assert (result.returncode, result.stdout) == (0, "")


def test_echo_falls_back_to_what_all_publishers_offer(ros2: Ros2) -> None:
    result = ros2("topic", "echo", "--once", "/cli/mixed")
    assert (
        "Falling back to QoSReliabilityPolicy.BEST_EFFORT as it will connect to all publishers"
        in result.stdout
    )
    assert (
        "Falling back to QoSDurabilityPolicy.VOLATILE as it will connect to all publishers" in result.stdout
    )
    assert result.stdout.endswith("---\n")


def test_echo_cuts_arrays_unless_told_not_to(ros2: Ros2) -> None:
    cut = ros2("topic", "echo", "--once", "/cli/octets").stdout
    assert cut.endswith("- 126\n- 127\n- '...'\n---\n")
    full = ros2("topic", "echo", "--once", "/cli/octets", "--full-length", "--field", "data").stdout
    assert full == "".join(f"- {number}\n" for number in range(200)) + "---\n"


def test_echo_as_csv(ros2: Ros2) -> None:
    assert ros2("topic", "echo", "--once", "/cli/point", "--csv").stdout == "0,0,,0.25,0.0,0.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("/cli/nothing", "--spin-time", "1"), "Could not determine the type for the passed topic"),
        (("/cli/point", "--field", "point.w"), "Invalid field 'point.w'"),
        (("not a name",), "not a name"),
    ],
)
def test_echo_of_something_wrong_fails_with_a_reason(
    arguments: tuple[str, ...], message: str, ros2: Ros2
) -> None:
    result = ros2("topic", "echo", *arguments)
    assert result.returncode == 1
    assert message in result.stderr


def test_echo_ends_on_ctrl_c(environment: dict[str, str]) -> None:
    command = [ROS2, "topic", "echo", "/cli/point"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "header:\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == signal.SIGINT
    assert "Traceback" not in errors


def test_lists(ros2: Ros2) -> None:
    plain = ros2("topic", "list").stdout.splitlines()
    assert plain == sorted(plain)
    assert {"/cli/kept", "/cli/mixed", "/cli/octets", "/cli/point", "/rosout"} <= set(plain)
    assert "/cli/_hidden" not in plain
    typed = ros2("topic", "list", "-t", "--include-hidden-topics").stdout.splitlines()
    assert "/cli/kept [std_msgs/msg/String]" in typed
    assert "/cli/_hidden [std_msgs/msg/String]" in typed
    assert ros2("node", "list").stdout.splitlines() == ["/cli/managed", "/cli/source"]


def test_info(ros2: Ros2) -> None:
    verbose = ros2("topic", "info", "-v", "/cli/kept").stdout
    assert "Publisher count: 1\n" in verbose
    assert verbose.endswith("Subscription count: 0\n\n")
    assert "Node name: source\nNode namespace: /cli\nTopic type: std_msgs/msg/String\n" in verbose
    assert "  Durability: TRANSIENT_LOCAL\n" in verbose


def test_hz(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [ROS2, "topic", "hz", "/cli/point", "--window", "10"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert first.startswith("average rate: ")
    assert float(first.removeprefix("average rate: ")) > 0.0
    assert second.startswith("\tmin: ")
    assert "std dev: " in second
    assert process.returncode == signal.SIGINT


@pytest.mark.parametrize(
    ("verb", "first"),
    [
        ("bw", r"[\d.]+ K?B/s from \d+ messages\n\tMessage size mean: 44 B min: 44 B max: 44 B\n"),
        (
            "delay",
            r"average delay: \d\.\d{3}\n\tmin: \d\.\d{3}s max: \d\.\d{3}s std dev: \d\.\d{5}s window: \d+\n",
        ),
    ],
)
def test_what_is_measured_of_a_topic(verb: str, first: str, environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [ROS2, "topic", verb, "/cli/stamped"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = process.stdout.readline() + process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert re.fullmatch(first, lines), lines
    assert process.returncode == signal.SIGINT


def test_delay_of_what_has_no_stamp_is_refused(ros2: Ros2) -> None:
    wrong = ros2("topic", "delay", "/cli/octets")
    assert (wrong.returncode, wrong.stderr) == (1, "msg does not have header\n")


def test_a_published_message_arrives(ros2: Ros2, environment: dict[str, str]) -> None:
    echo = subprocess.Popen(
        [ROS2, "topic", "echo", "--once", "/cli/asked", "geometry_msgs/msg/PointStamped"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    values = "{header: {frame_id: map}, point: {x: 2}}"
    result = ros2(
        "topic", "pub", "-t", "3", "-r", "20", "/cli/asked", "geometry_msgs/msg/PointStamped", values
    )
    assert result.returncode == 0
    assert re.findall(r"publishing #(\d)", result.stdout) == ["1", "2", "3"]
    assert "frame_id='map'" in result.stdout
    heard, _ = echo.communicate(timeout=TIMEOUT)
    assert "frame_id: map\n" in heard
    assert "x: 2.0\n" in heard
    wrong = ros2("topic", "pub", "-r", "0", "/cli/asked", "std_msgs/msg/String")
    assert wrong.returncode == 1


def test_rate_and_spread_of_known_times() -> None:
    meter = RateMeter(window=4)
    assert meter.report() is None
    for time in (0.0, 100.0, 100.1, 100.3, 100.4, 100.6):  # the first period falls out of the window
        meter.add(time)
    assert meter.report() == "average rate: 6.667\n\tmin: 0.100s max: 0.200s std dev: 0.05000s window: 4"


def test_parameters(ros2: Ros2) -> None:
    names = ros2("param", "list", "/cli/source").stdout.split()
    assert names == ["drive.speed", "names", "rate", "start_type_description_service", "use_sim_time"]
    assert ros2("param", "get", "cli/source", "names").stdout == "String values are: ['a', 'b']\n"
    assert ros2("param", "set", "/cli/source", "rate", "7").stdout == "Set parameter successful\n"
    assert ros2("param", "get", "--hide-type", "/cli/source", "rate").stdout == "7\n"
    wrong = ros2("param", "set", "/cli/source", "rate", "fast")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Setting parameter failed: Wrong parameter type")
    unset = ros2("param", "get", "/cli/source", "nothing")
    assert (unset.returncode, unset.stderr) == (1, "Parameter not set\n")


def test_a_parameter_is_described(ros2: Ros2) -> None:
    shown = ros2("param", "describe", "/cli/source", "drive.speed").stdout
    assert shown.splitlines() == [
        "Parameter name: drive.speed",
        "  Type: double",
        "  Description: How fast.",
        "  Constraints:",
        "    Min value: 0.0",
        "    Max value: 2.0",
        "    Step: 0.5",
    ]
    assert ros2("param", "describe", "/cli/source", "nothing").returncode == 1


def test_dumped_parameters_can_be_loaded(ros2: Ros2, tmp_path: Path) -> None:
    dumped = ros2("param", "dump", "/cli/source").stdout
    held = yaml.safe_load(dumped)["/cli/source"]["ros__parameters"]
    assert held["drive"] == {"speed": 1.5}
    assert held["names"] == ["a", "b"]
    file = tmp_path / "changed.yaml"
    file.write_text(dumped.replace("speed: 1.5", "speed: 0.5"))
    loaded = ros2("param", "load", "/cli/source", str(file))
    assert "Set parameter drive.speed successful\n" in loaded.stdout
    assert ros2("param", "get", "--hide-type", "/cli/source", "drive.speed").stdout == "0.5\n"
    file.write_text(dumped.replace("speed: 1.5", "speed: 9.0"))
    refused = ros2("param", "load", "/cli/source", str(file))
    assert refused.returncode == 1
    assert "Set parameter drive.speed failed: " in refused.stdout
    missing = ros2("param", "load", "/cli/source", str(tmp_path / "missing.yaml"))
    assert missing.returncode == 1
    assert "missing.yaml" in missing.stderr


def test_a_node_is_described(ros2: Ros2) -> None:
    lines = ros2("node", "info", "/cli/source").stdout.splitlines()
    assert lines[0] == "/cli/source"
    title, found = "", {}
    for line in lines[1:]:
        if line.endswith(":"):
            title = line.strip(" :")
            found[title] = []
        else:
            found[title].append(line.strip())
    assert "/cli/point: geometry_msgs/msg/PointStamped" in found["Publishers"]
    assert "/cli/switch: std_srvs/srv/SetBool" in found["Service Servers"]
    assert found["Action Servers"] == ["/cli/look_up: tf2_msgs/action/LookupTransform"]
    assert found["Subscribers"] == found["Service Clients"] == found["Action Clients"] == []


def test_what_nested_interfaces_consist_of(ros2: Ros2) -> None:
    shown = ros2("interface", "show", "--no-comments", "geometry_msgs/msg/PointStamped").stdout
    assert shown.splitlines() == [
        "std_msgs/Header header",
        "\tbuiltin_interfaces/Time stamp",
        "\t\tint32 sec",
        "\t\tuint32 nanosec",
        "\tstring frame_id",
        "Point point",
        "\tfloat64 x",
        "\tfloat64 y",
        "\tfloat64 z",
    ]
    action = ros2("interface", "show", "sam3d_ros/action/Reconstruct").stdout.splitlines()
    assert action.count("---") == 2
    assert ros2("interface", "show", "std_msgs/msg/Nothing").returncode == 1
    assert ros2("interface", "show", "String").returncode == 1


def test_lifecycle(ros2: Ros2) -> None:
    wrong = ros2("lifecycle", "set", "/cli/managed", "activate")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Unknown transition requested, available ones are:\n- configure [1]\n")
    assert ros2("lifecycle", "set", "/cli/managed", "configure").stdout == "Transitioning successful\n"
    assert ros2("lifecycle", "get").stdout == "/cli/managed: inactive [2]\n"


def test_service(ros2: Ros2) -> None:
    result = ros2("service", "call", "/cli/switch", "std_srvs/srv/SetBool", "{data: true}")
    assert result.returncode == 0
    assert "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n" in result.stdout
    assert result.stdout.endswith(
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='done')\n\n"
    )
    wrong = ros2("service", "call", "/cli/switch", "std_srvs/srv/SetBool", "{wrong: true}")
    assert wrong.returncode == 1
    assert "has no field 'wrong'" in wrong.stderr


def test_the_type_of_a_service(ros2: Ros2) -> None:
    assert ros2("service", "type", "/cli/switch").stdout == "std_srvs/srv/SetBool\n"


def test_actions_are_listed_and_described(ros2: Ros2) -> None:
    assert ros2("action", "list", "-t").stdout == "/cli/look_up [tf2_msgs/action/LookupTransform]\n"
    assert ros2("action", "info", "/cli/look_up").stdout.splitlines() == [
        "Action: /cli/look_up",
        "Action clients: 0",
        "Action servers: 1",
        "    /cli/source",
    ]


def test_action(ros2: Ros2) -> None:
    goal = ("/cli/look_up", "tf2_msgs/action/LookupTransform", "{source_frame: camera}")
    result = ros2("action", "send_goal", "--feedback", *goal)
    assert result.returncode == 0
    assert "child_frame_id: camera" in result.stdout
    assert "Feedback:\n" in result.stdout
    assert result.stdout.endswith("Goal finished with status: SUCCEEDED\n")


def test_node_that_is_not_there(ros2: Ros2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ros2cli.graph_node.APPEAR_TIMEOUT", 1.0)
    missing = ros2("param", "get", "/cli/nobody", "rate")
    assert (missing.returncode, missing.stderr) == (1, "Node not found\n")
