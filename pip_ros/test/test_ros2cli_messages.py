"""Messages as text, and text as messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseStamped, PoseWithCovariance
from hypothesis import given
from hypothesis import strategies as st
from ros2cli.command import CommandError
from ros2cli.interface_types import interface_type
from ros2cli.message_text import TextOptions, field_of, message_from_yaml, message_to_csv, message_to_yaml
from sensor_msgs.msg import Image, JointState, PointCloud2, PointField
from std_msgs.msg import Byte, Float32MultiArray, String, UInt8MultiArray

FULL = TextOptions()


def test_message_as_yaml() -> None:
    message = PoseStamped()
    message.header.frame_id = "camera"
    message.header.stamp.nanosec = 5
    message.pose.position.x = 0.5
    assert message_to_yaml(message, FULL) == (
        "header:\n  stamp:\n    sec: 0\n    nanosec: 5\n  frame_id: camera\n"
        "pose:\n  position:\n    x: 0.5\n    y: 0.0\n    z: 0.0\n"
        "  orientation:\n    x: 0.0\n    y: 0.0\n    z: 0.0\n    w: 1.0\n"
    )


def test_arrays_and_texts_are_cut_at_the_length() -> None:
    cut = TextOptions(truncate_length=3)
    assert message_to_yaml(UInt8MultiArray(data=[1, 2, 3, 4]), cut).endswith(
        "data:\n- 1\n- 2\n- 3\n- '...'\n"
    )
    assert message_to_yaml(UInt8MultiArray(data=[1, 2, 3]), cut).endswith("data:\n- 1\n- 2\n- 3\n")
    assert message_to_yaml(String(data="abcd"), cut) == "data: abc...\n"
    assert message_to_yaml(String(data="abc"), cut) == "data: abc\n"


def test_a_large_message_is_cut_before_it_is_converted() -> None:
    image = Image(height=2000, width=3000, step=9000, data=bytes(18_000_000))
    assert len(message_to_yaml(image, TextOptions(truncate_length=128))) < 2000


def test_arrays_and_texts_can_be_left_out() -> None:
    options = TextOptions(no_arr=True, no_str=True)
    message = JointState(name=["a", "b"], position=[1.0])
    plain = yaml.safe_load(message_to_yaml(message, options))
    assert plain["name"] == "<sequence type: string, length: 2>"
    assert plain["position"] == "<sequence type: double, length: 1>"
    assert plain["header"]["frame_id"] == "<string length: <0>>"
    assert (
        yaml.safe_load(message_to_yaml(PoseWithCovariance(), options))["covariance"]
        == "<array type: double[36]>"
    )


def test_flow_style_and_csv() -> None:
    message = PointField(name="x", offset=4, datatype=7, count=1)
    assert (
        message_to_yaml(message, TextOptions(flow_style=True))
        == "{name: x, offset: 4, datatype: 7, count: 1}\n"
    )
    assert message_to_csv(message, FULL) == "x,4,7,1"
    cloud = PointCloud2(fields=[message], height=1)
    assert message_to_csv(cloud, FULL) == "0,0,,1,0,x,4,7,1,False,0,0,False"


def test_byte_is_a_text() -> None:
    assert yaml.safe_load(message_to_yaml(Byte(data=b"\x01"), FULL)) == {"data": "b'\\x01'"}


@pytest.mark.parametrize(
    ("path", "value"),
    [("pose.position.x", 0.5), ("covariance[35]", 2.0), ("pose.orientation.w", 1.0)],
)
def test_field(path: str, value: float) -> None:
    message = PoseWithCovariance()
    message.pose.position.x = 0.5
    message.covariance[35] = 2.0
    assert field_of(message, path) == value
    assert yaml.safe_load(message_to_yaml(field_of(message, path), FULL).removesuffix("...\n")) == value


@pytest.mark.parametrize("path", ["nothing", "pose.nothing", "covariance[36]", "covariance[x]", "pose[0]"])
def test_field_that_is_not_there(path: str) -> None:
    with pytest.raises(CommandError, match="Invalid field"):
        field_of(PoseWithCovariance(), path)


floats = st.floats(allow_nan=False)


@given(floats, st.text(st.characters(exclude_categories=("Cs", "Cc"))), st.lists(floats, max_size=5))
def test_text_becomes_the_message_that_it_was(x: float, frame: str, positions: list[float]) -> None:
    pose = PoseStamped()
    pose.header.frame_id = frame
    pose.pose.position.x = x
    joints = JointState(name=[frame] * len(positions), position=positions)
    for message in (pose, joints):
        assert message_from_yaml(type(message), message_to_yaml(message, FULL)) == message


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=5), st.binary(max_size=5))
def test_arrays_become_what_they_were(values: list[float], data: bytes) -> None:
    numbers, octets = Float32MultiArray(data=values), UInt8MultiArray(data=data)
    for message in (numbers, octets):
        assert message_from_yaml(type(message), message_to_yaml(message, FULL)) == message


def test_missing_values_keep_their_defaults_and_integers_serve_as_floats() -> None:
    pose: Any = message_from_yaml(PoseStamped, "{pose: {position: {x: 1}}}")
    assert pose.pose.position.x == 1.0
    assert pose.pose.orientation.w == 1.0
    assert message_from_yaml(PoseStamped, "") == PoseStamped()
    cloud: Any = message_from_yaml(PointCloud2, "{fields: [{name: x, count: 2}]}")
    assert cloud.fields == [PointField(name="x", count=2)]
    covariance: Any = message_from_yaml(PoseWithCovariance, f"{{covariance: {[1] * 36}}}")
    assert np.array_equal(covariance.covariance, np.ones(36))
    assert math.isclose(covariance.pose.orientation.w, 1.0)


@pytest.mark.parametrize(
    "text",
    ["5", "{nothing: 1}", "{pose: 1}", "{header: {frame_id: [1]}}", "{header: {stamp: {sec: 0.5}}}", "{a: ["],
)
def test_text_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        message_from_yaml(PoseStamped, text)


def test_types_by_name() -> None:
    assert interface_type("std_msgs/msg/String", "msg") is String
    assert interface_type("std_msgs/String", "msg") is String
    for wrong in (
        "String",
        "std_msgs/srv/String",
        "std_msgs/msg/NoSuch",
        "no_such_package/msg/String",
        "a/b/c/d",
    ):
        with pytest.raises(CommandError, match=wrong):
            interface_type(wrong, "msg")
