"""Stage 2: a flow over the latents of occupied voxels, in which texture and fine shape are encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.attention import (
    Context,
    CrossAttention,
    FeedForward,
    KeysValues,
    SelfAttention,
    for_varying_lengths,
)
from sam3d_ros.models.layers.embeddings import TimeEmbedder, position_sinusoid
from sam3d_ros.models.layers.initialisation import start_linears, start_silent
from sam3d_ros.models.layers.norms import layer_norm, modulated_norm
from sam3d_ros.models.layers.sparse import SparseConvolution, downsample, upsample
from sam3d_ros.models.layers.voxels import VoxelSet

# Statistics of the training set by which the latents are standardised.
_LATENT_MEAN = (
    0.12211431, 0.37204156, -1.26521907, -2.05276058, -3.10432536, -0.11294304, -0.85146744, 0.45506954,
)  # fmt: skip
_LATENT_STD = (
    2.37326008, 2.13174402, 2.2413953, 2.30589401, 2.1191894, 1.8969511, 2.41684989, 2.08374642,
)  # fmt: skip


@dataclass(frozen=True)
class RefinementConfig:
    """The flow model of stage 2.

    Attributes:
        channels: latent channels of a voxel.
        fine_width: channels of the convolutions at full resolution.
        fine_blocks: residual blocks before, and after, the transformer; one of them changes the resolution.
        mean: of the latents in the training set, by which they are standardised.
        std: of the latents in the training set.
    """

    channels: int = 8
    fine_width: int = 128
    width: int = 1024
    context_width: int = 1024
    blocks: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0
    fine_blocks: int = 2
    mean: tuple[float, ...] = _LATENT_MEAN
    std: tuple[float, ...] = _LATENT_STD

    @staticmethod
    def released() -> RefinementConfig:
        """The size of the official checkpoint."""
        return RefinementConfig()

    @staticmethod
    def tiny() -> RefinementConfig:
        """A size for tests."""
        return RefinementConfig(fine_width=8, width=24, context_width=32, blocks=2, heads=2)

    def destandardise(self, latent: Tensor) -> Tensor:
        """(..., channels) sample of the flow -> what the decoders read."""
        return latent * latent.new_tensor(self.std) + latent.new_tensor(self.mean)


class SparseResidualBlock(nn.Module):
    """Two sparse convolutions with a norm that time scales and shifts, added to the input."""

    def __init__(self, width_in: int, width_out: int, time_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width_in, eps=1e-6)
        self.conv1 = SparseConvolution(width_in, width_out)
        self.conv2 = SparseConvolution(width_out, width_out)
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_width, 2 * width_out))
        self.skip_connection = nn.Linear(width_in, width_out) if width_in != width_out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, voxels: VoxelSet) -> Tensor:
        scale, shift = self.emb_layers(time)[:, None].chunk(2, dim=-1)
        h = self.conv1(F.silu(self.norm1(x)), voxels)
        h = self.conv2(F.silu(modulated_norm(h, shift, 1.0 + scale)), voxels)
        return h + self.skip_connection(x)


class RefinementBlock(nn.Module):
    """Self attention, cross attention to the condition, feed forward; time shifts, scales and gates."""

    def __init__(self, config: RefinementConfig) -> None:
        super().__init__()
        width = config.width
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.self_attn = SelfAttention(width, config.heads, qk_norm=True)
        self.cross_attn = CrossAttention(width, config.context_width, config.heads)
        self.mlp = FeedForward(width, config.mlp_ratio)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, time: Tensor, context: Tensor | KeysValues) -> Tensor:
        modulation = self.adaLN_modulation(time)[:, None]
        shift1, _, gate1, shift2, _, gate2 = modulation.chunk(6, dim=-1)
        _, factor1, _, _, factor2, _ = (1.0 + modulation).chunk(6, dim=-1)
        x = torch.addcmul(x, gate1, self.self_attn(modulated_norm(x, shift1, factor1)))
        x = x + self.cross_attn(self.norm2(x), context)
        return torch.addcmul(x, gate2, self.mlp(modulated_norm(x, shift2, factor2)))


class RefinementModel(nn.Module):
    """The velocity of the voxel latents at a time, given the condition."""

    def __init__(self, config: RefinementConfig) -> None:
        super().__init__()
        self.config = config
        fine, width = config.fine_width, config.width
        self.t_embedder = TimeEmbedder(width)
        self.input_layer = nn.Linear(config.channels, fine)
        self.input_blocks = nn.ModuleList(
            SparseResidualBlock(fine, fine if index + 1 < config.fine_blocks else width, width)
            for index in range(config.fine_blocks)
        )
        self.blocks = nn.ModuleList(RefinementBlock(config) for _ in range(config.blocks))
        self.out_blocks = nn.ModuleList(
            SparseResidualBlock(2 * fine if index else 2 * width, fine, width)
            for index in range(config.fine_blocks)
        )
        self.out_layer = nn.Linear(fine, config.channels)
        self._start()

    def _start(self) -> None:
        start_linears(self)
        self.t_embedder.start()
        for block in self.blocks:
            start_silent(block.adaLN_modulation[1])
        for block in (*self.input_blocks, *self.out_blocks):
            start_silent(block.conv2)
        start_silent(self.out_layer)

    def context(self, condition: Context) -> list[KeysValues]:
        """Project a condition for every block once: the result serves all steps of a sample."""
        return [block.cross_attn.keys_values(condition) for block in self.blocks]

    def forward(
        self, latent: Tensor, t: Tensor, context: Tensor | Sequence[Tensor | KeysValues], voxels: VoxelSet
    ) -> Tensor:
        """Velocities.

        Args:
            latent: (B, N, channels) on the same voxels for all of the batch.
            t: (B,) time, 0 (noise) to 1000 (data); or (1,) for all rows, which is faster.
            context: the condition (B, S, C), or what `context()` made of it. Rows of the batch beyond those of
                such a projected context are unconditional.
            voxels: the N voxels.

        Returns:
            (B, N, channels).
        """
        if isinstance(context, Tensor):
            context = [context] * len(self.blocks)
        # First and last layers may be more precise than the blocks.
        dtype, exact = self.input_blocks[0].norm1.weight.dtype, self.out_layer.weight.dtype
        time = self.t_embedder(t).to(dtype)
        coarse = voxels.coarse[0]
        *fine_blocks, downsampling = self.input_blocks
        upsampling, *out_blocks = self.out_blocks

        x = self.input_layer(latent.to(exact)).to(dtype)
        skips = []
        for block in fine_blocks:
            x = block(x, time, voxels)
            skips.append(x)
        entered = downsampling(downsample(x, voxels), time, coarse)
        x = entered + position_sinusoid(coarse.coords, self.config.width).to(entered.dtype)
        with for_varying_lengths():
            for block, block_context in zip(self.blocks, context, strict=True):
                x = block(x, time, block_context)
        x = upsampling(upsample(torch.cat([x, entered], dim=-1), voxels), time, voxels)
        for block in out_blocks:
            x = block(torch.cat([x, skips.pop()], dim=-1), time, voxels)
        return self.out_layer(layer_norm(x.to(exact), eps=1e-5))
