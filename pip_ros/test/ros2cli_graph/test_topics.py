"""``ros2 topic`` on a real graph."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ros2cli.verbs.topic_hz import RateMeter

ROS2 = str(Path(sys.prefix) / "bin" / "ros2")
TIMEOUT = 30.0  # seconds
#: Runs ``ros2``; returns its exit code, standard output and standard error.
Ros2 = Callable[..., Any]


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
    assert {"/cli/managed", "/cli/source"} <= set(ros2("node", "list").stdout.splitlines())


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
