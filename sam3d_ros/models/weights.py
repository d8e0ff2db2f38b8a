"""Modules made without memory of their own, and filled with tensors that exist already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)

#: Key -> shape of a tensor.
Shapes = Mapping[str, tuple[int, ...]]


class OtherWeightsError(RuntimeError):
    """Tensors are not those of the module that was to take them over."""


# By which initialisers draw, where they do not ask a mode themselves.
_DRAWS = {"normal_", "uniform_"}


class _WithoutInitialValues(TorchFunctionMode):
    """Skips the initialisers of layers.

    Drawing values for tensors that have none runs Python code of PyTorch's, which keeps a little memory each time, and
    the first time the frames that called it, with the module in them.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if getattr(func, "__name__", None) in _DRAWS:
            return args[0]
        return func(*args, **kwargs)


def on_meta(build: Callable[[], M]) -> M:
    """Build a module for inference with shapes but without storage."""
    with torch.device("meta"), _WithoutInitialValues():
        return build().eval().requires_grad_(False)


def loaded(build: Callable[[], M], state: Mapping[str, Tensor]) -> M:
    """Build a module that takes over the given tensors, in their dtype and on their device, without a copy.

    Raises:
        OtherWeightsError: a key is missing, superfluous, or of another shape.
    """
    module = on_meta(build)
    if fault := difference(shapes_of(state), shapes_of(module.state_dict())):
        raise OtherWeightsError(fault)
    module.load_state_dict(dict(state), strict=True, assign=True)
    return module.requires_grad_(False)


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose key begins with `prefix`, under the rest of their keys."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def shapes_of(state: Mapping[str, Tensor]) -> Shapes:
    """Keys and shapes of tensors."""
    return {key: tuple(value.shape) for key, value in state.items()}


def difference(actual: Shapes, expected: Shapes) -> str:
    """In words how keys and shapes differ; empty where they agree."""
    missing = sorted(expected.keys() - actual.keys())
    unknown = sorted(actual.keys() - expected.keys())
    other = sorted(key for key in expected.keys() & actual.keys() if expected[key] != actual[key])
    parts = []
    if missing:
        parts.append(f"{len(missing)} keys are missing (first {missing[0]})")
    if unknown:
        parts.append(f"{len(unknown)} keys are unknown (first {unknown[0]})")
    if other:
        key = other[0]
        parts.append(f"{len(other)} shapes differ (first {key}: {actual[key]} instead of {expected[key]})")
    return ", ".join(parts)
