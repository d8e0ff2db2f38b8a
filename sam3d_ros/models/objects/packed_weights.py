"""The weights of a module in one block of memory, so that they move to a device and back in a single copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Bytes: what CUDA's allocator aligns to, and kernels expect.
_ALIGNMENT = 256


@dataclass(frozen=True, eq=False)
class _Slot:
    """Where a tensor belongs in its module, and where it lies in the block."""

    owner: nn.Module
    name: str
    is_parameter: bool
    begin: int
    size: int
    dtype: torch.dtype
    shape: torch.Size

    def view(self, block: Tensor) -> Tensor:
        return block[self.begin : self.begin + self.size].view(self.dtype).view(self.shape)

    def fill(self, block: Tensor) -> None:
        value = self.view(block)
        if self.is_parameter:
            self.owner.register_parameter(self.name, nn.Parameter(value, requires_grad=False))
        else:
            self.owner.register_buffer(self.name, value)


class PackedWeights:
    """Takes over the weights of a module, which must not change from then on.

    Args:
        module: on the CPU.
        pinned: keep the block where a GPU can fetch it by itself, beside whatever else runs.
    """

    def __init__(self, module: nn.Module, *, pinned: bool) -> None:
        self.module = module
        self._slots: list[_Slot] = []
        end = 0
        tensors: list[Tensor] = []
        for owner in module.modules():
            for is_parameter, named in ((True, owner.named_parameters), (False, owner.named_buffers)):
                for name, tensor in named(recurse=False):
                    size = tensor.numel() * tensor.element_size()
                    self._slots.append(
                        _Slot(owner, name, is_parameter, end, size, tensor.dtype, tensor.shape)
                    )
                    tensors.append(tensor.detach())
                    end += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._block = torch.empty(end, dtype=torch.uint8, pin_memory=pinned)
        for slot, tensor in zip(self._slots, tensors, strict=True):
            slot.view(self._block).copy_(tensor)
        self._fill(self._block)

    def copied_to(self, device: torch.device) -> Tensor:
        """A copy of the block, which need not have arrived yet; work on the same stream waits for it."""
        with torch.inference_mode(mode=False):
            return self._block.to(device, non_blocking=True, copy=True)

    @contextmanager
    def placed(self, block: Tensor) -> Iterator[nn.Module]:
        """The module on the device of a copy of the block; afterwards its weights are at rest again."""
        self._fill(block)
        try:
            yield self.module
        finally:
            self._fill(self._block)

    def _fill(self, block: Tensor) -> None:
        with torch.inference_mode(mode=False):
            for slot in self._slots:
                slot.fill(block)
