"""The continuous code in which the network writes joint angles, and the angles of the rig.

A joint of three degrees of freedom is written as two columns of its rotation matrix, one of one degree as
`(sin, cos)`, a length as itself. Both are free of the jump at a half turn that angles have.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sam3d_ros.models.body.rotations import matrix_from_xyz, xyz_from_matrix

BODY_ANGLES = 133
BODY_CODE = 260
HAND_ANGLES = 27
HAND_CODE = 54

#: Rows of body angles that belong to joints of three degrees of freedom (x, y, z), in the order of the code.
BALL_JOINTS = (
    (0, 2, 4), (6, 8, 10), (12, 13, 14), (15, 16, 17), (18, 19, 20), (21, 22, 23), (24, 25, 26), (27, 28, 29),
    (34, 35, 36), (37, 38, 39), (44, 45, 46), (53, 54, 55), (64, 65, 66), (85, 69, 73), (86, 70, 79),
    (87, 71, 82), (88, 72, 76), (91, 92, 93), (112, 96, 100), (113, 97, 106), (114, 98, 109), (115, 99, 103),
    (130, 131, 132),
)  # fmt: skip
#: Lengths among the body angles.
LENGTHS = tuple(range(124, 130))
#: Hinges: all other body angles.
HINGES = tuple(
    i for i in range(BODY_ANGLES) if i not in LENGTHS and not any(i in joint for joint in BALL_JOINTS)
)
#: Of each body angle, where among those of ball joints, then of hinges, then lengths it is found.
ANGLE_ORDER = tuple(
    [*(i for joint in BALL_JOINTS for i in joint), *HINGES, *LENGTHS].index(angle)
    for angle in range(BODY_ANGLES)
)
#: Body angles of fingers, which the network writes in the code of hands instead.
FINGERS = slice(62, 116)
#: Body angles of the jaw, which the rig moves by expression instead.
JAW = slice(130, 133)
#: Degrees of freedom of the joints of a hand: pinky, ring, middle and index by three, then the thumb by four.
HAND_JOINTS = (3, 1, 1) * 4 + (2, 3, 1, 1)


def xyz_from_6d(code: Tensor) -> Tensor:
    """(..., 6) two columns, not yet orthonormal -> (..., 3) angles about the fixed x, then y, then z.

    Here the third column is found first, unlike in `rotations.matrix_from_6d`.
    """
    first = F.normalize(code[..., :3], dim=-1)
    third = F.normalize(torch.linalg.cross(first, code[..., 3:]), dim=-1)
    second = torch.linalg.cross(third, first)
    return xyz_from_matrix(torch.stack([first, second, third], dim=-1))


def code_from_xyz(angles: Tensor) -> Tensor:
    """(..., 3) angles about the fixed x, then y, then z -> (..., 6) the first two columns of the matrix."""
    return matrix_from_xyz(angles)[..., :2].transpose(-1, -2).flatten(-2)


def angle_from_sine_cosine(code: Tensor) -> Tensor:
    """(..., 2 N) pairs of sine and cosine, of any length -> (..., N) angles."""
    sine, cosine = code.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.atan2(sine, cosine)


def sine_cosine(angles: Tensor) -> Tensor:
    """(..., N) angles -> (..., 2 N) pairs of sine and cosine."""
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def body_angles(code: Tensor, order: Tensor) -> Tensor:
    """(B, 260) code and `ANGLE_ORDER` on its device -> (B, 133) angles in radians, and six lengths."""
    balls, hinges, lengths = code.split([6 * len(BALL_JOINTS), 2 * len(HINGES), len(LENGTHS)], dim=-1)
    turned = xyz_from_6d(balls.unflatten(-1, (-1, 6))).flatten(-2)
    return torch.cat([turned, angle_from_sine_cosine(hinges), lengths], dim=-1).index_select(-1, order)


def body_code(angles: Tensor) -> Tensor:
    """(B, 133) angles -> (B, 260) code."""
    balls = code_from_xyz(angles[..., torch.tensor(BALL_JOINTS)]).flatten(-2)
    return torch.cat([balls, sine_cosine(angles[..., HINGES]), angles[..., LENGTHS]], dim=-1)


# Of the codes and the angles of a hand: four fingers, of a ball joint and two hinges each; then the thumb, of a
# saddle joint of two degrees of freedom, a ball joint and two hinges.
_FOUR_FINGERS = 4
_FINGER_CODE, _THUMB_CODE = (6, 4), (4, 6, 4)
_FINGER_ANGLES, _THUMB_ANGLES = (3, 2), (2, 3, 2)


def hand_angles(code: Tensor) -> Tensor:
    """(..., 54) code of one hand -> (..., 27) angles."""
    fingers, thumb = code.split([_FOUR_FINGERS * sum(_FINGER_CODE), sum(_THUMB_CODE)], dim=-1)
    balls, hinges = fingers.unflatten(-1, (_FOUR_FINGERS, -1)).split(_FINGER_CODE, dim=-1)
    saddle, ball, ends = thumb.split(_THUMB_CODE, dim=-1)
    turned = xyz_from_6d(torch.cat([balls, ball[..., None, :]], dim=-2))
    bent = angle_from_sine_cosine(torch.cat([hinges.flatten(-2), saddle, ends], dim=-1))
    bent, saddle, ends = bent.split([2 * _FOUR_FINGERS, 2, 2], dim=-1)
    four = torch.cat([turned[..., :-1, :], bent.unflatten(-1, (_FOUR_FINGERS, 2))], dim=-1)
    return torch.cat([four.flatten(-2), saddle, turned[..., -1, :], ends], dim=-1)


def hand_code(angles: Tensor) -> Tensor:
    """(..., 27) angles of one hand -> (..., 54) code."""
    fingers, thumb = angles.split([_FOUR_FINGERS * sum(_FINGER_ANGLES), sum(_THUMB_ANGLES)], dim=-1)
    balls, hinges = fingers.unflatten(-1, (_FOUR_FINGERS, -1)).split(_FINGER_ANGLES, dim=-1)
    four = torch.cat([code_from_xyz(balls), sine_cosine(hinges)], dim=-1).flatten(-2)
    saddle, ball, ends = thumb.split(_THUMB_ANGLES, dim=-1)
    return torch.cat([four, sine_cosine(saddle), code_from_xyz(ball), sine_cosine(ends)], dim=-1)
