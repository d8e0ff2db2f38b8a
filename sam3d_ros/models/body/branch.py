"""One half of the network: it reads bodies, or hands, from the features of crops."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.crops import Crops
from sam3d_ros.models.body.decoder import Decoder
from sam3d_ros.models.body.keypoints import KEYPOINTS, LEFT_HIP, RIGHT_HIP, KeypointReader
from sam3d_ros.models.body.perceptrons import FeedForward
from sam3d_ros.models.body.pose_head import POSE_CODE, BodyParameters, CameraHead, PoseHead
from sam3d_ros.models.body.projection import (
    BODY_FACTOR,
    HAND_FACTOR,
    crop_condition,
    project,
    rays,
    translation,
)
from sam3d_ros.models.body.rays import RayEmbedding
from sam3d_ros.models.body.rig import JointStates, Skeleton

_CAMERA_CODE = 3
_CONDITION = 3
# A keypoint nearer to the camera, metres, is not seen.
_NEAREST = 1e-5

# Of a centimetre.
_METRES = 0.01


@dataclass(frozen=True, eq=False)
class View:
    """Crops in the view of a camera.

    Attributes:
        crops: B of them.
        K: (B, 3, 3) float32, of the image that each crop is cut from.
    """

    crops: Crops
    K: Tensor

    @property
    def focal(self) -> Tensor:
        """(B,) pixels."""
        return self.K[:, 0, 0]

    @property
    def principal(self) -> Tensor:
        """(B, 2) pixels."""
        return self.K[:, :2, 2]


@dataclass(frozen=True, eq=False)
class Estimate:
    """What the network says of each crop, in the optical frame where no other is named.

    Attributes:
        parameters: pose and shape.
        rig_parameters: (B, 204).
        states: of the joints, in the rig frame.
        keypoints: (B, 70, 3) metres, relative to the place of the body.
        camera: (B, 3) as the network writes it.
        place: (B, 3) metres, of the body in the camera.
        pixels: (B, 70, 2) of the image.
        places: (B, 70, 2) of the keypoints in the crop, from -0.5 to 0.5.
        depths: (B, 70) metres.
    """

    parameters: BodyParameters
    rig_parameters: Tensor
    states: JointStates
    keypoints: Tensor
    camera: Tensor
    place: Tensor
    pixels: Tensor
    places: Tensor
    depths: Tensor

    @property
    def code(self) -> Tensor:
        """(B, 522) pose and camera, as the network is told them again."""
        return torch.cat([self.parameters.code, self.camera], dim=-1)


@dataclass(frozen=True, eq=False)
class Reader:
    """What turns a pose into joints and keypoints: parts of the rig that the networks do not own."""

    skeleton: Skeleton
    keypoints: KeypointReader


def camera_axes(points: Tensor) -> Tensor:
    """(..., 3) centimetres along the axes of the rig (x left, y up, z out of the chest) -> metres along those of a
    camera that faces it."""
    left, upward = points.split([1, 2], dim=-1)
    return torch.cat([_METRES * left, -_METRES * upward], dim=-1)


class Branch(nn.Module):
    """The half of the network that reads bodies, or that for hands."""

    def __init__(self, config: BodyConfig, *, of_hand: bool) -> None:
        super().__init__()
        width, context = config.decoder.width, config.decoder.context_width
        self.config = config
        self.factor = HAND_FACTOR if of_hand else BODY_FACTOR
        self.decoder = Decoder(config.decoder)
        self.head_pose = PoseHead(width, config.rig, of_hand=of_hand)
        self.head_camera = CameraHead(width)
        self.init_pose = nn.Embedding(1, POSE_CODE)
        self.init_camera = nn.Embedding(1, _CAMERA_CODE)
        self.init_to_token_mhr = nn.Linear(_CONDITION + POSE_CODE + _CAMERA_CODE, width)
        self.prev_to_token_mhr = nn.Linear(POSE_CODE + _CAMERA_CODE, width)
        self.ray_cond_emb = RayEmbedding(context, config.encoder.patch)
        self.keypoint_embedding = nn.Embedding(KEYPOINTS, width)
        self.keypoint3d_embedding = nn.Embedding(KEYPOINTS, width)
        self.keypoint_posemb_linear = FeedForward(2, width, width)
        self.keypoint3d_posemb_linear = FeedForward(3, width, width)
        self.keypoint_feat_linear = nn.Linear(context, width)

    def tokens(
        self, view: View, prompts: Tensor, hands: Tensor, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What the decoder begins with.

        Args:
            view: B crops.
            prompts: (B, N, C) encoded prompts.
            hands: (2, C) tokens that find the hands.
            previous: (B, 522) an earlier estimate.

        Returns:
            (B, 2 + N + 2 + 140, C) tokens and their positions.
        """
        batch = len(prompts)
        start = torch.cat([self.init_pose.weight, self.init_camera.weight], dim=-1).expand(batch, -1)
        condition = crop_condition(view.crops.centres, view.crops.sides, view.focal, view.principal)
        pose = self.init_to_token_mhr(torch.cat([condition, start], dim=-1))[:, None]
        before = self.prev_to_token_mhr(start if previous is None else previous)[:, None]
        answers = torch.cat([hands, self.keypoint_embedding.weight, self.keypoint3d_embedding.weight])
        answers = answers.expand(batch, -1, -1)
        given = torch.cat([before, prompts], dim=1)
        tokens = torch.cat([pose, given, answers], dim=1)
        return tokens, torch.cat([torch.zeros_like(pose), given, torch.zeros_like(answers)], dim=1)

    def estimate(self, token: Tensor, view: View, reader: Reader) -> Estimate:
        """(B, C) normalised pose tokens -> what they say."""
        camera = self.head_camera(token) + self.init_camera.weight
        parameters = self.head_pose.decode(self.head_pose(token) + self.init_pose.weight)
        place = translation(
            camera, view.crops.centres, view.crops.sides, view.focal, view.principal, self.factor
        )
        return self.posed(parameters, camera, place, view, reader)

    def posed(
        self, parameters: BodyParameters, camera: Tensor, place: Tensor, view: View, reader: Reader
    ) -> Estimate:
        """A body with these parameters at this place."""
        rig_parameters = self.head_pose.rig_parameters(parameters)
        states = reader.skeleton(rig_parameters)
        keypoints = camera_axes(reader.keypoints(states, parameters.shape))
        pixels, depths = project(keypoints + place[:, None], view.K)
        places = view.crops.to_crop(pixels)
        return Estimate(parameters, rig_parameters, states, keypoints, camera, place, pixels, places, depths)

    def sampled(self, features: Tensor, places: Tensor) -> Tensor:
        """(B, C, h, w) features at (B, K, 2) places of the crop -> (B, K, C); zero beyond."""
        across, down = places.split(1, dim=-1)
        wider = self.config.crop_size / self.config.columns
        grid = torch.cat([2 * wider * across, 2 * down], dim=-1)
        found = F.grid_sample(features, grid[:, :, None], align_corners=False)
        return found[..., 0].transpose(1, 2)

    def look_back(
        self, x: Tensor, x_pe: Tensor, estimate: Estimate, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tell the tokens of the keypoints where the estimate has them."""
        first, middle = -2 * KEYPOINTS, -KEYPOINTS
        inside = (estimate.places.abs() <= 0.5).all(dim=-1) & (estimate.depths >= _NEAREST)
        seen = inside[..., None].to(x.dtype)
        # Behind the camera a place may be infinite, and no factor makes that zero.
        places = estimate.places.masked_fill(~inside[..., None], 0.0)
        flat = self.keypoint_posemb_linear(places) * seen
        found = x[:, first:middle] + self.keypoint_feat_linear(self.sampled(features, places) * seen)
        hips = torch.lerp(estimate.keypoints[:, LEFT_HIP], estimate.keypoints[:, RIGHT_HIP], 0.5)
        solid = self.keypoint3d_posemb_linear(estimate.keypoints - hips[:, None])
        return torch.cat([x[:, :first], found, x[:, middle:]], dim=1), torch.cat(
            [x_pe[:, :first], flat, solid], dim=1
        )

    def forward(
        self,
        features: Tensor,
        positions: Tensor,
        view: View,
        reader: Reader,
        tokens: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, list[Estimate]]:
        """Decode.

        Args:
            features: (B, C, h, w) of the crops, with their masks.
            positions: (1, C, h, w) of the features.
            view: B crops.
            reader: of joints and keypoints.
            tokens: to begin with, and their positions.

        Returns:
            (B, L, C) normalised tokens, and the estimates after each layer; the last is the answer.
        """
        features = self.ray_cond_emb(features, rays(view.crops.grid(self.config.columns), view.K))
        estimates: list[Estimate] = []

        def feedback(layer: int, normal: Tensor, x: Tensor, x_pe: Tensor) -> tuple[Tensor, Tensor]:
            estimates.append(self.estimate(normal[:, 0], view, reader))
            return self.look_back(x, x_pe, estimates[-1], features)

        x, x_pe = tokens
        context, context_pe = (map_.flatten(2).transpose(1, 2) for map_ in (features, positions))
        x = self.decoder(x, context, x_pe, context_pe, feedback)
        estimates.append(self.estimate(x[:, 0], view, reader))
        return x, estimates
