"""The transformer that the mesh and the Gaussian decoder share: attention in windows that shift."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from sam3d_ros.models.layers.attention import FeedForward, for_varying_lengths
from sam3d_ros.models.layers.embeddings import position_sinusoid
from sam3d_ros.models.layers.initialisation import start_linears
from sam3d_ros.models.layers.norms import layer_norm
from sam3d_ros.models.layers.sparse import WindowedSelfAttention
from sam3d_ros.models.layers.voxels import VoxelSet


@dataclass(frozen=True)
class LatentDecoderConfig:
    """The transformer over voxel latents.

    Attributes:
        resolution: voxels along a side of the canonical cube.
        window: side of an attention window, voxels; every second block shifts it by half.
    """

    resolution: int = 64
    channels: int = 8
    width: int = 768
    blocks: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    window: int = 8

    @staticmethod
    def released() -> LatentDecoderConfig:
        """The size of the official checkpoints."""
        return LatentDecoderConfig()

    @staticmethod
    def tiny() -> LatentDecoderConfig:
        """A size for tests: 8^3 voxels."""
        return LatentDecoderConfig(resolution=8, width=64, blocks=2, heads=4)


class LatentDecoderBlock(nn.Module):
    """Windowed self attention and feed forward."""

    def __init__(self, config: LatentDecoderConfig, shift: int) -> None:
        super().__init__()
        self.attn = WindowedSelfAttention(config.width, config.heads, config.window, shift)
        self.mlp = FeedForward(config.width, config.mlp_ratio)

    def forward(self, x: Tensor, voxels: VoxelSet) -> Tensor:
        x = x + self.attn(layer_norm(x), voxels)
        return x + self.mlp(layer_norm(x))


class LatentDecoder(nn.Module):
    """Latents -> features of each voxel; the decoders inherit it because their checkpoints name its layers."""

    def __init__(self, config: LatentDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.input_layer = nn.Linear(config.channels, config.width)
        self.blocks = nn.ModuleList(
            LatentDecoderBlock(config, shift=config.window // 2 * (index % 2))
            for index in range(config.blocks)
        )
        start_linears(self)

    def features(self, latent: Tensor, voxels: VoxelSet) -> Tensor:
        """(N, channels) -> (N, width)."""
        x = self.input_layer(latent.to(self.input_layer.weight.dtype))
        x = x + position_sinusoid(voxels.coords, self.config.width).to(x.dtype)
        # The first layer, and what follows the blocks, may be more precise than these.
        x = x.to(self.blocks[0].attn.to_qkv.weight.dtype)
        with for_varying_lengths():
            for block in self.blocks:
                x = block(x, voxels)
        return x
