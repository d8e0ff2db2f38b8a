"""Messages of several filters, passed on together."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

from message_filters.filters import SimpleFilter, stamp_of

_SECOND = 1_000_000_000


class TimeSynchronizer(SimpleFilter):
    """Passes on messages of equal stamps, one of each filter.

    Args:
        fs: the filters.
        queue_size: messages of each filter that wait for the others.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.lock = threading.Lock()
        for number, filter_ in enumerate(fs):
            filter_.registerCallback(self.add, number)

    def add(self, msg: Any, number: int) -> None:
        """Take a message of a filter, by its number."""
        stamp = stamp_of(msg, allow_headerless=self._takes_headerless())
        if stamp is None:
            return
        with self.lock:
            queue = self.queues[number]
            queue[stamp] = msg
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            stamps = self._together(number, stamp)
            if stamps is None:
                return
            found = [queue.pop(each) for queue, each in zip(self.queues, stamps, strict=True)]
        self.signalMessage(*found)

    def _takes_headerless(self) -> bool:
        return False

    def _together(self, number: int, stamp: int) -> Sequence[int] | None:
        """Return the stamps of a message of each filter that belong together; None where one is missing.

        Args:
            number: of the filter that something came from.
            stamp: of what came.
        """
        return [stamp] * len(self.queues) if all(stamp in queue for queue in self.queues) else None


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Passes on messages whose stamps lie close together, one of each filter.

    Args:
        fs: the filters.
        queue_size: messages of each filter that wait for the others.
        slop: most that their stamps may be apart, seconds.
        allow_headerless: messages without a header have the time of their arrival.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        self.slop = round(slop * _SECOND)
        self.allow_headerless = allow_headerless
        super().__init__(fs, queue_size)

    def _takes_headerless(self) -> bool:
        return self.allow_headerless

    def _together(self, number: int, stamp: int) -> Sequence[int] | None:
        near = [
            [stamp] if other == number else [each for each in queue if abs(each - stamp) <= self.slop]
            for other, queue in enumerate(self.queues)
        ]
        close = [found for found in itertools.product(*near) if max(found) - min(found) <= self.slop]
        return min(close, key=lambda found: sum(abs(each - stamp) for each in found), default=None)
