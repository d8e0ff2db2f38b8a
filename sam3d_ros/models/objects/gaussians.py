"""The decoder of Gaussian splats, and their file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.norms import layer_norm
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.latent_decoder import LatentDecoder, LatentDecoderConfig

#: Value of the constant spherical harmonic.
SH_DEGREE_0 = 0.28209479177387814


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


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Splats in the canonical frame (z up, cube [-0.5, 0.5]^3), those of a voxel contiguous.

    Attributes:
        position: (N, 3) float32.
        color: (N, 3) float32 constant spherical harmonic; see `rgb`.
        sigma: (N, 3) float32 standard deviations, canonical units.
        rotation: (N, 4) float32 quaternion w x y z, not normalised.
        opacity_logit: (N, 1) float32.
    """

    position: Tensor
    color: Tensor
    sigma: Tensor
    rotation: Tensor
    opacity_logit: Tensor

    @property
    def unit_rotation(self) -> Tensor:
        """(N, 4) unit quaternion w x y z."""
        return F.normalize(self.rotation, dim=-1)

    @property
    def opacity(self) -> Tensor:
        """(N, 1) 0 to 1."""
        return self.opacity_logit.sigmoid()

    @property
    def rgb(self) -> Tensor:
        """(N, 3) 0 to 1."""
        return (0.5 + SH_DEGREE_0 * self.color).clamp(0, 1)


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


class GaussianDecoder(LatentDecoder):
    """Latents -> Gaussians."""

    offset_perturbation: Tensor

    def __init__(self, config: GaussianConfig) -> None:
        super().__init__(config.torso)
        self.head = config
        self.register_buffer("offset_perturbation", perturbation(config.per_voxel, config.reach))
        self.out_layer = nn.Linear(config.torso.width, 14 * config.per_voxel)

    def raw(self, latent: Tensor, voxels: VoxelSet) -> Tensor:
        """(N, channels) -> (N, 14 G): offsets 3 G, colours 3 G, sizes 3 G, rotations 4 G, opacities G."""
        return self.out_layer(layer_norm(self.features(latent, voxels), eps=1e-5))

    def forward(self, latent: Tensor, voxels: VoxelSet) -> Gaussians:
        """Decode (N, channels) latents to N * per_voxel Gaussians."""
        head, raw = self.head, self.raw(latent, voxels).float()
        parts = raw.split([channels * head.per_voxel for channels in (3, 3, 3, 4, 1)], dim=1)
        offset, color, size, rotation, opacity = (p.unflatten(1, (head.per_voxel, -1)) for p in parts)

        center = (voxels.coords + 0.5) / self.config.resolution - 0.5
        shift = torch.tanh(offset + self.offset_perturbation.float()) * (
            head.reach / 2 / self.config.resolution
        )
        bias = head.start_sigma + math.log(-math.expm1(-head.start_sigma))
        sigma = (F.softplus(size + bias).square() + head.min_sigma**2).sqrt()
        return Gaussians(
            position=(center[:, None] + shift).flatten(0, 1),
            color=color.flatten(0, 1),
            sigma=sigma.flatten(0, 1),
            rotation=(head.rotation_rate * rotation + rotation.new_tensor([1.0, 0.0, 0.0, 0.0])).flatten(
                0, 1
            ),
            opacity_logit=opacity.flatten(0, 1) + math.log(head.start_opacity / (1 - head.start_opacity)),
        )


_PLY_FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz"),
    *("f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def write_ply(path: Path, gaussians: Gaussians) -> None:
    """Write splats as viewers of Gaussian splatting read them: binary PLY, canonical frame, z up."""
    columns = [
        gaussians.position,
        torch.zeros_like(gaussians.position),
        gaussians.color,
        gaussians.opacity_logit,
        gaussians.sigma.log(),
        gaussians.rotation,
    ]
    table: NDArray[np.float32] = torch.cat(columns, dim=1).cpu().numpy().astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property float {name}" for name in _PLY_FIELDS]
    with path.open("wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        file.write(table.tobytes())
