"""The networks of SAM 3D Objects, and where official checkpoints keep them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import nn

from sam3d_ros.models.objects.conditioning import ConditionConfig, ConditionEncoder
from sam3d_ros.models.objects.gaussians import GaussianConfig, GaussianDecoder
from sam3d_ros.models.objects.geometry_model import GeometryConfig, GeometryModel
from sam3d_ros.models.objects.mesh_decoder import MeshConfig, MeshDecoder
from sam3d_ros.models.objects.refinement_model import RefinementConfig, RefinementModel
from sam3d_ros.models.objects.structure_decoder import StructureDecoder, StructureDecoderConfig


@dataclass(frozen=True)
class ObjectsConfig:
    """All networks.

    Raises:
        ValueError: two parts do not fit together.
    """

    geometry_condition: ConditionConfig
    geometry: GeometryConfig
    structure: StructureDecoderConfig
    refinement_condition: ConditionConfig
    refinement: RefinementConfig
    mesh: MeshConfig
    gaussians: GaussianConfig
    gaussians_4: GaussianConfig

    def __post_init__(self) -> None:
        joints = {
            "shape latents": (self.geometry.shape_channels, self.structure.latent_channels),
            "latent cube": (self.geometry.resolution, self.structure.resolution),
            "stage-1 condition": (self.geometry_condition.width, self.geometry.context_width),
            "stage-2 condition": (self.refinement_condition.width, self.refinement.context_width),
            "voxel grid of the mesh": (self.structure.out_resolution, self.mesh.torso.resolution),
            "voxel grid of the Gaussians": (self.structure.out_resolution, self.gaussians.torso.resolution),
            "voxel latents": (self.refinement.channels, self.mesh.torso.channels),
        }
        for name, (left, right) in joints.items():
            if left != right:
                raise ValueError(f"{name}: one part says {left}, the other {right}; they must agree")

    @staticmethod
    def released() -> ObjectsConfig:
        """The sizes of the official checkpoints."""
        return ObjectsConfig(
            ConditionConfig.released_geometry(),
            GeometryConfig.released(),
            StructureDecoderConfig.released(),
            ConditionConfig.released_refinement(),
            RefinementConfig.released(),
            MeshConfig.released(),
            GaussianConfig.released(32),
            GaussianConfig.released(4),
        )

    @staticmethod
    def tiny() -> ObjectsConfig:
        """Sizes for tests."""
        return ObjectsConfig(
            ConditionConfig.tiny_geometry(),
            GeometryConfig.tiny(),
            StructureDecoderConfig.tiny(),
            ConditionConfig.tiny_refinement(),
            RefinementConfig.tiny(),
            MeshConfig.tiny(),
            GaussianConfig.tiny(8),
            GaussianConfig.tiny(4),
        )


class Part(Enum):
    """A network; the value is its name in converted checkpoints."""

    GEOMETRY_CONDITION = "geometry_condition"
    GEOMETRY = "geometry"
    STRUCTURE = "structure"
    REFINEMENT_CONDITION = "refinement_condition"
    REFINEMENT = "refinement"
    MESH = "mesh"
    GAUSSIANS = "gaussians"
    GAUSSIANS_4 = "gaussians_4"

    def build(self, config: ObjectsConfig) -> nn.Module:
        """Make the network, with whatever weights its layers start with."""
        return _BUILDERS[self](config)

    @property
    def is_decoder(self) -> bool:
        """Whether it turns latents into what is seen; these networks are small, and released in half precision."""
        return self in (Part.STRUCTURE, Part.MESH, Part.GAUSSIANS, Part.GAUSSIANS_4)

    def torso_dtype(self, dtype: torch.dtype, device: torch.device) -> torch.dtype:
        """Dtype of the blocks where `dtype` is asked for.

        On a GPU, decoders in half precision are float16 as released: bfloat16 would cost them 0.5 to 0.85 % of their
        output, against 0.05 %. On a CPU float16 has no fast kernels.
        """
        half = dtype.itemsize == torch.float16.itemsize
        return torch.float16 if half and self.is_decoder and device.type == "cuda" else dtype

    def dtype_of(self, key: str, torso: torch.dtype) -> torch.dtype:
        """Dtype of a tensor: float32 for first and last layers, which are small and set the precision of the whole."""
        return torch.float32 if key.startswith(_EXACT[self]) else torso


_BUILDERS: dict[Part, Callable[[ObjectsConfig], nn.Module]] = {
    Part.GEOMETRY_CONDITION: lambda c: ConditionEncoder(c.geometry_condition),
    Part.GEOMETRY: lambda c: GeometryModel(c.geometry),
    Part.STRUCTURE: lambda c: StructureDecoder(c.structure),
    Part.REFINEMENT_CONDITION: lambda c: ConditionEncoder(c.refinement_condition),
    Part.REFINEMENT: lambda c: RefinementModel(c.refinement),
    Part.MESH: lambda c: MeshDecoder(c.mesh),
    Part.GAUSSIANS: lambda c: GaussianDecoder(c.gaussians),
    Part.GAUSSIANS_4: lambda c: GaussianDecoder(c.gaussians_4),
}

# Beginnings of the keys of what stays in float32: points, times, latents, and what is read from them at the end.
_POINTS = ("module_list.2.point_proj.", "module_list.2.invalid_xyz_token")
_ENDS = ("input_layer.", "out_layer.")
_EXACT: dict[Part, tuple[str, ...]] = {
    Part.GEOMETRY_CONDITION: _POINTS,
    Part.GEOMETRY: ("latent_mapping.", "t_embedder.", "d_embedder."),
    Part.STRUCTURE: _ENDS,
    Part.REFINEMENT_CONDITION: (),
    Part.REFINEMENT: (*_ENDS, "t_embedder."),
    Part.MESH: (*_ENDS, "upsample."),
    Part.GAUSSIANS: (*_ENDS, "offset_perturbation"),
    Part.GAUSSIANS_4: (*_ENDS, "offset_perturbation"),
}

_GENERATOR = "_base_models.generator.reverse_fn.backbone."
_CONDITION = "_base_models.condition_embedder."


@dataclass(frozen=True)
class OfficialFile:
    """A file of the official release.

    Attributes:
        name: file name.
        sha256: of the release.
        parts: prefix of the keys of each part. Keys under other prefixes are no part of the pipeline.
        nested: whether the tensors lie under `state_dict`, as training checkpoints have them.
    """

    name: str
    sha256: str
    parts: dict[str, Part]
    nested: bool


OFFICIAL_FILES = (
    OfficialFile(
        "ss_generator.ckpt",
        "225f40479e4cff4f39d6fa14c55be3abad1475bf55b61af3bec1e19ed2f6c146",
        {_CONDITION: Part.GEOMETRY_CONDITION, _GENERATOR: Part.GEOMETRY},
        nested=True,
    ),
    OfficialFile(
        "slat_generator.ckpt",
        "91529bde8e7daa12d09618a66c319e3a5a6398db6b23b958cedcb1c3f28faabb",
        {_CONDITION: Part.REFINEMENT_CONDITION, _GENERATOR: Part.REFINEMENT},
        nested=True,
    ),
    OfficialFile(
        "ss_decoder.ckpt",
        "6dac1cd7b7fda5a38e0614fadae441f1794f80e39ea2981f1ac8aff0a7e99340",
        {"": Part.STRUCTURE},
        nested=False,
    ),
    OfficialFile(
        "slat_decoder_mesh.ckpt",
        "85907b37b67d8ce5b099a96629bdcfbd873eb407dee6b3aa9a75deb15038db33",
        {"": Part.MESH},
        nested=False,
    ),
    OfficialFile(
        "slat_decoder_gs.ckpt",
        "f8077c36a06eaf890dd93cda1937411f793dea1eb80b3dd9329f2038ba84a111",
        {"": Part.GAUSSIANS},
        nested=False,
    ),
    OfficialFile(
        "slat_decoder_gs_4.ckpt",
        "731a0eceaa47945b52aa27f650d695b2aea9cc70945751e5609e5cb5b49f0186",
        {"": Part.GAUSSIANS_4},
        nested=False,
    ),
)
