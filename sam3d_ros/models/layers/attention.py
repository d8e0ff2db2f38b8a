"""Attention over tokens, written as queries, keys and values of shape (B, L, H, D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.layers.norms import HeadRMSNorm


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention.

    Args:
        queries: (B, L, H, D).
        keys: (B, S, H, D).
        values: (B, S, H, D).
        mask: bool, broadcast to (B, H, L, S); False hides a key from a query.

    Returns:
        (B, L, H * D).
    """
    q, k, v = (x.transpose(1, 2) for x in (queries, keys, values))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(-2)


class SelfAttention(nn.Module):
    """Self attention over all tokens, with or without a norm of queries and keys."""

    def __init__(self, width: int, heads: int, *, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)
        if qk_norm:
            self.q_rms_norm = HeadRMSNorm(heads, width // heads)
            self.k_rms_norm = HeadRMSNorm(heads, width // heads)
        self.qk_norm = qk_norm

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, C) -> three (B, L, H, D)."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        if self.qk_norm:
            q, k = self.q_rms_norm(q), self.k_rms_norm(k)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(attend(*self.queries_keys_values(x)))


@dataclass(frozen=True, eq=False)
class KeysValues:
    """A context as one layer sees it. It does not depend on time, so that one sample needs it once.

    Attributes:
        keys: (B, S, H, D).
        values: (B, S, H, D).
    """

    keys: Tensor
    values: Tensor


class CrossAttention(nn.Module):
    """Attention of tokens to a context.

    A batch may hold more rows than the context: the rows beyond are unconditional, that is, their context is
    zero. All their values then equal the bias, and attention returns it whatever the queries are.
    """

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width)
        self.to_kv = nn.Linear(context_width, 2 * width)
        self.to_out = nn.Linear(width, width)

    def keys_values(self, context: Tensor) -> KeysValues:
        """Project a context (B, S, C)."""
        keys, values = self.to_kv(context).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return KeysValues(keys, values)

    def unconditional(self) -> Tensor:
        """(C,) the answer to every query where the context is zero."""
        return self.to_out(self.to_kv.bias.chunk(2)[1])

    def forward(self, x: Tensor, context: Tensor | KeysValues) -> Tensor:
        if isinstance(context, Tensor):
            context = self.keys_values(context)
        conditional = context.keys.shape[0]
        if conditional == 0:
            return self.unconditional().expand_as(x)
        queries = self.to_q(x[:conditional]).unflatten(-1, (self.heads, -1))
        answer = self.to_out(attend(queries, context.keys, context.values))
        if x.shape[0] == conditional:
            return answer
        return torch.cat([answer, self.unconditional().expand_as(x[conditional:])])


class FeedForward(nn.Module):
    """Two linear layers with a tanh GELU between."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)
