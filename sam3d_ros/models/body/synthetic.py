"""Networks and rigs with random weights, for timing and for tests without a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.joints import JOINT_NAMES
from sam3d_ros.models.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINTS, NAMES
from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.pose_head import PoseHead
from sam3d_ros.models.body.rig import JOINTS, Rig
from sam3d_ros.models.weights import loaded, on_meta

M = TypeVar("M", bound=nn.Module)

# Small, so that no output is decided by its bias.
_BIAS_SCALE = 0.1
# Of what heads add to what a network begins with, so that it stays near to that.
_HEAD_SCALE = 0.02
# What a network begins with: a body that fills most of its crop, upright before the camera.
_CAMERA = (-0.9, 0.0, 0.0)
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# Vertices that a keypoint of the skin is the mean of.
_VERTICES_OF_KEYPOINT = 8
# Parameters of the rig that move fingers, first those of the right hand.
_RIGHT_FINGERS, _LEFT_FINGERS = range(68, 95), range(95, 122)


@torch.no_grad()
def random_network(
    config: BodyConfig, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, seed: int = 0
) -> BodyNetwork:
    """A network that finds a person in any crop; the encoder is in `dtype`, the rest in float32."""
    network = _empty(lambda: BodyNetwork(config), device)
    network.backbone.to(dtype)
    _draw(network, torch.Generator(device).manual_seed(seed))
    for head in (network.body.head_pose, network.hand.head_pose):
        _fill_head(head, config.rig.vertices)
    for branch in (network.body, network.hand):
        for last in (branch.head_camera.proj.layers[1], branch.head_pose.proj.layers[1]):
            last.weight.mul_(_HEAD_SCALE)
            last.bias.mul_(_HEAD_SCALE)
        branch.init_camera.weight.copy_(torch.tensor([_CAMERA]))
        branch.init_pose.weight.zero_()
        branch.init_pose.weight[:, :6] = torch.tensor(_UPRIGHT)
        branch.head_pose.refresh()
    return network


@torch.no_grad()
def random_rig(config: BodyConfig, device: str | torch.device = "cpu", seed: int = 0) -> Rig:
    """A rig whose joints hang on each other in a binary tree, with a skin of random points around them."""
    rig = _empty(lambda: Rig(config.rig), device)
    generator = torch.Generator(device).manual_seed(seed)
    for value in rig.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator, device=device) * 0.01)
    skeleton = rig.skeleton
    skeleton.parents.copy_((torch.arange(JOINTS, device=device) + 1) // 2 - 1)
    skeleton.prerotations.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(JOINTS, 4))
    skeleton.offsets.copy_(10 * torch.randn(JOINTS, 3, generator=generator, device=device))
    if rig.skin is not None:
        vertices = torch.arange(config.rig.vertices, device=device)
        rig.skin.base.copy_(30 * torch.randn(len(vertices), 3, generator=generator, device=device))
        rig.skin.weights.zero_()[vertices, vertices % JOINTS] = 1.0
        rig.skin.joint_from_rest.copy_(torch.eye(3, 4, device=device).expand(JOINTS, 3, 4))
        corners = torch.arange(config.rig.triangles, device=device)[:, None] + torch.arange(3, device=device)
        rig.triangles.copy_(corners % len(vertices))
        rig.skin.refresh()
    skeleton.refresh()
    return rig


def _empty(build: Callable[[], M], device: str | torch.device) -> M:
    """A module whose tensors are yet to be filled."""
    state = on_meta(build).state_dict()
    # Zeros, from which nothing absurd is derived; -1 for the joints, which makes all of them roots.
    values = {
        key: torch.full(value.shape, -1 if key.endswith("parents") else 0, dtype=value.dtype, device=device)
        for key, value in state.items()
    }
    return loaded(build, values)


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            value.zero_()
        elif name.endswith("periods"):
            value.copy_(100.0 ** (torch.arange(len(value)) / len(value)))
        elif value.ndim < 2 and name.endswith(("weight", "gamma", "bias_mask")):
            value.fill_(1.0)
        else:
            scale = 1.0 / math.sqrt(value[0].numel()) if value.ndim > 1 else _BIAS_SCALE
            value.copy_(scale * torch.randn(value.shape, generator=generator, device=generator.device))


def _fill_head(head: PoseHead, vertices: int) -> None:
    """The tables of a head: every hand decodes to something, and keypoints lie on joints or on the skin."""
    head.joint_rotation.copy_(torch.eye(3).expand(JOINTS, 3, 3))
    head.local_to_world_wrist.copy_(torch.eye(3))
    head.scale_mean.zero_()
    head.scale_comps.copy_(0.1 * torch.eye(*head.scale_comps.shape))
    head.hand_pose_comps.copy_(torch.eye(len(head.hand_pose_comps)))
    head.hand_joint_idxs_left.copy_(torch.tensor(_LEFT_FINGERS))
    head.hand_joint_idxs_right.copy_(torch.tensor(_RIGHT_FINGERS))
    head.keypoint_mapping.copy_(_mapping(len(head.keypoint_mapping), vertices))


def _mapping(rows: int, vertices: int) -> Tensor:
    mapping = torch.zeros(rows, vertices + JOINTS)
    for row, name in enumerate(NAMES[:KEYPOINTS]):
        if name in JOINT_OF_KEYPOINT:
            mapping[row, vertices + JOINT_NAMES.index(JOINT_OF_KEYPOINT[name])] = 1.0
        else:
            first = row * _VERTICES_OF_KEYPOINT % max(1, vertices - _VERTICES_OF_KEYPOINT)
            mapping[row, first : first + _VERTICES_OF_KEYPOINT] = 1 / _VERTICES_OF_KEYPOINT
    return mapping
