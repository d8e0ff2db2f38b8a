"""The history of one frame: its parent and its pose in it, by stamp."""

from __future__ import annotations

from bisect import bisect_left

from tf2_py._rigid import Rigid, interpolate

# A sample: the parent's name and parent_from_child.
Sample = tuple[str, Rigid]

# Forgotten samples are cut off the front of the lists in blocks, so that pruning costs O(1) per insertion.
_COMPACT_AT = 512


class TimeCache:
    """Samples of a moving frame, sorted by stamp, as far back as the cache time."""

    is_static = False

    def __init__(self, cache_time_ns: int) -> None:
        self._cache_time_ns = cache_time_ns
        self._stamps: list[int] = []
        self._samples: list[Sample] = []
        self._first = 0

    def __len__(self) -> int:
        return len(self._stamps) - self._first

    @property
    def latest_stamp(self) -> int:
        return self._stamps[-1] if self._stamps else 0

    @property
    def oldest_stamp(self) -> int:
        return self._stamps[self._first] if self._stamps else 0

    @property
    def latest_parent(self) -> str | None:
        return self._samples[-1][0] if self._samples else None

    def insert(self, stamp: int, sample: Sample) -> bool:
        """Add a sample; a second one of the same stamp replaces the first.

        Returns:
            False if the stamp is older than the newest by more than the cache time; it is then ignored.
        """
        stamps = self._stamps
        if not stamps or stamp > stamps[-1]:
            stamps.append(stamp)
            self._samples.append(sample)
            self._prune()
            return True
        if stamp < stamps[-1] - self._cache_time_ns:
            return False
        at = bisect_left(stamps, stamp, self._first)
        if stamps[at] == stamp:
            self._samples[at] = sample
        else:
            stamps.insert(at, stamp)
            self._samples.insert(at, sample)
        return True

    def _prune(self) -> None:
        horizon = self._stamps[-1] - self._cache_time_ns
        first = self._first
        while self._stamps[first] < horizon:
            first += 1
        if first >= _COMPACT_AT and 2 * first >= len(self._stamps):
            del self._stamps[:first], self._samples[:first]
            first = 0
        self._first = first

    def clear(self) -> None:
        self._stamps.clear()
        self._samples.clear()
        self._first = 0

    def at(self, stamp: int) -> Sample | str:
        """Return the pose at a stamp (0 = newest), or the reason why there is none.

        Between two samples of one parent the pose is interpolated; where the frame changed its parent in
        between, the older sample holds until the newer one.
        """
        stamps = self._stamps
        if not stamps:
            return "Unable to lookup transform, cache is empty"
        if stamp == 0 or stamp == stamps[-1]:
            return self._samples[-1]
        if len(self) == 1:
            return (
                f"Lookup would require extrapolation at time {_seconds(stamp)}, "
                f"but only time {_seconds(stamps[-1])} is in the buffer"
            )
        if stamp > stamps[-1]:
            return (
                f"Lookup would require extrapolation into the future.  Requested time {_seconds(stamp)} "
                f"but the latest data is at time {_seconds(stamps[-1])}"
            )
        oldest = stamps[self._first]
        if stamp < oldest:
            return (
                f"Lookup would require extrapolation into the past.  Requested time {_seconds(stamp)} "
                f"but the earliest data is at time {_seconds(oldest)}"
            )
        at = bisect_left(stamps, stamp, self._first)
        newer = self._samples[at]
        if stamps[at] == stamp:
            return newer
        older = self._samples[at - 1]
        if older[0] != newer[0]:
            return older
        start = stamps[at - 1]
        return older[0], interpolate(older[1], newer[1], (stamp - start) / (stamps[at] - start))


class StaticCache:
    """The one pose of a frame that never moves: valid at every stamp, and kept by `clear`."""

    is_static = True
    latest_stamp = 0
    oldest_stamp = 0

    def __init__(self) -> None:
        self._sample: Sample | None = None

    def __len__(self) -> int:
        return 0 if self._sample is None else 1

    @property
    def latest_parent(self) -> str | None:
        return None if self._sample is None else self._sample[0]

    def insert(self, stamp: int, sample: Sample) -> bool:
        self._sample = sample
        return True

    def clear(self) -> None:
        """Keep the pose: static transforms are published once and would not come again."""

    def at(self, stamp: int) -> Sample | str:
        return "Unable to lookup transform, cache is empty" if self._sample is None else self._sample


def _seconds(stamp: int) -> str:
    return f"{stamp // 1_000_000_000}.{stamp % 1_000_000_000:09d}"
