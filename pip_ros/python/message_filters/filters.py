"""Sources of messages, and what remembers them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

_QUEUE_SIZE = 10


class SimpleFilter:
    """Passes messages on to callbacks."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:  # noqa: N802 - its name in ROS
        """Have messages passed on to a callback, followed by the arguments; return the number of the connection."""
        number = len(self.callbacks)
        self.callbacks[number] = (cb, args)
        return number

    def signalMessage(self, *msg: Any) -> None:  # noqa: N802 - its name in ROS
        """Pass one message on, or those that belong together."""
        for callback, arguments in list(self.callbacks.values()):
            callback(*msg, *arguments)


class Subscriber(SimpleFilter):
    """Passes on the messages of a topic.

    Args:
        node: subscribes.
        args: type and name of the topic.
        kwargs: as of ``Node.create_subscription``; ``qos_profile`` is 10 by default.
    """

    def __init__(self, node: Node, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = args[1] if len(args) > 1 else kwargs["topic"]
        kwargs.setdefault("qos_profile", _QUEUE_SIZE)
        self.sub = node.create_subscription(*args, callback=self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Pass a message on."""
        self.signalMessage(msg)

    def getTopic(self) -> str:  # noqa: N802 - its name in ROS
        """Return the name of the topic."""
        return str(self.topic)

    def unregister(self) -> None:
        """End the subscription."""
        self.node.destroy_subscription(self.sub)


class Cache(SimpleFilter):
    """Remembers the last messages of a filter, and passes them on.

    Args:
        f: the filter.
        cache_size: how many are remembered.
        allow_headerless: messages without a header have the time of their arrival.
    """

    def __init__(self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False) -> None:
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self._kept: list[tuple[int, Any]] = []
        self._lock = threading.Lock()
        f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Remember a message, and pass it on."""
        stamp = stamp_of(msg, allow_headerless=self.allow_headerless)
        if stamp is None:
            return
        with self._lock:
            self._kept = [*self._kept, (stamp, msg)][-self.cache_size :]
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:  # noqa: N802 - its name in ROS
        """Return the messages of a time and of all until another, in the order of their arrival."""
        begin, end = from_stamp.nanoseconds, to_stamp.nanoseconds
        with self._lock:
            return [message for stamp, message in self._kept if begin <= stamp <= end]

    def getElemAfterTime(self, stamp: Time) -> Any:  # noqa: N802 - its name in ROS
        """Return the oldest message of a time or later; None where there is none."""
        with self._lock:
            later = [kept for kept in self._kept if kept[0] >= stamp.nanoseconds]
        return min(later, key=lambda kept: kept[0])[1] if later else None

    def getElemBeforeTime(self, stamp: Time) -> Any:  # noqa: N802 - its name in ROS
        """Return the newest message of a time or earlier; None where there is none."""
        with self._lock:
            earlier = [kept for kept in self._kept if kept[0] <= stamp.nanoseconds]
        return max(earlier, key=lambda kept: kept[0])[1] if earlier else None

    def getOldestTime(self) -> Time | None:  # noqa: N802 - its name in ROS
        """Return the earliest time of a message that is remembered; None where there is none."""
        with self._lock:
            return _time(min((stamp for stamp, _ in self._kept), default=None))

    def getLatestTime(self) -> Time | None:  # noqa: N802 - its name in ROS
        """Return the latest time of a message that is remembered; None where there is none."""
        with self._lock:
            return _time(max((stamp for stamp, _ in self._kept), default=None))

    def getLast(self) -> Any:  # noqa: N802 - its name in ROS
        """Return the message of the latest time; None where there is none."""
        latest = self.getLatestTime()
        return None if latest is None else self.getElemAfterTime(latest)


def stamp_of(message: Any, *, allow_headerless: bool) -> int | None:
    """Return the time of a message, nanoseconds; None, with a warning, where it has none and needs one."""
    if hasattr(message, "header") and hasattr(message.header, "stamp"):
        return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)
    if allow_headerless:
        return int(Clock(clock_type=ClockType.ROS_TIME).now().nanoseconds)
    get_logger("message_filters").warning(
        f"passed over a {type(message).__name__}, which has no header.stamp: pass allow_headerless=True to take the "
        "time of its arrival"
    )
    return None


def _time(nanoseconds: int | None) -> Time | None:
    return None if nanoseconds is None else Time(nanoseconds=nanoseconds, clock_type=ClockType.ROS_TIME)
