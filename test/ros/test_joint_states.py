"""The angles of a person as a JointState."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic_bodies import SKELETON, standing_body
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros.body_messages import joint_state
from sam3d_ros.ros.stamps import header_message

HEADER = header_message(1_500_000_000, "map")


def told_of(estimate: BodyEstimate) -> JointState:
    body = TrackedBody(4, 1, estimate, Similarity(), estimate.keypoints)
    return deserialize_message(serialize_message(joint_state(body, HEADER)), JointState)


def test_the_angles_that_there_are_carry_names() -> None:
    message = told_of(standing_body())
    assert message.header.stamp == HEADER.stamp
    assert list(message.name) == ["root_rz", "l_upleg_rz", "c_head_rz"]
    assert list(message.position) == pytest.approx([0.0, 0.1, 0.2])
    assert not message.velocity and not message.effort


def test_every_axis_has_its_letter() -> None:
    angles = np.arange(9, dtype=np.float32).reshape(3, 3)
    message = told_of(replace(standing_body(), joint_angles=angles))
    names = [f"{joint}_r{axis}" for joint in SKELETON.joints for axis in "xyz"]
    assert dict(zip(message.name, message.position, strict=True)) == dict(zip(names, range(9), strict=True))
