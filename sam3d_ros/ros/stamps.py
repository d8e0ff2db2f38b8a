"""Stamps of messages as whole nanoseconds, and back."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

NANOSECONDS = 1_000_000_000


def nanoseconds(stamp: Time) -> int:
    """The stamp as nanoseconds since the epoch of its clock."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def time_message(stamp: int) -> Time:
    """Nanoseconds as a message."""
    seconds, rest = divmod(stamp, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def header_message(stamp: int, frame_id: str) -> Header:
    """A header of a stamp in nanoseconds and a frame."""
    return Header(stamp=time_message(stamp), frame_id=frame_id)
