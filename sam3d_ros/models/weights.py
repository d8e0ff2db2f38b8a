"""Modules made without memory of their own, and filled with tensors that exist already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def on_meta(build: Callable[[], M]) -> M:
    """Build a module for inference with shapes but without storage."""
    with torch.device("meta"):
        return build().eval().requires_grad_(False)


def loaded(build: Callable[[], M], state: Mapping[str, Tensor]) -> M:
    """Build a module that takes over the given tensors, in their dtype and on their device, without a copy.

    Raises:
        RuntimeError: a key is missing, superfluous, or of another shape; torch names all of them.
    """
    module = on_meta(build)
    module.load_state_dict(dict(state), strict=True, assign=True)
    return module.requires_grad_(False)


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose key begins with `prefix`, under the rest of their keys."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
