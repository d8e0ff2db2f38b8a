"""``ros2 topic hz``: measure the rate of a topic."""

from __future__ import annotations

import argparse
import collections
import statistics
import time

from ros2cli.topic_watch import add_watch_arguments, spread, watch

HELP = "Print the average publishing rate to screen"

_WINDOW = 10000  # messages


class RateMeter:
    """Statistics of the times between messages.

    Args:
        window: number of messages that are remembered.
    """

    def __init__(self, window: int) -> None:
        self._periods: collections.deque[float] = collections.deque(maxlen=window)
        self._last: float | None = None

    def add(self, now: float) -> None:
        """Count a message.

        Args:
            now: time of its arrival, seconds.
        """
        if self._last is not None:
            self._periods.append(now - self._last)
        self._last = now

    def report(self) -> str | None:
        """Return rate and periods in words; None before there are two messages."""
        if not self._periods:
            return None
        mean = statistics.fmean(self._periods)
        rate = f"{1.0 / mean:.3f}" if mean > 0.0 else "inf"
        return f"average rate: {rate}\n\t{spread(self._periods)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_watch_arguments(parser, window=_WINDOW)


def main(arguments: argparse.Namespace) -> int:
    """Print the rate every second until interrupted."""
    meter = RateMeter(arguments.window)
    watch("hz", arguments.topic_name, meter, lambda _: meter.add(time.monotonic()), raw=True)
