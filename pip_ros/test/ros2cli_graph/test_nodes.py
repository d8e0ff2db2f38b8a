"""``ros2 node``, ``param``, ``lifecycle``, ``service``, ``action`` and ``interface`` on a real graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

#: Runs ``ros2``; returns its exit code, standard output and standard error.
Ros2 = Callable[..., Any]


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
    # Others of this machine may have taken the same domain.
    assert "/cli/managed: inactive [2]" in ros2("lifecycle", "get").stdout.splitlines()


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
    listed = ros2("action", "list", "-t").stdout.splitlines()
    assert "/cli/look_up [tf2_msgs/action/LookupTransform]" in listed
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
