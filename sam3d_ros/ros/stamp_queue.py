"""The last messages of an input, found by their stamps."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any


class StampQueue:
    """Messages sorted by stamp, nanoseconds.

    Args:
        size: how many are kept; the oldest goes first.

    Attributes:
        stamps: ascending.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.stamps: list[int] = []
        self._items: dict[int, tuple[Any, float]] = {}

    def __len__(self) -> int:
        return len(self.stamps)

    def add(self, stamp: int, message: Any, arrival: float) -> int | None:
        """Keep a message; one of the same stamp is replaced. Returns the stamp that had to go for it."""
        if stamp not in self._items:
            insort(self.stamps, stamp)
        self._items[stamp] = (message, arrival)
        if len(self.stamps) <= self._size:
            return None
        oldest = self.stamps.pop(0)
        del self._items[oldest]
        return oldest

    def get(self, stamp: int) -> tuple[Any, float]:
        """The message of a stamp that is there, and when it came."""
        return self._items[stamp]

    def nearest(self, stamp: int, tolerance: int) -> int | None:
        """The stamp nearest to another one, if it is within the tolerance."""
        at = bisect_left(self.stamps, stamp)
        near = self.stamps[max(at - 1, 0) : at + 1]
        best = min(near, key=lambda candidate: abs(candidate - stamp), default=None)
        return best if best is not None and abs(best - stamp) <= tolerance else None

    def drop_until(self, stamp: int) -> None:
        """Forget everything up to a stamp."""
        count = bisect_left(self.stamps, stamp + 1)
        for old in self.stamps[:count]:
            del self._items[old]
        del self.stamps[:count]

    def clear(self) -> int:
        """Forget everything, and return how much it was."""
        count = len(self.stamps)
        self.stamps.clear()
        self._items.clear()
        return count
