"""Prompts: keypoints and masks that tell the network which body is meant."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.keypoints import KEYPOINTS
from sam3d_ros.models.layers.patches import PatchConvolution

#: Label of a keypoint that is known to be none.
NOT_A_POINT = -1
#: Label of a prompt that is to be ignored.
NO_PROMPT = -2

_LAYER_NORM_EPS = 1e-6


def no_prompts(like: Tensor) -> Tensor:
    """Prompts (..., 3) of the same shape that are all to be ignored."""
    none = torch.zeros_like(like)
    none[..., 2].fill_(NO_PROMPT)
    return none


class FourierPositions(nn.Module):
    """Places in a square, as sines and cosines of random waves."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, width // 2))

    def forward(self, xy: Tensor) -> Tensor:
        """(..., 2) places from 0 to 1 -> (..., C)."""
        angle = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    def grid(self, rows: int, columns: int) -> Tensor:
        """(1, C, rows, columns) of the cell centres of a square; fewer columns than rows are its middle ones."""
        centres = (torch.arange(rows, device=self.positional_encoding_gaussian_matrix.device) + 0.5) / rows
        margin = (rows - columns) // 2
        y, x = torch.meshgrid(centres, centres[margin : margin + columns], indexing="ij")
        return self(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def _mask_network(width: int, channels: tuple[int, ...], step: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip((1, *channels[:-1]), channels, strict=True):
        layers += [PatchConvolution(inputs, outputs, step), ChannelNorm(outputs), nn.GELU()]
    return nn.Sequential(*layers, PatchConvolution(channels[-1], width, 1))


class PromptEncoder(nn.Module):
    """Keypoints and masks as vectors.

    Args:
        width: channels of the image features.
        mask_steps: factor by which each convolution of the mask shrinks it. Four steps by 2 are the released
            network, two by 4 an older one.
    """

    def __init__(self, width: int, mask_steps: int = 2) -> None:
        super().__init__()
        self.pe_layer = FourierPositions(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(KEYPOINTS))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.invalid_point_embed = nn.Embedding(1, width)
        self.no_mask_embed = nn.Embedding(1, width)
        self.mask_downscaling = _mask_network(
            width, (4, 16, 64, 256) if mask_steps == 2 else (4, 16), mask_steps
        )

    def keypoints(self, prompts: Tensor) -> Tensor:
        """Encode keypoints.

        Args:
            prompts: (B, N, 3) x and y from 0 to 1 in the crop, and a label: a keypoint, `NOT_A_POINT` or
                `NO_PROMPT`.

        Returns:
            (B, N, C).
        """
        labels = prompts[..., 2].long()
        table = torch.cat([embedding.weight for embedding in self.point_embeddings])
        points = self.pe_layer(prompts[..., :2]) + table[labels.clamp(min=0)]
        points = torch.where((labels == NOT_A_POINT)[..., None], self.not_a_point_embed.weight, points)
        return torch.where((labels == NO_PROMPT)[..., None], self.invalid_point_embed.weight, points)

    @property
    def no_mask(self) -> Tensor:
        """(1, C, 1, 1) to be added to the features where there is no mask."""
        return self.no_mask_embed.weight[..., None, None]

    def masks(self, masks: Tensor, scores: Tensor, columns: int) -> Tensor:
        """Encode masks.

        Args:
            masks: (B, 1, S, S) from 0 to 1, of the crop.
            scores: (B,) how far a mask is trusted; 0 where there is none.
            columns: of the feature grid, which are the middle ones of the crop.

        Returns:
            (B, C, S / 16, columns) to be added to the features.
        """
        encoded = self.mask_downscaling(masks)
        margin = (encoded.shape[-1] - columns) // 2
        encoded = encoded[..., margin : margin + columns]
        weight = scores[:, None, None, None]
        return torch.where(weight > 0, weight * encoded, self.no_mask)
