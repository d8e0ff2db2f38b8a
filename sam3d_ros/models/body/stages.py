"""The stages of a call, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

ENCODE = "encoder"
DECODE = "decoder"
ENCODE_HANDS = "hand encoder"
DECODE_HANDS = "hand decoder"
DECODE_AGAIN = "second decoder"
SURFACE = "surface"
DEPTH = "depth"

#: Called with the name of a stage when it begins, and the share of the whole that is done, 0 to 1. What it raises
#: ends the call.
Progress = Callable[[str, float], None]

# Share of a call with hands that is done when a stage begins: encoders take nearly all of it.
_DONE = {
    ENCODE: 0.0,
    DECODE: 0.3,
    ENCODE_HANDS: 0.33,
    DECODE_HANDS: 0.9,
    DECODE_AGAIN: 0.94,
    SURFACE: 0.97,
    DEPTH: 0.99,
}


class Stages:
    """Listens to a call.

    Args:
        device: whose work is waited for at the end of a stage.
        progress: told about each stage.
        span: shares of the whole that this part of it begins and ends with.
    """

    def __init__(
        self, device: torch.device, progress: Progress | None = None, span: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        self._device, self._progress, self._span = device, progress, span
        self._stage, self._start = "", 0.0
        self.seconds: dict[str, float] = {}

    def begin(self, stage: str) -> None:
        """A stage begins, and with that the one before ends."""
        self.end()
        if self._progress is not None:
            low, high = self._span
            self._progress(stage, low + (high - low) * _DONE[stage])
        self._stage, self._start = stage, time.perf_counter()

    def end(self) -> None:
        """The last stage ends."""
        if self._stage:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self.seconds[self._stage] = time.perf_counter() - self._start
            self._stage = ""
