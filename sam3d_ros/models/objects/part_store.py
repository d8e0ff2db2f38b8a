"""Where the networks are while they are not used: a choice between memory and waiting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Protocol

import torch
from torch import nn

from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.weights import on_meta

# Of random biases; small, so that no output is decided by its bias.
_BIAS_SCALE = 0.1


class Memory(Enum):
    """Where networks stay between the stages that use them."""

    LOW = "low"  #: nowhere: read anew for each stage
    BALANCED = "balanced"  #: in the memory of the host
    HIGH = "high"  #: on the device


class PartSource(Protocol):
    """Gives networks with their weights."""

    @property
    def config(self) -> ObjectsConfig:
        """Sizes of the networks."""
        ...

    def load(self, part: Part, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A network on a device."""
        ...


class RandomSource:
    """Networks with random weights of a sensible size, for tests and for timing.

    Args:
        config: sizes.
        seed: of the weights; each part has its own, whatever the order in which parts are asked for.
    """

    def __init__(self, config: ObjectsConfig, seed: int = 0) -> None:
        self.config = config
        self._seed = seed

    @torch.no_grad()
    def load(self, part: Part, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A network on a device; its weights depend on the kind of device."""
        module = on_meta(lambda: part.build(self.config)).to(dtype).to_empty(device=device)
        generator = torch.Generator(device).manual_seed(self._seed + list(Part).index(part))
        for name, parameter in (*module.named_parameters(), *module.named_buffers()):
            if parameter.ndim < 2 and name.endswith(("weight", "gamma")):
                parameter.fill_(1.0)
            else:
                scale = 1.0 / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else _BIAS_SCALE
                draw = torch.randn(parameter.shape, generator=generator, device=device)
                parameter.copy_(draw * scale)
        return module


class PartStore:
    """Hands out networks for the time of a stage.

    Args:
        source: where they come from.
        device: where they run.
        dtype: of their weights and activations.
        memory: where they stay in between.
    """

    def __init__(
        self,
        source: PartSource,
        *,
        device: torch.device,
        dtype: torch.dtype,
        memory: Memory = Memory.BALANCED,
    ) -> None:
        self.source = source
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self._kept: dict[Part, nn.Module] = {}

    @property
    def config(self) -> ObjectsConfig:
        """Sizes of the networks."""
        return self.source.config

    @contextmanager
    def use(self, part: Part) -> Iterator[nn.Module]:
        """A network on the device, until the end of the block."""
        if self.memory is Memory.LOW:
            yield self.source.load(part, self.device, self.dtype)
            return
        module = self._resting(part)
        at_rest = module.state_dict()
        # Weights do not change: afterwards the tensors at rest are put back, and nothing is copied from the device.
        module.load_state_dict({key: x.to(self.device) for key, x in at_rest.items()}, assign=True)
        try:
            yield module
        finally:
            module.load_state_dict(at_rest, assign=True)

    def _resting(self, part: Part) -> nn.Module:
        if part not in self._kept:
            place = self.device if self.memory is Memory.HIGH else torch.device("cpu")
            self._kept[part] = self.source.load(part, place, self.dtype)
        return self._kept[part]

    def preload(self, *parts: Part) -> None:
        """Fetch networks now, so that the first use does not wait; without effect where none are kept."""
        if self.memory is not Memory.LOW:
            for part in parts:
                self._resting(part)

    def release(self) -> None:
        """Forget all networks and give their memory back. They are fetched anew when used."""
        self._kept.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
