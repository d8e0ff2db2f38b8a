"""The decoder of Gaussian splats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.geometry.splats import Splats
from sam3d_ros.models.layers.embeddings import made_unless_meta
from sam3d_ros.models.layers.initialisation import start_linears
from sam3d_ros.models.layers.norms import layer_norm
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.latent_decoder import LatentDecoder, LatentDecoderConfig


@dataclass(frozen=True)
class GaussianConfig:
    """The head of the Gaussian decoder.

    Attributes:
        per_voxel: Gaussians of a voxel.
        reach: how far a Gaussian may lie from the centre of its voxel, in voxels, times two.
        min_sigma: canonical units.
        start_sigma: sigma of a raw value of zero, canonical units.
        start_opacity: opacity of a raw value of zero.
        rotation_rate: factor on raw rotations.
    """

    torso: LatentDecoderConfig
    per_voxel: int = 32
    reach: float = 1.5
    min_sigma: float = 0.0009
    start_sigma: float = 0.004
    start_opacity: float = 0.1
    rotation_rate: float = 0.1

    @staticmethod
    def released(per_voxel: int = 32) -> GaussianConfig:
        """The official checkpoints have 32 or 4 Gaussians a voxel."""
        return GaussianConfig(LatentDecoderConfig.released(), per_voxel)

    @staticmethod
    def tiny(per_voxel: int = 4) -> GaussianConfig:
        """A size for tests."""
        return GaussianConfig(LatentDecoderConfig.tiny(), per_voxel)


def _radical_inverse(index: int, base: int) -> float:
    result, digit = 0.0, 1.0
    while index:
        digit /= base
        result += digit * (index % base)
        index //= base
    return result


def perturbation(count: int, reach: float) -> Tensor:
    """(count, 3) raw offsets by which the Gaussians of a voxel start apart: a Hammersley set through atanh."""
    points = torch.tensor([[i / count, _radical_inverse(i, 2), _radical_inverse(i, 3)] for i in range(count)])
    return torch.atanh((2 * points - 1) / reach)


@dataclass(frozen=True, eq=False)
class GaussianFields:
    """Splats as tensors, through which gradients pass; for the fields see `Splats`.

    Attributes:
        position: (N, 3) float32.
        color: (N, 3) float32.
        sigma: (N, 3) float32.
        rotation: (N, 4) float32.
        opacity_logit: (N, 1) float32.
    """

    position: Tensor
    color: Tensor
    sigma: Tensor
    rotation: Tensor
    opacity_logit: Tensor

    def arrays(self) -> Splats:
        """The same in the memory of the host."""
        fields = (self.position, self.color, self.sigma, self.rotation, self.opacity_logit)
        return Splats(*(field.detach().cpu().numpy() for field in fields))


class GaussianDecoder(LatentDecoder):
    """Latents -> Gaussians."""

    offset_perturbation: Tensor

    def __init__(self, config: GaussianConfig) -> None:
        super().__init__(config.torso)
        self.head = config
        start = made_unless_meta(lambda: perturbation(config.per_voxel, config.reach), config.per_voxel, 3)
        self.register_buffer("offset_perturbation", start)
        self.out_layer = nn.Linear(config.torso.width, 14 * config.per_voxel)
        start_linears(self.out_layer)

    def raw(self, latent: Tensor, voxels: VoxelSet) -> Tensor:
        """(N, channels) -> (N, 14 G): offsets 3 G, colours 3 G, sizes 3 G, rotations 4 G, opacities G."""
        features = self.features(latent, voxels).to(self.out_layer.weight.dtype)
        return self.out_layer(layer_norm(features, eps=1e-5))

    def forward(self, latent: Tensor, voxels: VoxelSet) -> GaussianFields:
        """Decode (N, channels) latents to N * per_voxel splats, those of a voxel contiguous."""
        head, raw = self.head, self.raw(latent, voxels).float()
        parts = raw.split([channels * head.per_voxel for channels in (3, 3, 3, 4, 1)], dim=1)
        offset, color, size, rotation, opacity = (p.unflatten(1, (head.per_voxel, -1)) for p in parts)

        center = (voxels.coords + 0.5) / self.config.resolution - 0.5
        reach = head.reach / 2 / self.config.resolution
        shift = torch.tanh(offset + self.offset_perturbation.float()) * reach
        # The inverse of softplus at the starting sigma.
        bias = head.start_sigma + math.log(-math.expm1(-head.start_sigma))
        sigma = (F.softplus(size + bias).square() + head.min_sigma**2).sqrt()
        # A raw value of zero stands upright.
        real, imaginary = (head.rotation_rate * rotation).split([1, 3], dim=-1)
        start_logit = math.log(head.start_opacity / (1 - head.start_opacity))
        fields = (
            center[:, None] + shift,
            color,
            sigma,
            torch.cat([real + 1.0, imaginary], dim=-1),
            opacity + start_logit,
        )
        return GaussianFields(*(field.flatten(0, 1) for field in fields))
