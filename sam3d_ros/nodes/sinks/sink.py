"""What a sink is: somewhere that the observations of a pipeline go, which costs nothing while nobody listens."""

from __future__ import annotations

from collections import deque
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

    def clear(self, stamp: int, frame_id: str) -> None:
        """Take everything back: nothing that viewers show may outlive the node's activity.

        Args:
            stamp: of the last moment, nanoseconds.
            frame_id: the frame of tracking.
        """

    def close(self) -> None:
        """Free what it holds; called once."""


class Newest(Generic[M]):
    """Holds the newest moment until one thread takes it, of several that may."""

    def __init__(self) -> None:
        self._held: deque[M] = deque(maxlen=1)

    def put(self, moment: M) -> None:
        """Hold this one in place of the one before."""
        self._held.append(moment)

    def take(self) -> M | None:
        """The moment, which is held no longer; None where there is none."""
        try:
            return self._held.pop()
        except IndexError:
            return None


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
