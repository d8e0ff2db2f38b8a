"""The 70 keypoints of a body: their names, the lines between them, and where the rig has them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.joints import JOINT_NAMES
from sam3d_ros.models.body.rig import JOINTS, JointStates, Rig, Skin

KEYPOINTS = 70

_BODY = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_big_toe_tip", "left_small_toe_tip", "left_heel", "right_big_toe_tip", "right_small_toe_tip",
    "right_heel",
)  # fmt: skip
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_KNUCKLES = ("tip", "first_joint", "second_joint", "third_joint")
_EXTRA = (
    "left_olecranon", "right_olecranon", "left_cubital_fossa", "right_cubital_fossa", "left_acromion",
    "right_acromion", "neck",
)  # fmt: skip


def _hand(side: str) -> tuple[str, ...]:
    return (*(f"{side}_{finger}_{knuckle}" for finger in _FINGERS for knuckle in _KNUCKLES), f"{side}_wrist")


#: Name of each keypoint.
NAMES = (*_BODY, *_hand("right"), *_hand("left"), *_EXTRA)
LEFT_ELBOW, RIGHT_ELBOW = NAMES.index("left_elbow"), NAMES.index("right_elbow")
LEFT_WRIST, RIGHT_WRIST = NAMES.index("left_wrist"), NAMES.index("right_wrist")
LEFT_HIP, RIGHT_HIP = NAMES.index("left_hip"), NAMES.index("right_hip")
#: Keypoints of the right hand with its wrist, the only ones that the hand branch gives.
RIGHT_HAND = slice(NAMES.index("right_thumb_tip"), RIGHT_WRIST + 1)

_BODY_LINKS = (
    (13, 11), (11, 9), (14, 12), (12, 10), (9, 10), (5, 9), (6, 10), (5, 6), (5, 7), (6, 8), (7, 62), (8, 41),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (13, 15), (13, 16), (13, 17), (14, 18), (14, 19),
    (14, 20),
)  # fmt: skip


def _finger_links(wrist: int, first: int) -> tuple[tuple[int, int], ...]:
    chains = ((wrist, tip + 3, tip + 2, tip + 1, tip) for tip in range(first, wrist, 4))
    return tuple(pair for chain in chains for pair in pairwise(chain))


#: Pairs of keypoints that a drawing joins by a line.
LINKS = (
    *_BODY_LINKS,
    *_finger_links(LEFT_WRIST, NAMES.index("left_thumb_tip")),
    *_finger_links(RIGHT_WRIST, RIGHT_HAND.start),
)


def _finger_joints(side: str) -> dict[str, str]:
    ends = dict(zip(_KNUCKLES, ("_null", "3", "2", "1"), strict=True))
    return {
        f"{side}_{finger}_{knuckle}": f"{side[0]}_{finger}{end}"
        for finger in _FINGERS
        for knuckle, end in ends.items()
    }


def _side_joints(side: str) -> dict[str, str]:
    parts = {"shoulder": "uparm", "hip": "upleg", "knee": "lowleg", "wrist": "wrist_twist"}
    body = {f"{side}_{part}": f"{side[0]}_{joint}" for part, joint in parts.items()}
    return body | _finger_joints(side)


#: Keypoints that are joints of the rig: name -> name of the joint. A rig of joints alone gives these.
JOINT_OF_KEYPOINT = _side_joints("left") | _side_joints("right")


# Joints next to the keypoints that lie on the skin, for a rig without: within 3 cm for elbows, ankles, neck and
# eyes, and within a hand's length for the others.
_JOINT_NEAR_KEYPOINT = {
    "nose": "c_head", "left_eye": "l_eye_null", "right_eye": "r_eye_null", "left_ear": "c_head",
    "right_ear": "c_head", "neck": "c_neck",
} | {
    f"{side}_{keypoint}": f"{side[0]}_{joint}"
    for side in ("left", "right")
    for keypoint, joint in {
        "elbow": "lowarm", "ankle": "talocrural", "big_toe_tip": "ball", "small_toe_tip": "ball",
        "heel": "talocrural", "olecranon": "lowarm", "cubital_fossa": "lowarm", "acromion": "uparm",
    }.items()
}  # fmt: skip


class KeypointReader(nn.Module):
    """Keypoints as weighted sums of vertices and joints, with no more of the skin computed than they need.

    Args:
        mapping: (N, V + J) weights of the vertices and then of the joints; its first 70 rows are used.
        rig: with the same vertices, or of joints alone: then keypoints of the skin are those of a near joint,
            and `exact` is False.
        rows: which keypoints are needed; the others are zero.
    """

    from_vertices: Tensor
    from_joints: Tensor
    exact: Tensor

    def __init__(self, mapping: Tensor, rig: Rig, rows: slice = slice(0, KEYPOINTS)) -> None:
        super().__init__()
        wanted = torch.zeros_like(mapping[:KEYPOINTS])
        wanted[rows] = mapping[:KEYPOINTS][rows]
        on_skin, on_joints = wanted[:, :-JOINTS], wanted[:, -JOINTS:]
        vertices = on_skin.ne(0).any(dim=0).nonzero()[:, 0]
        self.skin: Skin | None = None
        exact = torch.ones(KEYPOINTS, dtype=torch.bool, device=mapping.device)
        if rig.skin is None:
            exact = ~on_skin.ne(0).any(dim=1)
            on_joints = torch.where(exact[:, None], on_joints, _near_joints().to(on_joints))
        elif on_skin.shape[1] != rig.config.vertices:
            raise ValueError(
                f"the keypoints are defined on {on_skin.shape[1]} vertices and the rig has "
                f"{rig.config.vertices}: use the rig of the checkpoint"
            )
        elif len(vertices):
            self.skin = rig.skin.only(vertices)
        self.register_buffer("from_vertices", on_skin[:, vertices])
        self.register_buffer("from_joints", on_joints)
        self.register_buffer("exact", exact)

    def forward(self, states: JointStates, identity: Tensor) -> Tensor:
        """Joints and the shape (B, 45) -> (B, 70, 3) keypoints in the rig frame, centimetres."""
        keypoints = self.from_joints @ states.positions
        if self.skin is not None:
            keypoints = keypoints + self.from_vertices @ self.skin(states, identity)
        return keypoints


def _near_joints() -> Tensor:
    """(70, J) weights that put a keypoint on a joint."""
    weights = torch.zeros(KEYPOINTS, JOINTS)
    for keypoint, joint in (_JOINT_NEAR_KEYPOINT | JOINT_OF_KEYPOINT).items():
        weights[NAMES.index(keypoint), JOINT_NAMES.index(joint)] = 1.0
    return weights
