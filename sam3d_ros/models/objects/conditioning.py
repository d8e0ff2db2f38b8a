"""The condition of both flow models: tokens of the image, the mask and the point map, crop and full view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.layers.initialisation import start_linears
from sam3d_ros.models.objects.dinov2 import DinoConfig, DinoEncoder
from sam3d_ros.models.objects.point_patches import PointPatchConfig, PointPatchEncoder

_HIDDEN_MULTIPLE = 256


class View(IntEnum):
    """What an input shows; the row of its embedding."""

    CROPPED = 0
    FULL = 1


@dataclass(frozen=True)
class Stream:
    """One input of the condition: its name, the encoder that reads it, and what it shows."""

    name: str
    encoder: int
    view: View


#: Inputs in the order of their tokens. Encoder 0 reads colours, 1 masks, 2 points.
IMAGE_STREAMS = (
    Stream("image", 0, View.CROPPED),
    Stream("rgb_image", 0, View.FULL),
    Stream("mask", 1, View.CROPPED),
    Stream("rgb_image_mask", 1, View.FULL),
)
#: The input that is the same for all objects of an image.
SHARED = "rgb_image"
POINT_STREAMS = (Stream("pointmap", 2, View.CROPPED), Stream("rgb_pointmap", 2, View.FULL))


@dataclass(frozen=True)
class ConditionConfig:
    """The condition of one stage; `points` is None where the stage reads no point map."""

    dino: DinoConfig
    points: PointPatchConfig | None
    hidden_ratio: float = 4.0

    @staticmethod
    def released_geometry() -> ConditionConfig:
        """Stage 1: 7528 tokens."""
        return ConditionConfig(DinoConfig.released(keep_registers=False), PointPatchConfig.released())

    @staticmethod
    def released_refinement() -> ConditionConfig:
        """Stage 2: 5496 tokens."""
        return ConditionConfig(DinoConfig.released(keep_registers=True), None)

    @staticmethod
    def tiny_geometry() -> ConditionConfig:
        """Stage 1 in a size for tests."""
        return ConditionConfig(DinoConfig.tiny(keep_registers=False), PointPatchConfig.tiny())

    @staticmethod
    def tiny_refinement() -> ConditionConfig:
        """Stage 2 in a size for tests."""
        return ConditionConfig(DinoConfig.tiny(keep_registers=True), None)

    @property
    def width(self) -> int:
        """Channels of a token: the widest encoder's."""
        return max(self.dino.width, self.points.width if self.points else 0)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Inputs in the order of their tokens."""
        return IMAGE_STREAMS + (POINT_STREAMS if self.points else ())

    @property
    def tokens(self) -> int:
        """Tokens of one condition."""
        points = len(POINT_STREAMS) * self.points.tokens if self.points else 0
        return len(IMAGE_STREAMS) * self.dino.tokens + points


class GatedFeedForward(nn.Module):
    """`w2(silu(w1 x) * w3 x)`, without biases."""

    def __init__(self, width_in: int, width_out: int, ratio: float) -> None:
        super().__init__()
        wanted = int(2 * width_out * ratio / 3)
        hidden = -(-wanted // _HIDDEN_MULTIPLE) * _HIDDEN_MULTIPLE
        self.w1 = nn.Linear(width_in, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width_out, bias=False)
        self.w3 = nn.Linear(width_in, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class ConditionEncoder(nn.Module):
    """Encodes each input, projects it to one width, marks its view, and joins all tokens."""

    def __init__(self, config: ConditionConfig) -> None:
        super().__init__()
        self.config = config
        encoders: list[DinoEncoder | PointPatchEncoder] = [DinoEncoder(config.dino), DinoEncoder(config.dino)]
        if config.points:
            encoders.append(PointPatchEncoder(config.points))
        self.module_list = nn.ModuleList(encoders)
        self.projection_nets = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(e.width), GatedFeedForward(e.width, config.width, config.hidden_ratio))
            for e in encoders
        )
        # The official table has a third row, which no input uses.
        self.idx_emb = nn.Parameter(torch.empty(3, config.width))
        start_linears(self.projection_nets)
        nn.init.normal_(self.idx_emb)

    def encode(self, stream: Stream, data: Tensor) -> Tensor:
        """(B, C, H, W) of one input -> (B, tokens, width)."""
        tokens = self.projection_nets[stream.encoder](self.module_list[stream.encoder](data))
        return tokens + self.idx_emb[stream.view]

    def _in_order(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tokens (B, tokens, width) of all inputs; those of absent point maps are zero, as in training."""
        names = [stream.name for stream in self.config.streams]
        wanted = {stream.name for stream in IMAGE_STREAMS}
        if not wanted <= encoded.keys() <= set(names):
            raise ValueError(
                f"inputs are {sorted(encoded)}: give {names}, of which point maps may be left out"
            )
        image = encoded[IMAGE_STREAMS[0].name]
        points = self.config.points.tokens if self.config.points else 0
        absent = image.new_zeros(1, points, self.config.width)
        return {name: encoded.get(name, absent).expand(len(image), -1, -1) for name in names}

    def context(self, encoded: Mapping[str, Tensor]) -> Context:
        """Join the tokens of all inputs.

        Args:
            encoded: name of an input -> (B, tokens, width), or (1, tokens, width) where all objects share it, as they
                do the full image. Point maps may be absent.

        Raises:
            ValueError: an image or mask is absent, or a name is unknown.
        """
        own = self._in_order(encoded)
        del own[SHARED]
        return Context(torch.cat(list(own.values()), dim=1), encoded[SHARED])

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Name of an input -> (B, C, H, W), or B = 1 where all share it; returns (B, tokens, width) in order."""
        streams = {stream.name: stream for stream in self.config.streams}
        if unknown := inputs.keys() - streams.keys():
            raise ValueError(f"unknown inputs {sorted(unknown)}: give {sorted(streams)}")
        encoded = {name: self.encode(streams[name], data) for name, data in inputs.items()}
        return torch.cat(list(self._in_order(encoded).values()), dim=1)
