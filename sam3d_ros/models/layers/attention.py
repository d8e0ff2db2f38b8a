"""Attention over tokens, written as queries, keys and values of shape (B, L, H, D)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from sam3d_ros.models.layers.norms import HeadRMSNorm

# Tokens of a row from which on several rows gain nothing by being fed forward together.
_LONG = 1024


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


def for_varying_lengths() -> AbstractContextManager[None]:
    """Attention within uses kernels that take any number of tokens as it comes.

    On recent GPUs PyTorch prefers a library that plans for 55 to 440 ms whenever it meets a new shape. Where each
    object brings its own number of voxels, that is longer than the attention itself.
    """
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


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
class Context:
    """What the rows of a batch attend to. The order of its tokens does not matter.

    Attributes:
        own: (B, S, C) tokens of each row.
        shared: (1, T, C) tokens that all rows see as well; None where there are none.
    """

    own: Tensor
    shared: Tensor | None = None

    def __len__(self) -> int:
        return len(self.own)

    def joined(self) -> Tensor:
        """(B, S + T, C) all tokens of each row."""
        return _joined(self.own, self.shared)

    def simplest(self) -> Context:
        """The same, with nothing apart where there is one row: nothing is spared by sharing then."""
        return Context(self.joined()) if len(self) == 1 else self

    def nothing(self) -> Context:
        """A context of no rows: with it, every row of a batch is unconditional."""
        return Context(self.own[:0])


@dataclass(frozen=True, eq=False)
class KeysValues:
    """A context as one layer sees it. It does not depend on time, so that one sample needs it once.

    Attributes:
        keys: (B, S, H, D) of the rows' own tokens.
        values: (B, S, H, D).
        shared_keys: (1, T, H, D) of the tokens that all rows see; None where there are none.
        shared_values: (1, T, H, D).
    """

    keys: Tensor
    values: Tensor
    shared_keys: Tensor | None = None
    shared_values: Tensor | None = None

    def __len__(self) -> int:
        return len(self.keys)


def _scaled_products(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """(B, L, C) and (B or 1, S, C) -> (B, L, S) scaled inner products, by one kernel."""
    right = right.expand(len(left), -1, -1).transpose(1, 2)
    return torch.baddbmm(left.new_empty(1), left, right, beta=0.0, alpha=scale)


def _joined(own: Tensor, shared: Tensor | None) -> Tensor:
    return own if shared is None else torch.cat([own, shared.expand(len(own), *shared.shape[1:])], dim=1)


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

    def keys_values(self, context: Context) -> KeysValues:
        """Project a context."""
        context = context.simplest()
        keys, values = self._projected(context.own)
        if context.shared is None:
            return KeysValues(keys, values)
        return KeysValues(keys, values, *self._projected(context.shared))

    def _projected(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.to_kv(tokens).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return keys, values

    def unconditional(self) -> Tensor:
        """(C,) the answer to every query where the context is zero."""
        return self.to_out(self.to_kv.bias.chunk(2)[1])

    def forward(self, x: Tensor, context: Tensor | KeysValues | Context) -> Tensor:
        """Attend.

        Args:
            x: (B, L, C) tokens.
            context: tokens (B, S, C); or what `keys_values` made of a context, for many queries; or the context
                itself, for few.
        """
        if isinstance(context, Tensor):
            context = self.keys_values(Context(context))
        conditional = len(context)
        if conditional == 0:
            return self.unconditional().expand_as(x)
        queries = self.to_q(x[:conditional]).unflatten(-1, (self.heads, -1))
        if isinstance(context, KeysValues):
            keys = _joined(context.keys, context.shared_keys)
            values = _joined(context.values, context.shared_values)
            answer = self.to_out(attend(queries, keys, values))
        else:
            answer = self.to_out(self._attend_to_tokens(queries, context))
        if x.shape[0] == conditional:
            return answer
        return torch.cat([answer, self.unconditional().expand_as(x[conditional:])])

    def _attend_to_tokens(self, queries: Tensor, context: Context) -> Tensor:
        """The same without keys and values: queries are taken to the tokens, and the weighted tokens back.

        With `k = W_k c + b_k`, `q . k = (W_k^T q) . c` but for a term that all keys share, which the softmax forgets;
        and the weighted sum of the values is W_v of that of the tokens, and the bias.
        """
        batch, count = queries.shape[:2]
        to_key, to_value = self.to_kv.weight.unflatten(0, (2, self.heads, -1))
        wanted = torch.einsum("blhd,hdc->blhc", queries, to_key).flatten(1, 2)
        scale = queries.shape[-1] ** -0.5
        parts = [context.own] if context.shared is None else [context.own, context.shared]
        products = [_scaled_products(wanted, tokens, scale) for tokens in parts]
        logits = products[0] if len(products) == 1 else torch.cat(products, dim=-1)
        weights = logits.softmax(dim=-1)
        own, *shared = weights.split([tokens.shape[1] for tokens in parts], dim=-1)
        means = own @ context.own
        for weight in shared:
            means = means + weight @ context.shared
        values = torch.einsum("blhc,hdc->blhd", means.view(batch, count, self.heads, -1), to_value)
        return values.flatten(2) + self.to_kv.bias.chunk(2)[1]


class FeedForward(nn.Module):
    """Two linear layers with a tanh GELU between."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 3 and len(x) > 1 and x.shape[1] >= _LONG and not torch.is_grad_enabled():
            # Row by row, for the hidden layer is the largest tensor of all; each row fills a device by itself.
            return torch.cat([self.mlp(row) for row in x.split(1)])
        return self.mlp(x)
