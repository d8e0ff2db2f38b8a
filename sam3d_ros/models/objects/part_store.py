"""Where the networks are while they are not used: a choice between memory and waiting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch
from torch import Tensor, nn

from sam3d_ros.models.objects.packed_weights import PackedWeights
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.weights import loaded, on_meta

# Of random biases; small, so that no output is decided by its bias.
_BIAS_SCALE = 0.1


class Memory(Enum):
    """Where networks stay between the stages that use them."""

    LOW = "low"  #: nowhere: read anew for each stage
    BALANCED = "balanced"  #: in the memory of the host; the next one is fetched while one runs
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

    def load(self, part: Part, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A network on a device; its weights depend on the kind of device."""
        empty = on_meta(lambda: part.build(self.config))
        generator = torch.Generator(device).manual_seed(self._seed + list(Part).index(part))
        state = {}
        for name, tensor in (*empty.named_parameters(), *empty.named_buffers()):
            if tensor.ndim < 2 and name.endswith(("weight", "gamma")):
                value = torch.ones(tensor.shape, device=device)
            else:
                scale = 1.0 / math.sqrt(tensor[0].numel()) if tensor.ndim > 1 else _BIAS_SCALE
                value = torch.randn(tensor.shape, generator=generator, device=device) * scale
            state[name] = value.to(part.dtype_of(name, part.torso_dtype(dtype, device)))
        return loaded(lambda: part.build(self.config), state)


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
        self._packed: dict[Part, PackedWeights] = {}
        self._ahead: dict[Part, _Fetched] = {}

    @property
    def config(self) -> ObjectsConfig:
        """Sizes of the networks."""
        return self.source.config

    @property
    def _moves(self) -> bool:
        """Whether networks rest elsewhere than they run."""
        return self.memory is Memory.BALANCED and self.device.type != "cpu"

    @contextmanager
    def use(self, part: Part, *, then: Part | None = None) -> Iterator[nn.Module]:
        """A network on the device, until the end of the block.

        Args:
            part: the network.
            then: what is used next. Where networks rest in the memory of the host, a GPU fetches it meanwhile.
        """
        if self.memory is Memory.LOW:
            yield self._load(part, self.device)
        elif not self._moves:
            yield self._resting(part)
        else:
            self._resting(part)
            packed = self._packed[part]
            with packed.placed(self._fetched(part)) as module:
                if then in self._packed and self.device.type == "cuda":
                    self._fetch_ahead(then)
                yield module

    def _load(self, part: Part, place: torch.device) -> nn.Module:
        # What is made in inference mode could never take part in training, nor be saved for a backward pass.
        with torch.inference_mode(mode=False):
            return self.source.load(part, place, self.dtype)

    def _resting(self, part: Part) -> nn.Module:
        if part not in self._kept:
            module = self._load(part, torch.device("cpu") if self._moves else self.device)
            if self._moves:
                self._packed[part] = PackedWeights(module, pinned=self.device.type == "cuda")
            self._kept[part] = module
        return self._kept[part]

    def _fetched(self, part: Part) -> Tensor:
        """A copy of the weights of a network on the device."""
        if part not in self._ahead:
            return self._packed[part].copied_to(self.device)
        ahead = self._ahead.pop(part)
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(ahead.arrived)
        ahead.block.record_stream(stream)
        return ahead.block

    def _fetch_ahead(self, part: Part) -> None:
        stream = torch.cuda.Stream(self.device)
        try:
            with torch.cuda.stream(stream):
                block = self._packed[part].copied_to(self.device)
        except torch.cuda.OutOfMemoryError:
            return  # There is no room for both: it is fetched when it is used.
        self._ahead[part] = _Fetched(block, stream.record_event())

    def preload(self, *parts: Part) -> None:
        """Fetch networks now, so that the first use does not wait; without effect where none are kept."""
        if self.memory is not Memory.LOW:
            for part in parts:
                self._resting(part)

    def release(self) -> None:
        """Forget all networks and give their memory back. They are fetched anew when used."""
        self._kept.clear()
        self._packed.clear()
        self._ahead.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


@dataclass(frozen=True, eq=False)
class _Fetched:
    """Weights on their way to the device."""

    block: Tensor
    arrived: torch.cuda.Event
