"""What stands around the threads of a pipeline: frames that are put in, a sink and a report that note what they get."""

from __future__ import annotations

import queue
from collections import defaultdict
from collections.abc import Mapping
from typing import Generic, TypeVar

from sam3d_ros.perception.frame import Frame

M = TypeVar("M")


class FrameQueue:
    """A source of the frames that are put in."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue()

    def next_frame(self, timeout: float) -> Frame | None:
        try:
            return self.frames.get(timeout=timeout)
        except queue.Empty:
            return None


class NotingSink(Generic[M]):
    """Keeps the moments that it is shown."""

    def __init__(self) -> None:
        self.moments: list[M] = []

    def show(self, moment: M) -> None:
        self.moments.append(moment)

    def refresh(self) -> None:
        """Nobody begins to listen."""

    def clear(self, emptied: M) -> None:
        """Nobody is told."""

    def close(self) -> None:
        """There is nothing to free."""


class NotingReport:
    """Keeps what is told of the work.

    Attributes:
        seen: stamps of the frames that were looked at, with their faults.
        stages: how often each stage was told.
        out: what was told to be out -> stamps.
        batches: sizes of the batches that were finished.
        failures: what failed, and the error.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, int]]] = []
        self.stages: dict[str, int] = defaultdict(int)
        self.out: dict[str, list[int]] = defaultdict(list)
        self.batches: list[int] = []
        self.failures: list[tuple[str, Exception]] = []

    def observed(self, faults: Mapping[str, int], stamp: int) -> None:
        self.seen.append((stamp, dict(faults)))

    def spent(self, stage: str, milliseconds: float) -> None:
        assert milliseconds >= 0
        self.stages[stage] += 1

    def reached(self, what: str, stamp: int) -> None:
        self.out[what].append(stamp)

    def finished(self, count: int, milliseconds: float) -> None:
        assert milliseconds >= 0
        self.batches.append(count)

    def failed(self, what: str, error: Exception, details: str) -> None:
        assert "Traceback" in details
        self.failures.append((what, error))
