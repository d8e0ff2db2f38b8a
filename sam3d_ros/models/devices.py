"""What the machine offers to the networks, and how it says that it is full."""

from __future__ import annotations

import torch

#: The device that `chosen_device` picks by itself.
AUTO = "auto"
# What the allocator of the host says, which raises a plain RuntimeError.
_HOST_IS_FULL = ("not enough memory", "can't allocate memory")


def chosen_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: `auto` (the first CUDA GPU, else the CPU), `cpu`, `cuda` or `cuda:1`, or another of PyTorch's.

    Raises:
        ValueError: there is no such device on this machine.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # PyTorch asserts that it was built with CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device is {name!r}, which cannot be used ({reason}): set it to auto or cpu"
        ) from error
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch ran out of memory, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _HOST_IS_FULL)


def give_back_cached_memory() -> None:
    """Let others have the GPU memory that PyTorch keeps for later."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
