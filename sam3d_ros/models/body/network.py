"""SAM 3D Body: the encoder, and two branches that read bodies and hands from its features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.branch import Branch, Estimate, Reader, View
from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.dinov3 import DinoV3, DinoV3Config
from sam3d_ros.models.body.perceptrons import Perceptron
from sam3d_ros.models.body.prompts import FourierPositions, PromptEncoder, no_prompts
from sam3d_ros.models.body.vit import Vit, VitConfig
from sam3d_ros.models.layers.derived import Derived

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# Tokens before the prompts: the pose and the previous estimate.
_FIRST_PROMPT = 2
_HANDS = 2


class _Encoder(nn.Module):
    def __init__(self, config: DinoV3Config) -> None:
        super().__init__()
        self.encoder = DinoV3(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a branch answers.

    Attributes:
        estimates: after each layer; the last is the answer.
        tokens: (B, L, C) after the last layer.
        hands: (B, 2, 4) centre and extent of the left and the right hand, from 0 to 1 within the crop.
    """

    estimates: list[Estimate]
    tokens: Tensor
    hands: Tensor

    @property
    def estimate(self) -> Estimate:
        """The answer."""
        return self.estimates[-1]


class BodyNetwork(Derived):
    """The network; `official_key` says how the official checkpoints name its tensors.

    Derived are mean and deviation of the colours of images, (3, 1, 1), that the encoder expects.
    """

    image_mean: Tensor
    image_deviation: Tensor

    def __init__(self, config: BodyConfig) -> None:
        super().__init__()
        width, context = config.decoder.width, config.decoder.context_width
        self.config = config
        self.backbone = _Encoder(config.dinov3) if config.dinov3 is not None else Vit(_vit(config))
        self.prompt_encoder = PromptEncoder(context)
        self.prompt_to_token = nn.Linear(context, width)
        self.hand_pe_layer = FourierPositions(context)
        self.hand_box_embedding = nn.Embedding(_HANDS, width)
        self.bbox_embed = Perceptron(width, width, 4)
        # Tells hands from no hands in training; kept because the official network has it.
        self.hand_cls_embed = nn.Linear(width, _HANDS)
        self.body = Branch(config, of_hand=False)
        self.hand = Branch(config, of_hand=True)

    def derive(self) -> dict[str, Tensor]:
        """The colours of images."""
        device = self.prompt_to_token.weight.device
        statistics = {"image_mean": _IMAGENET_MEAN, "image_deviation": _IMAGENET_STD}
        return {name: torch.tensor(value, device=device)[:, None, None] for name, value in statistics.items()}

    def features(self, crops: Tensor) -> Tensor:
        """Encode images.

        Args:
            crops: (B, 3, S, S) from 0 to 1.

        Returns:
            (B, C, h, w) float32, whatever the dtype of the encoder.
        """
        margin = (self.config.crop_size - self.config.columns) // 2
        seen = ((crops - self.image_mean) / self.image_deviation)[..., margin : margin + self.config.columns]
        dtype = next(self.backbone.parameters()).dtype
        return self.backbone(seen.to(dtype)).float()

    def with_masks(self, features: Tensor, masks: Tensor, scores: Tensor) -> Tensor:
        """Add masks (B, 1, S, S), trusted as far as their scores (B,) say, to features (B, C, h, w)."""
        return features + self.prompt_encoder.masks(masks, scores, self.config.grid[1])

    def without_masks(self, features: Tensor) -> Tensor:
        """Features (B, C, h, w) of crops that have no masks."""
        return features + self.prompt_encoder.no_mask

    def decode(
        self,
        branch: Branch,
        features: Tensor,
        view: View,
        reader: Reader,
        prompts: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> Answer:
        """Read bodies or hands.

        Args:
            branch: `body` or `hand` of this network.
            features: (B, C, h, w), with masks.
            view: B crops.
            reader: of joints and keypoints.
            prompts: (B, N, 3) keypoints: x and y from 0 to 1 in the crop, and the label.
            previous: (B, 522) an earlier estimate.
        """
        if prompts is None:
            prompts = no_prompts(features.new_empty(len(features), 1, 3))
        given = self.prompt_to_token(self.prompt_encoder.keypoints(prompts))
        layer = self.prompt_encoder.pe_layer if branch is self.body else self.hand_pe_layer
        positions = layer.grid(*self.config.grid)
        start = branch.tokens(view, given, self.hand_box_embedding.weight, previous)
        tokens, estimates = branch(features, positions, view, reader, start)
        first = _FIRST_PROMPT + given.shape[1]
        boxes = self.bbox_embed(tokens[:, first : first + _HANDS]).sigmoid()
        return Answer(estimates, tokens, boxes)


def _vit(config: BodyConfig) -> VitConfig:
    assert config.vit is not None
    return config.vit


def official_key(key: str) -> str:
    """Name of a tensor of `BodyNetwork` in the official checkpoints."""
    branch, _, rest = key.partition(".")
    if branch == "body":
        return rest
    if branch == "hand":
        module, _, rest = rest.partition(".")
        return f"{module}_hand.{rest}"
    return key
