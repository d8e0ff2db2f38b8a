"""From an image and boxes to posed bodies: the order in which the parts of the network are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from sam3d_ros.models.body.branch import Branch, Estimate, Reader, View, camera_axes
from sam3d_ros.models.body.crops import BODY_PADDING, HAND_PADDING, Crops, crops_of_boxes, cut
from sam3d_ros.models.body.hands import (
    SMALLEST_CROP,
    Hands,
    believable,
    hand_boxes,
    hands_of,
    mirrored_boxes,
    mirrored_intrinsics,
    prompts_of_hands,
    with_hands,
    wrist_rotations,
)
from sam3d_ros.models.body.keypoints import KEYPOINTS, RIGHT_HAND, KeypointReader
from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.prompts import NO_PROMPT, no_prompts
from sam3d_ros.models.body.quirks import Quirks
from sam3d_ros.models.body.rig import Rig
from sam3d_ros.models.body.stages import DECODE, DECODE_AGAIN, DECODE_HANDS, ENCODE, ENCODE_HANDS

#: Largest turn between the wrist of a body and that of its hand, radians, for the hand to be believed.
WRIST_TURN = 1.4


class Mode(Enum):
    """What is looked at."""

    FULL = "full"  #: bodies, then their hands from near, then the bodies again
    BODY = "body"  #: bodies alone, with the hands as they appear there
    HAND = "hand"  #: boxes are right hands


@dataclass(frozen=True, eq=False)
class Scene:
    """An image with people, as tensors on one device.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) float32 x1, y1, x2, y2, pixels.
        K: (3, 3) float32.
        masks: (N, H, W) uint8, 0 or 1; None for no masks.
        scores: (N,) how far each mask is trusted, 0 to 1; None for fully.
        keypoints: (N, K, 3) pixels and label of keypoints that are known; None for none.
    """

    image: Tensor
    boxes: Tensor
    K: Tensor
    masks: Tensor | None = None
    scores: Tensor | None = None
    keypoints: Tensor | None = None


@dataclass(frozen=True, eq=False)
class People:
    """N posed people.

    Attributes:
        estimate: of each.
        rotations: (N, 127, 3, 3) rig_from_joint.
        hands_used: (N, 2) bool, whether the left and right hand were seen from near and believed.
        hand_boxes: (N, 2, 4) what was looked at from near, pixels; None if hands were not.
    """

    estimate: Estimate
    rotations: Tensor
    hands_used: Tensor
    hand_boxes: Tensor | None


class Pipeline:
    """Network, rig, and what joins them.

    Args:
        network: with weights.
        rig: that the network was trained with, or one of joints alone.
        quirks: official mistakes to repeat.
        wrist_turn: see `WRIST_TURN`.
    """

    def __init__(
        self,
        network: BodyNetwork,
        rig: Rig,
        *,
        quirks: Quirks | None = None,
        wrist_turn: float = WRIST_TURN,
    ) -> None:
        self.network, self.rig = network, rig
        self.quirks = quirks or Quirks()
        self.wrist_turn = wrist_turn
        body, hand = (branch.head_pose.keypoint_mapping for branch in (network.body, network.hand))
        # Between layers the network is told keypoints alone: few of them need the skin, and those of hands none.
        device = body.device
        self._body = Reader(rig.skeleton, KeypointReader(body, rig, slice(0, KEYPOINTS)).to(device))
        self._hand = Reader(rig.skeleton, KeypointReader(hand, rig, RIGHT_HAND).to(device))

    def __call__(
        self, scene: Scene, mode: Mode = Mode.FULL, begin: Callable[[str], None] = lambda stage: None
    ) -> People:
        """Pose everybody in one batch; `begin` is told the stages, which `stages` names."""
        if mode is Mode.HAND:
            return self._right_hands(scene, begin)
        begin(ENCODE)
        view = self._view(scene.boxes, BODY_PADDING, scene.K)
        features = self.network.features(_images(cut(scene.image, view.crops)))
        features = self._with_masks(features, view.crops, scene)
        given = _prompts(scene.keypoints, view.crops)
        begin(DECODE)
        answer = self.network.decode(self.network.body, features, view, self._body, given)
        body = answer.estimate
        if mode is Mode.BODY:
            none = torch.zeros(len(scene.boxes), 2, dtype=torch.bool, device=features.device)
            return People(body, body.states.rotations, none, None)
        hands, boxes = self._look_at_hands(scene, answer.hands, view, begin)
        begin(DECODE_AGAIN)
        return self._with_hands(scene, features, view, body, hands, boxes, given)

    @property
    def exact_keypoints(self) -> Tensor:
        """(70,) bool, which keypoints the rig has; the others are those of a near joint."""
        return self._body.keypoints.exact

    def skin(self, estimate: Estimate) -> Tensor | None:
        """(N, V, 3) vertices of an estimate, metres along the axes of the camera from the place of the body;
        None for a rig of joints alone."""
        if self.rig.skin is None:
            return None
        return camera_axes(self.rig.skin(estimate.states, estimate.parameters.shape))

    def _view(self, boxes: Tensor, padding: float, K: Tensor) -> View:
        crops = crops_of_boxes(boxes, padding, self.network.config.crop_size)
        return View(crops, K.expand(len(boxes), 3, 3))

    def _with_masks(self, features: Tensor, crops: Crops, scene: Scene) -> Tensor:
        if scene.masks is None:
            return self.network.without_masks(features)
        masks = cut(scene.masks[..., None], crops).permute(0, 3, 1, 2).float()
        scores = features.new_ones(len(features)) if scene.scores is None else scene.scores
        return self.network.with_masks(features, masks, scores)

    def _look_at_hands(
        self, scene: Scene, found: Tensor, view: View, begin: Callable[[str], None]
    ) -> tuple[Hands, Tensor]:
        """Both hands of everybody in one batch, and the squares that they were seen in."""
        begin(ENCODE_HANDS)
        width, count = scene.image.shape[1], len(scene.boxes)
        left, right = hand_boxes(found, view.crops).unbind(1)
        boxes = torch.cat([mirrored_boxes(left, width), right])
        K = scene.K.expand(2 * count, 3, 3)
        if not self.quirks.unmirrored_camera:
            K = torch.cat([mirrored_intrinsics(K[:count], width), K[count:]])
        crops = crops_of_boxes(boxes, HAND_PADDING, self.network.config.crop_size)
        # A hand that would be too small to be believed need not be looked at.
        large = crops.sides > SMALLEST_CROP
        looked_at = (
            large.tolist()
        )  # the only time that the processor waits for the device between image and answer
        rows = torch.nonzero_static(large, size=sum(looked_at))[:, 0]
        squares = torch.stack([mirrored_boxes(crops.boxes[:count], width), crops.boxes[count:]], dim=1)
        if not any(looked_at):
            return Hands.unseen(crops), squares
        lefts = sum(looked_at[:count])
        seen = crops[rows]
        pixels = [cut(scene.image.flip(1), seen[:lefts]), cut(scene.image, seen[lefts:])]
        estimate = self._hands_in(_images(torch.cat(pixels)), View(seen, K[rows]), begin)
        return hands_of(estimate, rows, crops, self.network.hand.head_pose, width), squares

    def _hands_in(self, images: Tensor, view: View, begin: Callable[[str], None]) -> Estimate:
        features = self.network.without_masks(self.network.features(images))
        begin(DECODE_HANDS)
        return self.network.decode(self.network.hand, features, view, self._hand).estimate

    def _with_hands(
        self,
        scene: Scene,
        features: Tensor,
        view: View,
        body: Estimate,
        hands: Hands,
        boxes: Tensor,
        given: Tensor | None,
    ) -> People:
        branch: Branch = self.network.body
        head, turn = branch.head_pose, self.wrist_turn
        first_wrists = wrist_rotations(body.parameters.body)
        crossed = self.quirks.crossed_wrist_distance
        believed = believable(body, hands, head, turn, crossed=crossed)
        prompts = prompts_of_hands(body, hands, believed, view.crops)
        if self.quirks.prompts_of_one_dropped and len(prompts) == 1:
            prompts = prompts[:, prompts[0, :, 2] != NO_PROMPT]
        if given is not None:
            prompts = torch.cat([prompts, given], dim=1)
        if prompts.shape[1]:
            body = self.network.decode(branch, features, view, self._body, prompts, body.code).estimate
        parameters, used = with_hands(body, hands, believed, first_wrists, head, turn)
        shown = view
        if self.quirks.centred_projection:
            K = view.K.clone()
            K[:, 0, 2], K[:, 1, 2] = scene.image.shape[1] / 2, scene.image.shape[0] / 2
            shown = View(view.crops, K)
        final = branch.posed(parameters, body.camera, body.place, shown, self._body)
        rotations = body.states.rotations if self.quirks.stale_rotations else final.states.rotations
        return People(final, rotations, used, boxes)

    def _right_hands(self, scene: Scene, begin: Callable[[str], None]) -> People:
        begin(ENCODE_HANDS)
        view = self._view(scene.boxes, HAND_PADDING, scene.K)
        estimate = self._hands_in(_images(cut(scene.image, view.crops)), view, begin)
        used = torch.zeros(len(scene.boxes), 2, dtype=torch.bool, device=scene.boxes.device)
        used[:, 1].fill_(True)
        return People(estimate, estimate.states.rotations, used, None)


def _images(pixels: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) from 0 to 1."""
    return pixels.permute(0, 3, 1, 2).float() / 255


def _prompts(keypoints: Tensor | None, crops: Crops) -> Tensor | None:
    """(N, K, 3) pixels and labels -> (N, K, 3) places from 0 to 1 in the crops; those beyond are ignored."""
    if keypoints is None or keypoints.shape[1] == 0:
        return None
    places = crops.to_crop(keypoints[..., :2])
    known = (places.abs() < 0.5).all(dim=-1, keepdim=True) & (keypoints[..., 2:] >= 0)
    prompts = torch.cat([places + 0.5, keypoints[..., 2:]], dim=-1)
    return torch.where(known, prompts, no_prompts(prompts))
