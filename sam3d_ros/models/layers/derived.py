"""Tensors that follow from the weights of a module, or are always the same, and are in no file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Derived(nn.Module):
    """A module with buffers that `derive` names, made anew whenever weights are loaded.

    They lie on the device of the weights, so that a forward pass neither computes them nor copies them there. Whoever
    changes weights in place calls `refresh`.
    """

    def __init__(self) -> None:
        super().__init__()
        # A function and no method: a module that holds its own method would wait for the cyclic collector.
        self.register_load_state_dict_post_hook(_refresh)

    def derive(self) -> dict[str, Tensor]:
        """Name of a buffer -> its value; subclasses say which."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Make the derived buffers anew."""
        with torch.inference_mode(False), torch.no_grad():
            for name, value in self.derive().items():
                self.register_buffer(name, value, persistent=False)


def _refresh(module: nn.Module, _incompatible: Any) -> None:
    assert isinstance(module, Derived)
    module.refresh()
