"""Rotations and the continuous code of poses."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.models.body.pose_code import (
    ANGLE_ORDER,
    BALL_JOINTS,
    BODY_CODE,
    FINGERS,
    HAND_JOINTS,
    HINGES,
    LENGTHS,
    body_angles,
    body_code,
    code_from_xyz,
    hand_angles,
    hand_code,
    xyz_from_6d,
)
from sam3d_ros.models.body.rotations import (
    angle_between,
    matrix_from_6d,
    matrix_from_quaternion,
    matrix_from_xyz,
    matrix_from_xzy,
    wrapped,
    xyz_from_matrix,
    xzy_from_matrix,
)
from sam3d_ros.models.body.wrists import within_reach

TOLERANCE = 1e-6
ORDER = torch.tensor(ANGLE_ORDER)


def test_rotation_parity(body_set, assert_near):
    data = body_set("conversions").load()
    matrix = matrix_from_6d(data["rot6d_in"])
    assert_near(matrix, data["rot6d_to_rotmat_out"], TOLERANCE)
    assert_near(xyz_from_matrix(matrix).flip(-1), data["zyx_euler_out"], TOLERANCE)
    rotations = data["rotmat_in"]
    assert_near(xyz_from_matrix(rotations), data["roma_xyz_euler_out"], TOLERANCE)
    assert_near(xyz_from_matrix(rotations).flip(-1), data["roma_ZYX_euler_out"], TOLERANCE)
    assert_near(xzy_from_matrix(rotations), data["roma_XZY_euler_out"], TOLERANCE)
    assert_near(matrix_from_xyz(data["euler_in"]), data["roma_xyz_rotmat_out"], TOLERANCE)
    assert_near(matrix_from_xyz(data["euler_in"]), data["batch9DFromXYZ_out"], TOLERANCE)
    assert_near(matrix_from_xzy(data["euler_in"]), data["roma_XZY_rotmat_out"], TOLERANCE)
    assert_near(angle_between(rotations, data["rotmat_in2"]), data["angle_diff_out"], TOLERANCE)


def test_code_parity(body_set, assert_near):
    conversions = body_set("conversions")
    indices, data = conversions.config["indices"], conversions.load()
    assert [list(joint) for joint in BALL_JOINTS] == indices["body_3dof"]
    assert list(HINGES) == indices["body_1dof"]
    assert list(LENGTHS) == indices["body_trans"]
    assert list(HAND_JOINTS) == indices["hand_dofs"]
    assert list(range(FINGERS.start, FINGERS.stop)) == indices["param_hand_idxs"]
    assert_near(xyz_from_6d(data["xyz6d_in"]), data["batchXYZfrom6D_out"], TOLERANCE)
    assert_near(code_from_xyz(data["euler_in"]), data["batch6DFromXYZ_out"], TOLERANCE)
    assert_near(xyz_from_6d(code_from_xyz(data["euler_in"])), data["xyz_roundtrip_out"], TOLERANCE)
    assert_near(body_angles(data["body_cont_in"], ORDER), data["body_params_out"], TOLERANCE)
    assert_near(body_code(data["body_params_in"]), data["body_cont_out"], TOLERANCE)
    roundtrip = body_angles(body_code(data["body_params_in"]), ORDER)
    assert_near(roundtrip, data["body_params_roundtrip_out"], TOLERANCE)
    assert_near(hand_angles(data["hand_cont_in"]), data["hand_params_out"], TOLERANCE)
    assert_near(hand_code(data["hand_params_in"]), data["hand_cont_out"], TOLERANCE)
    assert_near(body_code(torch.zeros(1, 133)), data["zero_pose_cont"], TOLERANCE)
    # The same pose as whole matrices, of three dimensions and (transposed) of two.
    angles = body_angles(data["body_cont_in"], ORDER)
    balls = matrix_from_xyz(angles[:, torch.tensor(BALL_JOINTS)]).flatten(1)
    cos, sin = angles[:, HINGES].cos(), angles[:, HINGES].sin()
    hinges = torch.stack([cos, sin, -sin, cos], dim=-1)
    whole = torch.cat([balls, hinges.flatten(1), angles[:, LENGTHS]], dim=1)
    assert_near(whole, data["body_rotmat_out"], TOLERANCE)


def test_wrist_parity(body_set, assert_near):
    data = body_set("conversions").load()
    assert_near(within_reach(data["wrist_xzy_in"]), data["fix_wrist_out"], TOLERANCE)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_rotations_agree_with_scipy_and_invert(seed):
    generator = torch.Generator().manual_seed(seed)
    angles = (torch.rand(5, 3, generator=generator, dtype=torch.float64) - 0.5) * 2 * math.pi
    for order, build, read in (
        ("xyz", matrix_from_xyz, xyz_from_matrix),
        ("XZY", matrix_from_xzy, xzy_from_matrix),
    ):
        expected = torch.from_numpy(Rotation.from_euler(order, angles.numpy()).as_matrix())
        torch.testing.assert_close(build(angles), expected)
        torch.testing.assert_close(build(read(expected)), expected)
    quaternions = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    expected = torch.from_numpy(Rotation.from_quat(quaternions.numpy()).as_matrix())
    torch.testing.assert_close(matrix_from_quaternion(3.0 * quaternions), expected)
    turned = torch.remainder(angles - wrapped(angles), 2 * math.pi)
    assert torch.minimum(turned, 2 * math.pi - turned).max() < 1e-9
    assert wrapped(angles).abs().max() <= math.pi


def test_a_right_angle_keeps_the_rotation():
    for sign in (-1.0, 1.0):
        angles = torch.tensor([0.4, sign * math.pi / 2, -0.3], dtype=torch.float64)
        for build, read in ((matrix_from_xyz, xyz_from_matrix), (matrix_from_xzy, xzy_from_matrix)):
            matrix = build(angles)
            torch.testing.assert_close(build(read(matrix)), matrix, atol=1e-9, rtol=0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_code_does_not_depend_on_the_length_of_its_vectors(seed):
    generator = torch.Generator().manual_seed(seed)
    code = torch.randn(2, BODY_CODE, generator=generator, dtype=torch.float64)
    longer = code.clone()
    longer[:, : -len(LENGTHS)] *= 2.5
    torch.testing.assert_close(body_angles(longer, ORDER), body_angles(code, ORDER))
    again = body_angles(body_code(body_angles(code, ORDER)), ORDER)
    torch.testing.assert_close(again, body_angles(code, ORDER))
