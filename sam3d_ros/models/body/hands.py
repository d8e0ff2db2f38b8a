"""Hands: where they are, whether a close look at them is to be believed, and how it corrects the body.

Every hand is read as a right one, the left from a mirrored image. Tensors of both hands are (N, 2, ...), the
left one first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sam3d_ros.models.body.branch import Estimate
from sam3d_ros.models.body.crops import Crops
from sam3d_ros.models.body.keypoints import LEFT_ELBOW, LEFT_WRIST, RIGHT_ELBOW, RIGHT_WRIST
from sam3d_ros.models.body.pose_code import HAND_CODE
from sam3d_ros.models.body.pose_head import SIZE_CODE, BodyParameters, PoseHead
from sam3d_ros.models.body.prompts import no_prompts
from sam3d_ros.models.body.rig import IDENTITY, JointStates
from sam3d_ros.models.body.rotations import angle_between, matrix_from_xzy, xzy_from_matrix
from sam3d_ros.models.body.wrists import within_reach

# Of the left and the right side: joints of the rig, keypoints, and body angles (twist, sideways bend, bend).
_LOWER_ARMS = (76, 40)
_WRIST_TWISTS = (77, 41)
_RIGHT_WRIST_JOINT = 42
_WRISTS = (LEFT_WRIST, RIGHT_WRIST)
_WRIST_ANGLES = (slice(41, 44), slice(31, 34))
# Coefficients: size of the left and right hand, sizes of fingers, shape of hands.
_HAND_SIZES = (9, 8)
_RIGHT_HAND_SIZE = 8
_FINGER_SIZES = slice(18, 28)
_HAND_SHAPE = slice(40, 45)

#: A hand is believed if its crop is larger than this, pixels of the image, ...
SMALLEST_CROP = 64.0
# ... and its wrist is nearer to that of the body than this share of its crop.
_FARTHEST_WRIST = 0.25


@dataclass(frozen=True, eq=False)
class Hands:
    """Both hands of N people, after a close look.

    Attributes:
        code: (N, 2, 54) poses of the fingers.
        rig_from_wrist: (N, 2, 3, 3).
        wrists: (N, 2, 2) pixels of the image.
        sizes: (N, 2, 28) coefficients as the body has them.
        shape: (N, 2, 45) coefficients.
        crop_sides: (N, 2) pixels of the image.
        inside: (N, 2) whether all keypoints are within the crop.
    """

    code: Tensor
    rig_from_wrist: Tensor
    wrists: Tensor
    sizes: Tensor
    shape: Tensor
    crop_sides: Tensor
    inside: Tensor

    @staticmethod
    def unseen(crops: Crops) -> Hands:
        """Hands in these crops, N left and N right ones, none of which was looked at."""
        sides = crops.sides.unflatten(0, (2, -1)).T
        shapes = {
            "code": (HAND_CODE,), "rig_from_wrist": (3, 3), "wrists": (2,), "sizes": (SIZE_CODE,), "shape": (IDENTITY,),
        }  # fmt: skip
        zeros = {name: sides.new_zeros(*sides.shape, *shape) for name, shape in shapes.items()}
        return Hands(**zeros, crop_sides=sides, inside=torch.zeros_like(sides, dtype=torch.bool))


def hand_boxes(found: Tensor, crops: Crops) -> Tensor:
    """(N, 2, 4) centre and extent from 0 to 1 within the crops of bodies -> (N, 2, 4) square boxes x1, y1, x2,
    y2 in pixels of the image."""
    centres = crops.in_image(found[..., :2])
    scale = crops.crop_from_image[:, 0, 0].to(found)
    half = found[..., 2:].amax(dim=-1) * crops.size / scale[:, None] / 2
    return torch.cat([centres - half[..., None], centres + half[..., None]], dim=-1)


def mirrored_boxes(boxes: Tensor, width: int) -> Tensor:
    """(N, 4) boxes in an image of this width -> the boxes in its mirror image."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2 - 1, y1, width - x1 - 1, y2], dim=-1)


def mirrored_intrinsics(K: Tensor, width: int) -> Tensor:
    """(B, 3, 3) of an image of this width -> of its mirror image."""
    mirrored = K.clone()
    mirrored[:, 0, 2] = width - 1 - K[:, 0, 2]
    return mirrored


def hands_of(estimate: Estimate, rows: Tensor, crops: Crops, head: PoseHead, width: int) -> Hands:
    """Both hands in the image.

    Args:
        estimate: of K right hands.
        rows: (K,) which of the crops they are from; a hand that was not looked at is not inside its crop.
        crops: of 2 N hands: N left ones in the mirrored image, then N right ones.
        head: that the hands were read by.
        width: of the image.
    """

    def pairs(values: Tensor) -> Tensor:
        every = values.new_zeros(len(crops.sides), *values.shape[1:])
        every[rows] = values
        return every.unflatten(0, (2, -1)).transpose(0, 1).clone()

    wrists = pairs(estimate.pixels[:, RIGHT_WRIST])
    wrists[:, 0, 0] = width - wrists[:, 0, 0] - 1
    rotations = pairs(estimate.states.rotations[:, _RIGHT_WRIST_JOINT])
    rotations[:, 0, 1:].neg_()
    sizes = pairs(estimate.parameters.sizes)
    left, right = _HAND_SIZES
    mean, deviation = head.scale_mean, head.scale_comps.diagonal()
    real = mean[right] + deviation[right] * sizes[:, 0, _RIGHT_HAND_SIZE]
    sizes[:, 0, left] = (real - mean[left]) / deviation[left]
    return Hands(
        code=pairs(estimate.parameters.hands.chunk(2, dim=-1)[1]),
        rig_from_wrist=rotations,
        wrists=wrists,
        sizes=sizes,
        shape=pairs(estimate.parameters.shape),
        crop_sides=crops.sides.unflatten(0, (2, -1)).T,
        inside=pairs((estimate.places.abs() < 0.5).flatten(1).all(dim=1)),
    )


