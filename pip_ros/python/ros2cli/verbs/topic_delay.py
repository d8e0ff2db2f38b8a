"""``ros2 topic delay``: measure how old the messages of a topic are when they arrive."""

from __future__ import annotations

import argparse
import collections
import statistics
import time
from typing import Any

from ros2cli.command import CommandError
from ros2cli.topic_watch import add_watch_arguments, spread, watch

HELP = "Display delay of topic from timestamp in header"

_WINDOW = 10000  # messages


class DelayMeter:
    """Statistics of the times from the stamps of messages to their arrival.

    Args:
        window: number of messages that are remembered.
    """

    def __init__(self, window: int) -> None:
        self._delays: collections.deque[float] = collections.deque(maxlen=window)

    def add(self, now: float, stamp: float) -> None:
        """Count a message.

        Args:
            now: time of its arrival, seconds.
            stamp: that of its header, seconds.
        """
        self._delays.append(now - stamp)

    def report(self) -> str | None:
        """Return delays in words; None before there is a message."""
        if not self._delays:
            return None
        return f"average delay: {statistics.fmean(self._delays):.3f}\n\t{spread(self._delays)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_watch_arguments(parser, window=_WINDOW)


def main(arguments: argparse.Namespace) -> int:
    """Print the delay every second until interrupted."""
    meter = DelayMeter(arguments.window)

    def take(message: Any) -> None:
        if not hasattr(message, "header"):
            raise CommandError("msg does not have header")
        stamp = message.header.stamp
        meter.add(time.time(), stamp.sec + stamp.nanosec * 1e-9)

    watch("delay", arguments.topic_name, meter, take, raw=False)
