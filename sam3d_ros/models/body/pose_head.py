"""The head that reads a body pose from a token, and the way from there to the parameters of the rig."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.perceptrons import FeedForward
from sam3d_ros.models.body.pose_code import (
    ANGLE_ORDER,
    BODY_CODE,
    FINGERS,
    HAND_ANGLES,
    HAND_CODE,
    JAW,
    body_angles,
    hand_angles,
)
from sam3d_ros.models.body.rig import EXPRESSION, IDENTITY, JOINTS, PARAMETERS, RigConfig
from sam3d_ros.models.body.rotations import matrix_from_6d, matrix_from_xyz, xyz_from_matrix
from sam3d_ros.models.layers.derived import Derived

#: Coefficients of the sizes of the skeleton, and the sizes of the rig that they stand for.
SIZE_CODE, SIZES = 28, 68
#: Body angles that the rig takes; the rest of the 133 is the jaw.
POSE = 130
#: Numbers of one pose: root, body, shape, sizes, both hands, face.
POSE_CODE = 6 + BODY_CODE + IDENTITY + SIZE_CODE + 2 * HAND_CODE + EXPRESSION

_KEYPOINT_ROWS = 308
_NOT_HAND = 145
_DECIMETRES = 10.0


@dataclass(frozen=True, eq=False)
class BodyParameters:
    """A pose and a shape, in the network's terms.

    Attributes:
        code: (B, 519) as the network writes it, the face neutral.
        root: (B, 3) angles of the root about the fixed x, then y, then z of the rig.
        offset: (B, 3) translation of the root, metres in the rig frame.
        body: (B, 133) angles in radians, and six lengths; fingers and jaw are zero.
        shape: (B, 45) coefficients.
        sizes: (B, 28) coefficients.
        hands: (B, 108) code of the left and the right hand, relative to their mean.
    """

    code: Tensor
    root: Tensor
    offset: Tensor
    body: Tensor
    shape: Tensor
    sizes: Tensor
    hands: Tensor

    def replaced(self, **changes: Tensor) -> BodyParameters:
        """The same with other values; the code stays that of the network."""
        return replace(self, **changes)


class PoseHead(Derived):
    """Token -> pose.

    Derived are the order of body angles, and the parameters of the rig that move the fingers of the left and then the
    right hand.

    Args:
        width: of a token.
        rig: sizes of the rig that the stored keypoints refer to.
        of_hand: whether the root that it reads is the right wrist, as in the branch of hands.
    """

    joint_rotation: Tensor
    scale_mean: Tensor
    scale_comps: Tensor
    hand_pose_mean: Tensor
    hand_pose_comps: Tensor
    hand_joint_idxs_left: Tensor
    hand_joint_idxs_right: Tensor
    keypoint_mapping: Tensor
    right_wrist_coords: Tensor
    root_coords: Tensor
    local_to_world_wrist: Tensor
    nonhand_param_idxs: Tensor
    angle_order: Tensor
    finger_parameters: Tensor

    def __init__(self, width: int, rig: RigConfig, *, of_hand: bool) -> None:
        super().__init__()
        self.of_hand = of_hand
        self.proj = FeedForward(width, width, POSE_CODE)
        floats = {
            "joint_rotation": (JOINTS, 3, 3),
            "scale_mean": (SIZES,),
            "scale_comps": (SIZE_CODE, SIZES),
            "hand_pose_mean": (HAND_CODE,),
            "hand_pose_comps": (HAND_CODE, HAND_CODE),
            # Not used; kept because the official network has it.
            "hand_pose_comps_ori": (HAND_CODE, HAND_CODE),
            "keypoint_mapping": (_KEYPOINT_ROWS, rig.vertices + JOINTS),
            "right_wrist_coords": (3,),
            "root_coords": (3,),
            "local_to_world_wrist": (3, 3),
        }
        integers = {
            "faces": (rig.triangles, 3),
            "hand_joint_idxs_left": (HAND_ANGLES,),
            "hand_joint_idxs_right": (HAND_ANGLES,),
            "nonhand_param_idxs": (_NOT_HAND,),
        }
        for name, shape in floats.items():
            self.register_buffer(name, torch.zeros(shape))
        for name, shape in integers.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64))

    def derive(self) -> dict[str, Tensor]:
        """Orders of angles."""
        return {
            "angle_order": torch.tensor(ANGLE_ORDER, device=self.scale_mean.device),
            "finger_parameters": torch.cat([self.hand_joint_idxs_left, self.hand_joint_idxs_right]),
        }

    def decode(self, code: Tensor) -> BodyParameters:
        """(B, 519) -> the pose. Nothing of the face is used: it was not trained."""
        root, body, shape, sizes, hands, face = code.split(
            [6, BODY_CODE, IDENTITY, SIZE_CODE, 2 * HAND_CODE, EXPRESSION], dim=-1
        )
        # The network learned to write the angles about z, y and x where the rig has those about x, y and z.
        angles = xyz_from_matrix(matrix_from_6d(root)).flip(-1)
        offset = torch.zeros_like(angles)
        if self.of_hand:
            angles, offset = self._root_of_wrist(angles)
        pose = body_angles(body, self.angle_order)
        pose[..., FINGERS].zero_()
        pose[..., JAW].zero_()
        neutral = torch.cat([code[..., :-EXPRESSION], torch.zeros_like(face)], dim=-1)
        return BodyParameters(neutral, angles, offset, pose, shape, sizes, hands)

    def _root_of_wrist(self, wrist: Tensor) -> tuple[Tensor, Tensor]:
        """Angles and offset of the root that put the right wrist at the origin, with these angles."""
        rotation = matrix_from_xyz(wrist) @ self.local_to_world_wrist
        arm = self.right_wrist_coords - self.root_coords
        return xyz_from_matrix(rotation), -(rotation @ arm + self.root_coords)

    def sizes(self, code: Tensor) -> Tensor:
        """(B, 28) coefficients -> (B, 68) sizes of the rig's skeleton."""
        return self.scale_mean + code @ self.scale_comps

    def rig_parameters(self, pose: BodyParameters) -> Tensor:
        """(B, 204) parameters of the rig."""
        parameters = torch.cat(
            [pose.offset * _DECIMETRES, pose.root, pose.body[..., :POSE], self.sizes(pose.sizes)], dim=-1
        )
        hands = pose.hands.unflatten(-1, (2, -1)) @ self.hand_pose_comps
        angles = hand_angles(self.hand_pose_mean + hands).flatten(-2)
        parameters.index_copy_(-1, self.finger_parameters, angles)
        if self.of_hand:
            parameters.index_fill_(-1, self.nonhand_param_idxs, 0.0)
        assert parameters.shape[-1] == PARAMETERS
        return parameters

    def forward(self, token: Tensor) -> Tensor:
        """(B, C) -> (B, 519) change of the pose code."""
        return self.proj(token)


class CameraHead(nn.Module):
    """Token -> change of the camera: (B, C) -> (B, 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = FeedForward(width, width, 3)

    def forward(self, token: Tensor) -> Tensor:
        return self.proj(token)
