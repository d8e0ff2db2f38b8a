"""What the machine offers to the networks, and how it says that it is full."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

#: The device that `chosen_device` picks by itself.
AUTO = "auto"
# What a plain RuntimeError says: of the host's allocator, and of CUDA's libraries, which take memory of their own.
_MEMORY_IS_FULL = (
    "not enough memory",
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)


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
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_IS_FULL)


def give_back_cached_memory() -> None:
    """Let others have the GPU memory that PyTorch keeps for later."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class _Float32Promise:
    """Counts who relies on full float32 at the moment, for the switches of PyTorch are those of the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before = (True, False)

    def take(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._before = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
                self._allow(False, False)
            self._holders += 1

    def give_back(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._allow(*self._before)

    @staticmethod
    def _allow(convolutions: bool, products: bool) -> None:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cuda.matmul.allow_tf32 = products


_PROMISE = _Float32Promise()


@contextmanager
def full_float32() -> Iterator[None]:
    """Float32 within is float32: PyTorch rounds the inputs of convolutions on a GPU to 11 bits (TF32) otherwise.

    The switch is one of the process. Several threads may hold it; after the last, it is as it was.
    """
    _PROMISE.take()
    try:
        yield
    finally:
        _PROMISE.give_back()
