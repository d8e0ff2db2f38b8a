"""Topics that every tracked person has of its own: they come with the person and go with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher

from sam3d_ros.ros.qos import qos_profile


class PersonTopics:
    """The publishers of each person, by track id.

    They may be made and destroyed by the thread that publishes, beside the one that spins the node: publishers
    without event handlers are not among what an executor waits for. One thread at a time may use this.

    Args:
        node: carries the publishers.
        namespace: of the topics of a person.
        types: topic below the namespace -> type of its messages.
    """

    def __init__(self, node: Node, namespace: Callable[[int], str], types: Mapping[str, Any]) -> None:
        self._node = node
        self._namespace = namespace
        self._types = types
        self._publishers: dict[int, dict[str, Publisher]] = {}

    @property
    def ids(self) -> list[int]:
        """Who has topics, ascending."""
        return sorted(self._publishers)

    def publish(self, track_id: int, messages: Mapping[str, Callable[[], Any]]) -> None:
        """Publish of a person: topic -> what makes the message, which is asked only where somebody listens.

        The first time makes all topics of the person.
        """
        if track_id not in self._publishers:
            namespace = self._namespace(track_id)
            self._publishers[track_id] = {
                topic: self._node.create_publisher(
                    kind,
                    f"{namespace}/{topic}",
                    qos_profile("reliable"),
                    event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
                )
                for topic, kind in self._types.items()
            }
        for topic, message_of in messages.items():
            publisher = self._publishers[track_id][topic]
            if publisher.get_subscription_count():
                publisher.publish(message_of())

    def keep(self, ids: Collection[int]) -> None:
        """Destroy the topics of everybody else."""
        for track_id in self._publishers.keys() - ids:
            for publisher in self._publishers.pop(track_id).values():
                self._node.destroy_publisher(publisher)
