"""From the shape latent of stage 1 to a grid of occupancy."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.norms import ChannelLayerNorm


@dataclass(frozen=True)
class StructureDecoderConfig:
    """The decoder of occupancy.

    Attributes:
        resolution: side of the latent cube; each entry of `channels` after the first doubles it.
        channels: channels at each resolution, coarse to fine.
        blocks: residual blocks at each resolution.
        middle_blocks: further blocks before the first.
    """

    resolution: int = 16
    latent_channels: int = 8
    channels: tuple[int, ...] = (512, 128, 32)
    blocks: int = 2
    middle_blocks: int = 2
    out_channels: int = 1

    @staticmethod
    def released() -> StructureDecoderConfig:
        """The size of the official checkpoint: 16^3 latents, 64^3 voxels."""
        return StructureDecoderConfig()

    @staticmethod
    def tiny() -> StructureDecoderConfig:
        """A size for tests: 4^3 latents, 8^3 voxels."""
        return StructureDecoderConfig(resolution=4, channels=(16, 8), blocks=1, middle_blocks=1)

    @property
    def out_resolution(self) -> int:
        """Side of the occupancy grid."""
        return self.resolution * 2 ** (len(self.channels) - 1)


def _convolution(channels_in: int, channels_out: int) -> nn.Conv3d:
    return nn.Conv3d(channels_in, channels_out, 3, padding=1)


class ResidualBlock(nn.Module):
    """Two convolutions, each after a norm and a SiLU, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels)
        self.norm2 = ChannelLayerNorm(channels)
        self.conv1 = _convolution(channels, channels)
        self.conv2 = _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class Upsample(nn.Module):
    """A convolution to eight times the channels, which become the eight sub-voxels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = _convolution(channels_in, 8 * channels_out)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.conv(x).unflatten(1, (-1, 2, 2, 2))
        woven = parts.permute(0, 1, 5, 2, 6, 3, 7, 4)
        return woven.flatten(6, 7).flatten(4, 5).flatten(2, 3)


class StructureDecoder(nn.Module):
    """Shape tokens -> occupancy logits."""

    def __init__(self, config: StructureDecoderConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.input_layer = _convolution(config.latent_channels, channels[0])
        self.middle_block = nn.Sequential(*(ResidualBlock(channels[0]) for _ in range(config.middle_blocks)))
        blocks: list[nn.Module] = []
        for level, width in enumerate(channels):
            blocks += [ResidualBlock(width) for _ in range(config.blocks)]
            if level + 1 < len(channels):
                blocks.append(Upsample(width, channels[level + 1]))
        self.blocks = nn.Sequential(*blocks)
        self.out_layer = nn.Sequential(
            ChannelLayerNorm(channels[-1]), nn.SiLU(), _convolution(channels[-1], config.out_channels)
        )

    def forward(self, shape: Tensor) -> Tensor:
        """Decode.

        Args:
            shape: (B, resolution^3, latent channels), x slowest and z fastest.

        Returns:
            (B, out channels, X, Y, Z) logits; positive is occupied.
        """
        side = self.config.resolution
        cube = shape.transpose(1, 2).unflatten(2, (side, side, side))
        # First and last layers may be more precise than the blocks.
        dtype, exact = self.middle_block[0].conv1.weight.dtype, self.out_layer[-1].weight.dtype
        x = self.input_layer(cube.to(exact)).to(dtype)
        return self.out_layer(self.blocks(self.middle_block(x)).to(exact))
