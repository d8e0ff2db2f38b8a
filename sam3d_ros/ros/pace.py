"""How many frames there is time for before the next one is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean, median

_NANOSECONDS = 1e-9
#: So many frames tell how long one takes, and so few stamps tell nothing of their period.
_FRAMES, _LEAST_STAMPS = 15, 4
#: What takes less takes nothing, seconds.
_INSTANT = 1e-9
#: More are never looked at one after the other: a burst of more is a pause, and what comes after it is what matters.
MOST_WAITING = 3


class Pace:
    """Knows how long frames take their reader, from when it takes one until it asks for the next.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: float | None = None
        self._spent: deque[float] = deque(maxlen=_FRAMES)

    def taken(self) -> None:
        """A frame goes to the reader."""
        self._began = self._clock()

    def asked(self) -> None:
        """The reader wants another one."""
        if self._began is not None:
            self._spent.append(self._clock() - self._began)
            self._began = None

    def affordable(self, stamps: Sequence[int]) -> int:
        """How many frames, up to `MOST_WAITING`, can be looked at in a period of their source; 1 where it is not known.

        Args:
            stamps: of the source's last frames, nanoseconds, ascending.
        """
        if len(stamps) < _LEAST_STAMPS or not self._spent:
            return 1
        period = median(later - earlier for earlier, later in pairwise(stamps)) * _NANOSECONDS
        spent = fmean(self._spent)
        return max(1, min(MOST_WAITING, int(period / max(spent, _INSTANT))))
