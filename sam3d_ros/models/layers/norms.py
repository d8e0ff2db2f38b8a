"""Normalisations over channels; statistics are taken in float32 whatever the dtype of the features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def layer_norm(x: Tensor, eps: float = 1e-6) -> Tensor:
    """(..., C) normalised over C, without weights."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


def modulated_norm(x: Tensor, shift: Tensor, factor: Tensor, eps: float = 1e-6) -> Tensor:
    """Features normalised over their channels, with an adaptive affine map: `norm(x) factor + shift`.

    Args:
        x: (B, L, C).
        shift: (B, 1, C), or (1, 1, C) where all rows share it, as at one time of a sample: that takes one kernel.
        factor: as `shift`.
        eps: added to the variance.
    """
    if len(shift) == 1:
        return F.layer_norm(x, x.shape[-1:], factor.flatten(), shift.flatten(), eps)
    return torch.addcmul(shift, layer_norm(x, eps), factor)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of a dense grid (B, C, X, Y, Z)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class PointGroupNorm(nn.GroupNorm):
    """Group norm of the features (N, C) of one object: statistics over all points and the channels of a group."""

    def forward(self, x: Tensor) -> Tensor:
        exact = x.float()
        groups = exact.unflatten(-1, (self.num_groups, -1))
        variance, mean = torch.var_mean(groups, dim=(0, 2), correction=0)
        size = groups.shape[-1]
        # One factor and one offset for each channel: the features may be millions, and are gone through once.
        factor = self.weight.float() * torch.rsqrt(variance + self.eps).repeat_interleave(size)
        offset = self.bias.float() - mean.repeat_interleave(size) * factor
        return torch.addcmul(offset, exact, factor).to(x.dtype)


# Far below the mean square of any head, and no zero: what has no length stays zero.
_RMS_EPS = 1e-24


class HeadRMSNorm(nn.Module):
    """`x / |x| * gamma * sqrt(D)` on every head of (..., H, D)."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(heads, width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=_RMS_EPS) * self.gamma
