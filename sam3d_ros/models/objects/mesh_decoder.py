"""The decoder of meshes: features of voxels four times as fine, and the surface that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from sam3d_ros.models.layers.initialisation import start_linears
from sam3d_ros.models.layers.norms import PointGroupNorm
from sam3d_ros.models.layers.sparse import SparseConvolution, SparsePointwise, subdivide
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.cube_features import CHANNELS, surface_of_cubes
from sam3d_ros.models.objects.flexicubes import Surface
from sam3d_ros.models.objects.latent_decoder import LatentDecoder, LatentDecoderConfig


@dataclass(frozen=True)
class MeshConfig:
    """The head of the mesh decoder.

    Attributes:
        narrowing: divisors of the torso's width after each subdivision.
        groups: of the group norms.
    """

    torso: LatentDecoderConfig
    narrowing: tuple[int, ...] = (4, 8)
    groups: int = 32

    @staticmethod
    def released() -> MeshConfig:
        """The size of the official checkpoint: 256^3 cubes."""
        return MeshConfig(LatentDecoderConfig.released())

    @staticmethod
    def tiny() -> MeshConfig:
        """A size for tests: 32^3 cubes."""
        return MeshConfig(LatentDecoderConfig.tiny(), groups=8)

    @property
    def resolution(self) -> int:
        """Cubes along a side of the canonical cube."""
        return self.torso.resolution * 2 ** len(self.narrowing)


class SubdivisionBlock(nn.Module):
    """Features of voxels -> features of their children, as a residual block."""

    def __init__(self, width_in: int, width_out: int, groups: int) -> None:
        super().__init__()
        self.act_layers = nn.Sequential(PointGroupNorm(groups, width_in), nn.SiLU(inplace=True))
        self.out_layers = nn.ModuleList(
            [
                SparseConvolution(width_in, width_out),
                PointGroupNorm(groups, width_out),
                nn.SiLU(inplace=True),
                SparseConvolution(width_out, width_out),
            ]
        )
        self.skip_connection = SparsePointwise(width_in, width_out)

    def forward(self, x: Tensor, voxels: VoxelSet) -> Tensor:
        widen, norm, activate, refine = self.out_layers
        h = widen.on_children(self.act_layers(x), voxels)
        h = refine(activate(norm(h)), voxels.fine)
        return h.add_(subdivide(self.skip_connection(x)))


class MeshDecoder(LatentDecoder):
    """Latents -> a mesh with vertex colours and normals."""

    def __init__(self, config: MeshConfig) -> None:
        super().__init__(config.torso)
        self.head = config
        widths = [config.torso.width, *(config.torso.width // divisor for divisor in config.narrowing)]
        self.upsample = nn.ModuleList(
            SubdivisionBlock(width_in, width_out, config.groups) for width_in, width_out in pairwise(widths)
        )
        self.out_layer = nn.Linear(widths[-1], CHANNELS)
        start_linears(self.out_layer)

    def cubes(self, latent: Tensor, voxels: VoxelSet) -> tuple[Tensor, VoxelSet]:
        """(N, channels) -> (64 N, 101) float32 features of cubes, and the cubes."""
        x = self.features(latent, voxels).to(self.out_layer.weight.dtype)
        for block in self.upsample:
            x = block(x, voxels)
            voxels = voxels.fine
        return self.out_layer(x).float(), voxels

    def forward(self, latent: Tensor, voxels: VoxelSet) -> Surface:
        """Decode.

        Args:
            latent: (N, channels), destandardised.
            voxels: the N voxels.

        Returns:
            The surface in the canonical frame (z up; the cube [-0.5, 0.5]^3 and half a cube of the grid around
            it), attributes (colour, normal), 0 to 1.
        """
        features, cubes = self.cubes(latent, voxels)
        return surface_of_cubes(features, cubes.coords, self.head.resolution)
