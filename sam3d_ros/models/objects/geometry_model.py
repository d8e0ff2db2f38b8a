"""Stage 1: a flow over the shape of an object and its pose, as a mixture of two transformers.

The shape stream attends to itself; the pose stream attends to itself and to the shape. Hence the shape does not
depend on the pose, and several pose hypotheses can share one shape: they lie side by side in the pose stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from sam3d_ros.models.layers.attention import (
    Context,
    CrossAttention,
    FeedForward,
    KeysValues,
    attend,
)
from sam3d_ros.models.layers.embeddings import (
    TimeEmbedder,
    grid_coordinates,
    made_unless_meta,
    position_sinusoid,
)
from sam3d_ros.models.layers.initialisation import start_linears, start_silent
from sam3d_ros.models.layers.norms import HeadRMSNorm, layer_norm, modulated_norm
from sam3d_ros.models.objects.pose import RotationStatistics

SHAPE = "shape"
#: The pose stream carries the name of its first token.
POSE = "6drotation_normalized"
STREAMS = (SHAPE, POSE)
#: Pose tokens of one hypothesis, in the order of the stream, and their channels.
POSE_CHANNELS = {POSE: 6, "translation": 3, "scale": 3, "translation_scale": 1}

#: Latent name -> (B, tokens, channels). Pose latents have one token for each hypothesis.
Latents = dict[str, Tensor]
#: What one block reads of the condition, for each stream.
BlockContext = Mapping[str, Tensor | KeysValues | Context]


@dataclass(frozen=True)
class GeometryConfig:
    """The flow model of stage 1.

    Attributes:
        resolution: side of the latent cube, which has resolution^3 tokens.
        shape_channels: channels of a shape latent.
        rotation: statistics by which rotation latents are standardised.
    """

    width: int = 1024
    context_width: int = 1024
    blocks: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0
    resolution: int = 16
    shape_channels: int = 8
    rotation: RotationStatistics = field(default_factory=RotationStatistics)

    @staticmethod
    def released() -> GeometryConfig:
        """The size of the official checkpoint."""
        return GeometryConfig()

    @staticmethod
    def tiny() -> GeometryConfig:
        """A size for tests."""
        return GeometryConfig(width=32, context_width=32, blocks=2, heads=2, resolution=4)

    @property
    def latent_shapes(self) -> dict[str, tuple[int, int]]:
        """Latent name -> tokens and channels of one hypothesis."""
        return {
            SHAPE: (self.resolution**3, self.shape_channels),
            **{n: (1, c) for n, c in POSE_CHANNELS.items()},
        }


class LatentMapping(nn.Module):
    """Between the channels of one latent and the width of the transformer."""

    pos_emb: Tensor

    def __init__(self, channels: int, width: int, positions: Tensor | None) -> None:
        super().__init__()
        if positions is None:
            self.pos_emb = nn.Parameter(torch.zeros(1, width))
        else:
            self.register_buffer("pos_emb", positions)
        self.input_layer = nn.Linear(channels, width)
        self.out_layer = nn.Linear(width, channels)

    def enter(self, x: Tensor) -> Tensor:
        """(B, L, channels) -> (B, L, width)."""
        return self.input_layer(x.to(self.pos_emb.dtype)) + self.pos_emb

    def leave(self, x: Tensor) -> Tensor:
        """(B, L, width) -> (B, L, channels)."""
        return self.out_layer(layer_norm(x.to(self.pos_emb.dtype), eps=1e-5))


def _per_stream(build: type[nn.Module], *arguments: object, **options: object) -> nn.ModuleDict:
    return nn.ModuleDict({stream: build(*arguments, **options) for stream in STREAMS})


class MixtureSelfAttention(nn.Module):
    """Self attention with weights of each stream; the pose also sees the shape, never the reverse."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = _per_stream(nn.Linear, width, 3 * width)
        self.q_rms_norm = _per_stream(HeadRMSNorm, heads, width // heads)
        self.k_rms_norm = _per_stream(HeadRMSNorm, heads, width // heads)
        self.to_out = _per_stream(nn.Linear, width, width)

    def _queries_keys_values(self, stream: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.to_qkv[stream](x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return self.q_rms_norm[stream](q), self.k_rms_norm[stream](k), v

    def forward(self, x: Mapping[str, Tensor], pose_mask: Tensor | None) -> dict[str, Tensor]:
        q, k, v = self._queries_keys_values(SHAPE, x[SHAPE])
        q_pose, k_pose, v_pose = self._queries_keys_values(POSE, x[POSE])
        pose = attend(q_pose, torch.cat([k_pose, k], dim=1), torch.cat([v_pose, v], dim=1), pose_mask)
        return {SHAPE: self.to_out[SHAPE](attend(q, k, v)), POSE: self.to_out[POSE](pose)}


class MixtureBlock(nn.Module):
    """Self attention, cross attention to the condition, feed forward; time shifts, scales and gates."""

    def __init__(self, config: GeometryConfig) -> None:
        super().__init__()
        width = config.width
        self.norm2 = _per_stream(nn.LayerNorm, width, eps=1e-6)
        self.self_attn = MixtureSelfAttention(width, config.heads)
        self.cross_attn = _per_stream(CrossAttention, width, config.context_width, config.heads)
        self.mlp = _per_stream(FeedForward, width, config.mlp_ratio)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def read(self, context: Context, *, absorb: bool) -> BlockContext:
        """What the streams read of a context; see `GeometryModel.context`."""
        projected = STREAMS[:1] if absorb else STREAMS
        return {
            stream: self.cross_attn[stream].keys_values(context) if stream in projected else context
            for stream in STREAMS
        }

    def forward(
        self, x: Mapping[str, Tensor], time: Tensor, context: BlockContext, pose_mask: Tensor | None
    ) -> dict[str, Tensor]:
        modulation = self.adaLN_modulation(time)[:, None]
        shift1, _, gate1, shift2, _, gate2 = modulation.chunk(6, dim=-1)
        _, factor1, _, _, factor2, _ = (1.0 + modulation).chunk(6, dim=-1)
        attended = self.self_attn({s: modulated_norm(x[s], shift1, factor1) for s in STREAMS}, pose_mask)
        # Taken out, so that its memory serves what follows; the compiler knows no `del` of what a comprehension uses.
        x = {s: torch.addcmul(x[s], gate1, attended.pop(s)) for s in STREAMS}
        x = {s: x[s] + self.cross_attn[s](self.norm2[s](x[s]), context[s]) for s in STREAMS}
        fed = {s: self.mlp[s](modulated_norm(x[s], shift2, factor2)) for s in STREAMS}
        return {s: torch.addcmul(x[s], gate2, fed[s]) for s in STREAMS}


def hypothesis_mask(hypotheses: int, shape_tokens: int, device: torch.device) -> Tensor | None:
    """(4 K, 4 K + shape tokens) bool: a pose token sees its own hypothesis and the shape. None for K = 1."""
    if hypotheses == 1:
        return None
    tokens = len(POSE_CHANNELS)
    owner = torch.arange(hypotheses, device=device).repeat_interleave(tokens)
    same = owner[:, None] == owner
    return torch.cat([same, same.new_ones(len(owner), shape_tokens)], dim=1)


class GeometryModel(nn.Module):
    """The velocity of all latents at a time, given the condition."""

    def __init__(self, config: GeometryConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.t_embedder = TimeEmbedder(width)
        self.d_embedder = TimeEmbedder(width)
        self.blocks = nn.ModuleList(MixtureBlock(config) for _ in range(config.blocks))
        positions = made_unless_meta(
            lambda: position_sinusoid(grid_coordinates(config.resolution), width), config.resolution**3, width
        )
        self.latent_mapping = nn.ModuleDict(
            {
                name: LatentMapping(channels, width, positions if name == SHAPE else None)
                for name, (_, channels) in config.latent_shapes.items()
            }
        )
        self._start()

    def _start(self) -> None:
        start_linears(self)
        self.t_embedder.start()
        self.d_embedder.start()
        # A model that was trained without step sizes goes on as it was.
        start_silent(self.d_embedder.mlp[2])
        for block in self.blocks:
            start_silent(block.adaLN_modulation[1])

    def context(self, condition: Context, *, absorb: bool = True) -> list[BlockContext]:
        """Project a condition for every block once: the result serves all steps of a sample.

        Args:
            condition: what the batch is to see.
            absorb: leave it to the few queries of the pose to go to the tokens, in each evaluation. That spares half
                of the memory and of this projection; of many evaluations it costs more than it spares.
        """
        condition = condition.simplest()
        return [block.read(condition, absorb=absorb) for block in self.blocks]

    def embed_time(self, t: Tensor, step: Tensor | None) -> Tensor:
        """(B,) times and step sizes, both times 1000, -> (B, width)."""
        time = self.t_embedder(t)
        return time if step is None else time + self.d_embedder(step)

    def forward(
        self, latents: Latents, t: Tensor, step: Tensor | None, context: Tensor | Sequence[BlockContext]
    ) -> Latents:
        """Velocities.

        Args:
            latents: name -> (B, tokens, channels) at time t; pose latents with K tokens are K hypotheses.
            t: (B,) time, 0 (noise) to 1000 (data); or (1,) for all rows, which is faster.
            step: (B,) or (1,) size of the step, 0 to 1000. The released weights expect it always, also 0.
            context: the condition (B, S, C), or what `context()` made of it. Rows of the batch beyond those of
                such a projected context are unconditional.

        Returns:
            name -> velocity, shaped as the latent.
        """
        if isinstance(context, Tensor):
            context = [dict.fromkeys(STREAMS, context)] * len(self.blocks)
        # First and last layers may be more precise than the blocks.
        dtype = self.blocks[0].adaLN_modulation[1].weight.dtype
        time = self.embed_time(t, step).to(dtype)
        hypotheses = latents[POSE].shape[1]
        pose = torch.stack([self.latent_mapping[name].enter(latents[name]) for name in POSE_CHANNELS], dim=2)
        x = {
            SHAPE: self.latent_mapping[SHAPE].enter(latents[SHAPE]).to(dtype),
            POSE: pose.flatten(1, 2).to(dtype),
        }
        mask = hypothesis_mask(hypotheses, x[SHAPE].shape[1], pose.device)
        for block, block_context in zip(self.blocks, context, strict=True):
            x = block(x, time, block_context, mask)
        tokens = dict(zip(POSE_CHANNELS, x[POSE].unflatten(1, (hypotheses, -1)).unbind(2), strict=True))
        tokens[SHAPE] = x[SHAPE]
        return {name: self.latent_mapping[name].leave(tokens[name]) for name in latents}
