"""The decoder that turns tokens into answers by looking at the features of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.perceptrons import FeedForward
from sam3d_ros.models.layers.attention import attend

_EPS = 1e-6

#: Called after each layer but the last with (layer, normalised tokens, tokens, positions of the tokens); it
#: answers with the tokens and positions that the next layer is to see.
Feedback = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class DecoderConfig:
    """One decoder.

    Attributes:
        width: channels of a token.
        context_width: channels of the image features.
        head_width: channels of one head of the attention.
        hidden: width between the layers of the feed-forward network.
        repeat_positions: whether every layer adds the positions anew. Without, positions are not used.
        two_way: whether the image features look back at the tokens.
    """

    width: int = 1024
    context_width: int = 1280
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    hidden: int = 1024
    repeat_positions: bool = True
    two_way: bool = False

    @staticmethod
    def released() -> DecoderConfig:
        """The size of both checkpoints."""
        return DecoderConfig()

    @staticmethod
    def tiny() -> DecoderConfig:
        """A size for tests."""
        return DecoderConfig(width=40, context_width=32, depth=3, heads=4, head_width=8, hidden=48)


class Attention(nn.Module):
    """Attention of tokens to others that may be as wide as they like."""

    def __init__(self, width: int, context_width: int, config: DecoderConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(context_width, inner)
        self.v_proj = nn.Linear(context_width, inner)
        self.proj = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, C), twice (B, S, D) -> (B, L, C); a False in mask (B, 1, L, S) hides a key from a query."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1))
            for project, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        )
        return self.proj(attend(q, k, v, mask))


class DecoderLayer(nn.Module):
    """Tokens look at each other, then at the image; with `two_way`, the image then at them."""

    def __init__(self, config: DecoderConfig, *, first: bool = False) -> None:
        super().__init__()
        width, context_width = config.width, config.context_width
        self.first = first
        if config.repeat_positions:
            self.ln_pe_1 = nn.LayerNorm(width, eps=_EPS)
            self.ln_pe_2 = nn.LayerNorm(context_width, eps=_EPS)
        self.ln1 = nn.LayerNorm(width, eps=_EPS)
        self.self_attn = Attention(width, width, config)
        self.ln2_1 = nn.LayerNorm(width, eps=_EPS)
        self.ln2_2 = nn.LayerNorm(context_width, eps=_EPS)
        self.cross_attn = Attention(width, context_width, config)
        self.ln3 = nn.LayerNorm(width, eps=_EPS)
        self.ffn = FeedForward(width, config.hidden, width, nn.GELU)
        if config.two_way:
            self.ln4_1 = nn.LayerNorm(context_width, eps=_EPS)
            self.ln4_2 = nn.LayerNorm(width, eps=_EPS)
            self.cross_attn_2 = Attention(context_width, width, config)
        self.config = config

    def forward(
        self, x: Tensor, context: Tensor, x_pe: Tensor, context_pe: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            x: (B, L, C) tokens.
            context: (B, S, D) image features.
            x_pe: (B, L, C) positions of the tokens.
            context_pe: (1, S, D) positions of the features.
            mask: (B, L) bool; a token with False and the others do not see each other.

        Returns:
            The tokens and the context after the layer.
        """
        if self.config.repeat_positions:
            x_pe, context_pe = self.ln_pe_1(x_pe), self.ln_pe_2(context_pe)
        else:
            x_pe, context_pe = x_pe.new_zeros(()), context_pe.new_zeros(())
        normal = self.ln1(x)
        placed = normal if self.first else normal + x_pe
        x = x + self.self_attn(placed, placed, normal, None if mask is None else _visible(mask))
        features = self.ln2_2(context)
        x = x + self.cross_attn(self.ln2_1(x) + x_pe, features + context_pe, features)
        x = x + self.ffn(self.ln3(x))
        if self.config.two_way:
            tokens = self.ln4_2(x)
            context = context + self.cross_attn_2(self.ln4_1(context) + context_pe, tokens + x_pe, tokens)
        return x, context


def _visible(mask: Tensor) -> Tensor:
    """(B, L) -> (B, 1, L, L) which tokens see which; every token sees itself."""
    alone = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return ((mask[:, :, None] & mask[:, None, :]) | alone)[:, None]


class Decoder(nn.Module):
    """All layers, and the norm that every answer is read through."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config, first=i == 0) for i in range(config.depth))
        self.norm_final = nn.LayerNorm(config.width, eps=_EPS)

    def forward(
        self, x: Tensor, context: Tensor, x_pe: Tensor, context_pe: Tensor, feedback: Feedback | None = None
    ) -> Tensor:
        """(B, L, C) tokens, (B, S, D) features, and their positions -> (B, L, C) normalised tokens."""
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            x, context = layer(x, context, x_pe, context_pe)
            if feedback is not None and index < last:
                x, x_pe = feedback(index, self.norm_final(x), x, x_pe)
        return self.norm_final(x)
