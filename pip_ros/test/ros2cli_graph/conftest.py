"""A graph of its own, and ``ros2`` to look at it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from ros2cli.cli import main

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
