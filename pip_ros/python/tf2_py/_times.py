"""Times as look-ups take them."""

from __future__ import annotations

from typing import Any, TypeAlias

from builtin_interfaces.msg import Time as TimeMessage
from rclpy.time import Time

#: A stamp of a message, or a time of rclpy.
SomeTime: TypeAlias = Time | TimeMessage


def nanoseconds(time: Any) -> int:
    """Return SomeTime since the epoch; AttributeError where it is none."""
    if hasattr(time, "sec") and hasattr(time, "nanosec"):
        return int(time.sec * 1_000_000_000 + time.nanosec)
    if hasattr(time, "nanoseconds"):
        return int(time.nanoseconds)
    raise AttributeError(f"expected a time with sec and nanosec, or with nanoseconds, got {time!r}")
