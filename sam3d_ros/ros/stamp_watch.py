"""Notices inputs that come but belong to no image, and says by how much their stamps are off."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sam3d_ros.ros.faults import Fault, FaultLog

_SECOND = 1_000_000_000

#: An input that matched nothing for so long is reported, and again after as long; seconds.
PATIENCE = 1.0
#: Stamps that are further apart than this come from two clocks, seconds: no network and no segmenter is that late.
CLOCKS_APART = 10.0
#: International atomic time (which PTP hands out) before UTC since 2017, and how well the two are told apart; seconds.
_TAI_BEFORE_UTC, _TAI_TOLERANCE = 37.0, 1.0
#: Stamps below this count from the start of a machine or a simulation, stamps above it from 1970; nanoseconds: 1980.
_FIRST_DATE = 315_532_800 * _SECOND
#: An image whose clock jumps so often within so many seconds has two publishers.
_JUMPS, _JUMPS_WITHIN = 3, 5.0


@dataclass
class _Unmatched:
    """Messages of one input in a row that matched no image: the first, how many, and the last report."""

    since: float
    count: int = 0
    told_at: float = float("-inf")


class StampWatch:
    """Keeps account of matches; not safe for threads, its owner is.

    Args:
        faults: where unstamped_input, foreign_clock, mismatched_stamps and two_clocks are reported.
        clock: seconds that only grow.
    """

    def __init__(self, faults: FaultLog, clock: Callable[[], float]) -> None:
        self._faults = faults
        self._clock = clock
        self._unmatched: dict[str, _Unmatched] = {}
        self._jumps: deque[float] = deque(maxlen=_JUMPS)

    def matched(self, name: str) -> None:
        """A message of an input belongs to an image."""
        self._unmatched.pop(name, None)

    def unmatched(self, name: str, stamp: int, image_stamp: int | None) -> None:
        """A message belongs to no image that has come, of which the newest has the stamp `image_stamp`."""
        now = self._clock()
        entry = self._unmatched.setdefault(name, _Unmatched(now))
        entry.count += 1
        if image_stamp is None or entry.count < 2 or now - max(entry.since, entry.told_at) < PATIENCE:
            return
        entry.told_at = now
        self._faults.report(*_explained(name, stamp, image_stamp), times=1)

    def is_mismatched(self, name: str) -> bool:
        """Whether an input comes and has matched no image for a while."""
        entry = self._unmatched.get(name)
        return entry is not None and entry.count > 1 and self._clock() - entry.since >= PATIENCE

    def jumped(self, back: float) -> None:
        """The stamps of the image went back by so many seconds."""
        now = self._clock()
        self._jumps.append(now)
        if len(self._jumps) == _JUMPS and now - self._jumps[0] <= _JUMPS_WITHIN:
            self._faults.report(
                Fault.TWO_CLOCKS,
                f"the stamp of the image went back {_JUMPS} times in {now - self._jumps[0]:.1f} s, the last time by "
                f"{back:.3f} s",
            )

    def forget(self) -> None:
        """Begin anew."""
        self._unmatched.clear()


def _explained(name: str, stamp: int, image_stamp: int) -> tuple[Fault, str]:
    """What is wrong with a stamp, beside that of an image."""
    offset = (stamp - image_stamp) / _SECOND
    if stamp == 0:
        return Fault.UNSTAMPED_INPUT, f"{name} have the stamp 0"
    apart = f"{name} are stamped {abs(offset):.3f} s {'after' if offset > 0 else 'before'} the newest image"
    if abs(offset) < CLOCKS_APART:
        return Fault.MISMATCHED_STAMPS, f"{apart}, and no image has their stamp"
    if image_stamp == 0:
        return Fault.UNSTAMPED_INPUT, "images have the stamp 0"
    reason = ""
    if abs(abs(offset) - _TAI_BEFORE_UTC) <= _TAI_TOLERANCE:
        early, late = (name, "the images") if offset < 0 else ("the images", name)
        reason = f": {late} are stamped in TAI, as PTP gives it, {early} in UTC"
    elif (stamp < _FIRST_DATE) != (image_stamp < _FIRST_DATE):
        counted, dated = (name, "the images") if stamp < image_stamp else ("the images", name)
        reason = (
            f": {counted} count seconds since some start (of a machine, a simulation), {dated} since 1970"
        )
    return Fault.FOREIGN_CLOCK, apart + reason
