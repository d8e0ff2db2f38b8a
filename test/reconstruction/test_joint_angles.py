"""The angles of the joints that the networks answer: forward kinematics of them leads to the joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analytic_bodies import labelled_frame
from rig_kinematics import NamedAngles

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.reconstruction.bodies import SKELETON, BodyNetworkReconstructor
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig

#: The axes of the rig (left, up, out of the chest) in a camera that faces it.
CAMERA_FROM_RIG = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module", params=["full", "body"])
def people(request: pytest.FixtureRequest, tiny_body_checkpoint: Path) -> list[BodyEstimate]:
    """Two people as the camera alone suggests them."""
    labels = np.zeros((120, 160), np.uint16)
    labels[10:110, 10:70], labels[5:115, 90:150] = 3, 8
    frame = labelled_frame(0, labels, {3: "person", 8: "person"}).without_points()
    config = BodyNetworkConfig(
        checkpoint=str(tiny_body_checkpoint), device="cpu", dtype="float32", mode=request.param
    )
    return BodyNetworkReconstructor(config).reconstruct(frame, [3, 8])


def named(body: BodyEstimate) -> dict[str, float]:
    known = np.argwhere(~np.isnan(body.joint_angles))
    return {f"{SKELETON.joints[j]}_r{'xyz'[a]}": float(body.joint_angles[j, a]) for j, a in known}


def test_kinematics_of_the_angles_lead_to_the_joints(people: list[BodyEstimate]) -> None:
    rig = NamedAngles(list(SKELETON.joints))
    for body in people:
        places, rotations = rig.pose(named(body), body.rig.model)
        # The rig stands where the camera sees it; the world joint is its origin.
        expected = body.joints[0] + (places - places[0]) @ CAMERA_FROM_RIG
        np.testing.assert_allclose(body.joints, expected, atol=1e-5)
        np.testing.assert_allclose(body.joint_rotations, CAMERA_FROM_RIG @ rotations, atol=1e-5)


def test_every_angle_matters_and_none_is_left_out(people: list[BodyEstimate]) -> None:
    rig = NamedAngles(list(SKELETON.joints))
    angles = named(people[0])
    assert set(angles) == rig.degrees_of_freedom()
    places, _ = rig.pose({}, people[0].rig.model)
    posed, _ = rig.pose(angles, people[0].rig.model)
    assert np.abs(places - posed).max() > 0.05
