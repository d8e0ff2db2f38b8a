"""``ros2 topic bw``: measure the bandwidth of a topic."""

from __future__ import annotations

import argparse
import collections
import statistics
import time

from ros2cli.topic_watch import add_watch_arguments, watch

HELP = "Display bandwidth used by topic"

_WINDOW = 100  # messages
_UNITS = ("B", "KB", "MB", "GB")


class BandwidthMeter:
    """Statistics of the sizes of messages.

    Args:
        window: number of messages that are remembered.
    """

    def __init__(self, window: int) -> None:
        self._seen: collections.deque[tuple[float, int]] = collections.deque(maxlen=window)

    def add(self, now: float, size: int) -> None:
        """Count a message.

        Args:
            now: time of its arrival, seconds.
            size: of it, bytes.
        """
        self._seen.append((now, size))

    def report(self) -> str | None:
        """Return bandwidth and sizes in words; None before there are two messages."""
        if len(self._seen) < 2:
            return None
        sizes = [size for _, size in self._seen]
        duration = self._seen[-1][0] - self._seen[0][0]
        # The first message begins the time; it did not arrive within it.
        rate = sum(sizes[1:]) / duration if duration > 0.0 else float("inf")
        return (
            f"{_amount(rate)}/s from {len(sizes)} messages\n\tMessage size mean: {_amount(statistics.fmean(sizes))} "
            f"min: {_amount(min(sizes))} max: {_amount(max(sizes))}"
        )


def _amount(size: float) -> str:
    """Return a number of bytes in the unit of its size."""
    unit = 0
    while size >= 1000.0 and unit < len(_UNITS) - 1:
        size /= 1000.0
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.2f} {_UNITS[unit]}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_watch_arguments(parser, window=_WINDOW)


def main(arguments: argparse.Namespace) -> int:
    """Print the bandwidth every second until interrupted."""
    meter = BandwidthMeter(arguments.window)
    watch("bw", arguments.topic_name, meter, lambda raw: meter.add(time.monotonic(), len(raw)), raw=True)
