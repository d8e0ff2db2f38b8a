"""What a sink is: somewhere that the observations of a pipeline go, which costs nothing while nobody listens."""

from __future__ import annotations

import threading
from typing import Any, Generic, Protocol, TypeVar

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Sink(Protocol[M_contra]):
    """Takes in the moments of a pipeline, such as `SeenObjects`, one after the other.

    `show` is called by a thread of the pipeline; `refresh`, `clear` and `close` by the one that spins the node, the
    last two while the pipeline rests.
    """

    def show(self, moment: M_contra) -> None:
        """Take in a moment."""

    def refresh(self) -> None:
        """Serve who has begun to listen since the last moment; called now and then."""

    def clear(self, emptied: M_contra) -> None:
        """Take everything back: nothing that viewers show may outlive the node's activity.

        Args:
            emptied: the last moment with nothing in it.
        """

    def close(self) -> None:
        """Free what it holds; called once."""


class Outlet:
    """A publisher that knows whether somebody listens.

    Args:
        node: carries it; it is silent while the node is not active.
        message_type, topic, qos: as for a publisher.
    """

    def __init__(self, node: LifecycleNode, message_type: Any, topic: str, qos: QoSProfile) -> None:
        self._node = node
        self._publisher = node.create_lifecycle_publisher(message_type, topic, qos)

    @property
    def has_listener(self) -> bool:
        """Whether a subscription is matched: a message that nobody takes need not be made."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, message: Any) -> None:
        """Publish a message, or one that is serialised already."""
        self._publisher.publish(message)

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)


class LatchedSink(Generic[M]):
    """A latched topic that begins when somebody listens, with the moment that was shown last.

    Subclasses implement `_send`. Who joins others later is served by the middleware.

    Args:
        outlet: the topic.
    """

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._lock = threading.Lock()
        self._last: M | None = None
        self._is_heard = False

    def show(self, moment: M) -> None:
        with self._lock:
            self._last = moment
            self._update()

    def refresh(self) -> None:
        with self._lock:
            # Who listens may have gone since the last moment, and somebody else may have come.
            if not (self._is_heard and self._outlet.has_listener):
                self._update()

    def clear(self, emptied: M) -> None:
        with self._lock:
            self._last = None
            self._take_back(emptied)

    def close(self) -> None:
        self._outlet.close()

    def _update(self) -> None:
        was_heard, self._is_heard = self._is_heard, self._outlet.has_listener
        if self._last is None or not self._is_heard:
            return
        if not was_heard:
            self._begin_anew()
        self._send(self._last)

    def _send(self, moment: M) -> None:
        """Publish what of a moment the listeners lack."""
        raise NotImplementedError

    def _begin_anew(self) -> None:
        """Somebody listens after nobody did, and has what is latched, which may be long gone."""

    def _take_back(self, emptied: M) -> None:
        """Take back what viewers show; `emptied` is as of `clear`."""