def wrist_rotations(body: Tensor) -> Tensor:
    """(N, 133) angles of bodies -> (N, 2, 3, 3) turned wrist from lower arm."""
    twist, sideways, bend = torch.stack([body[:, angles] for angles in _WRIST_ANGLES], dim=1).unbind(-1)
    return matrix_from_xzy(torch.stack([twist, bend, sideways], dim=-1))


def fitted_wrists(states: JointStates, hands: Hands, head: PoseHead) -> Tensor:
    """(N, 2, 3, 3) how wrists must turn for these arms to hold these hands."""
    arms = torch.stack([states.rotations[:, arm] for arm in _LOWER_ARMS], dim=1)
    twists = torch.stack([head.joint_rotation[twist] for twist in _WRIST_TWISTS])
    return (arms @ twists).mT @ hands.rig_from_wrist


def believable(body: Estimate, hands: Hands, head: PoseHead, largest_turn: float, *, crossed: bool) -> Tensor:
    """Which hands fit the body that they were found on.

    Args:
        body: before its hands were looked at.
        hands: after.
        head: of bodies.
        largest_turn: between the wrist of the body and that of the hand, radians.
        crossed: whether each hand is measured by the crop of the other (see `Quirks`).

    Returns:
        (N, 2) bool.
    """
    turn = angle_between(wrist_rotations(body.parameters.body), fitted_wrists(body.states, hands, head))
    rulers = hands.crop_sides.flip(1) if crossed else hands.crop_sides
    wrists = torch.stack([body.pixels[:, wrist] for wrist in _WRISTS], dim=1)
    apart = (hands.wrists - wrists).norm(dim=-1) / rulers
    large = hands.crop_sides > SMALLEST_CROP
    return (turn < largest_turn) & large & hands.inside & (apart < _FARTHEST_WRIST)


def prompts_of_hands(body: Estimate, hands: Hands, believed: Tensor, crops: Crops) -> Tensor:
    """Wrists and elbows as prompts for a second look at the body.

    Args:
        body: N people.
        hands: of them.
        believed: (N, 2) which hands to use.
        crops: of the bodies.

    Returns:
        (N, 4, 3) right wrist, left wrist, right elbow, left elbow; `NO_PROMPT` where a hand is not used.
    """
    left_wrist, right_wrist = crops.to_crop(hands.wrists).unbind(1)
    elbows = (body.places[:, RIGHT_ELBOW], body.places[:, LEFT_ELBOW])
    places = torch.stack([right_wrist, left_wrist, *elbows], dim=1)
    used = believed.flip(1).repeat(1, 2) & (places.abs() < 0.5).all(dim=-1)
    prompts = F.pad((places + 0.5).clamp(0.0, 1.0), (0, 1))
    for row, keypoint in enumerate((RIGHT_WRIST, LEFT_WRIST, RIGHT_ELBOW, LEFT_ELBOW)):
        prompts[:, row, 2].fill_(keypoint)
    return torch.where(used[..., None], prompts, no_prompts(prompts))


def with_hands(
    body: Estimate, hands: Hands, believed: Tensor, first_wrists: Tensor, head: PoseHead, largest_turn: float
) -> tuple[BodyParameters, Tensor]:
    """Put hands on bodies.

    Args:
        body: N people, after the second look.
        hands: of them.
        believed: (N, 2) which fitted the body at first.
        first_wrists: (N, 2, 3, 3) turns of the wrists before the second look.
        head: of bodies.
        largest_turn: radians.

    Returns:
        The parameters with fingers, wrists, and sizes and shapes of hands; and (N, 2) which hands were used.
    """
    turns = fitted_wrists(body.states, hands, head)
    used = believed & (angle_between(first_wrists, turns) < largest_turn)
    parameters = body.parameters
    twist, bend, sideways = within_reach(xzy_from_matrix(turns)).unbind(-1)
    angles = torch.stack([twist, sideways, bend], dim=-1)
    pose, sizes = parameters.body.clone(), parameters.sizes.clone()
    for side, (rows, size) in enumerate(zip(_WRIST_ANGLES, _HAND_SIZES, strict=True)):
        use = used[:, side, None]
        pose[:, rows] = torch.where(use, angles[:, side], pose[:, rows])
        sizes[:, size] = torch.where(used[:, side], hands.sizes[:, side, size], sizes[:, size])
    code = torch.where(used[..., None], hands.code, parameters.hands.unflatten(-1, (2, -1))).flatten(1)
    shape = parameters.shape.clone()
    sizes[:, _FINGER_SIZES] = _mean_of(used, hands.sizes[..., _FINGER_SIZES], sizes[:, _FINGER_SIZES])
    shape[:, _HAND_SHAPE] = _mean_of(used, hands.shape[..., _HAND_SHAPE], shape[:, _HAND_SHAPE])
    return parameters.replaced(body=pose, sizes=sizes, hands=code, shape=shape), used


def _mean_of(used: Tensor, values: Tensor, otherwise: Tensor) -> Tensor:
    """(N, 2), (N, 2, K), (N, K) -> (N, K) the mean over the hands in use, or what is given for none."""
    weight = used[..., None].to(values.dtype)
    count = weight.sum(dim=1)
    return torch.where(count > 0, (weight * values).sum(dim=1) / count.clamp(min=1), otherwise)
