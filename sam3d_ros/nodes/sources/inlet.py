"""A subscription whose quality of service follows what is offered, as those of rosbag2 and RViz do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.topic_endpoint_info import TopicEndpointInfo

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.qos import AUTO, qos_profile


class Inlet:
    """Takes the messages of a topic in.

    With `auto` it asks for what every publisher offers: reliable messages where all of them are reliable, and those
    from before its time where all of them keep some. What is asked for beyond that brings nothing at all. Publishers
    come and go: `follow` looks again.

    Args:
        node: carries the subscription.
        message_type, topic: of the messages.
        take: the callback.
        quality: name of a profile, or `auto`.
        unknown: the profile of `auto` while there is no publisher.

    Attributes:
        node: as given.
        topic: its resolved name.

    Raises:
        FaultError: wrong_type: the process has the topic with another type.
    """

    def __init__(
        self,
        node: Node,
        message_type: Any,
        topic: str,
        take: Callable[[Any], None],
        quality: str,
        unknown: str = "sensor_data",
    ) -> None:
        self.node = node
        self.topic = node.resolve_topic_name(topic)
        self._message_type, self._take = message_type, take
        self._type_name = type_name(message_type)
        self._is_auto = quality == AUTO
        self._profile = qos_profile(unknown if self._is_auto else quality)
        if self._is_auto:
            self._profile = followed(self._profile, self._offers())
        self._subscription = self._subscribed()

    def follow(self) -> None:
        """Subscribe anew if the publishers offer something else now; those of now alone count."""
        if not self._is_auto:
            return
        wanted = followed(self._profile, self._offers())
        if _policies(wanted) != _policies(self._profile):
            self._profile = wanted
            self.node.destroy_subscription(self._subscription)
            self._subscription = self._subscribed()

    def foreign_types(self) -> list[str]:
        """The topic and its type, for each other type than the one that is read: nothing comes of it."""
        foreign = {info.topic_type for info in self._publishers()} - {self._type_name}
        return [
            f"{self.topic} is published as {kind}, and read as {self._type_name}" for kind in sorted(foreign)
        ]

    def incompatibilities(self) -> list[str]:
        """Why nothing comes from a publisher: the topic, and the policy that does not fit, for each."""
        return [
            f"{self.topic}: {reason.removeprefix('ERROR: ').rstrip(';')}"
            for offered in self._offers()
            for compatibility, reason in [qos_check_compatible(offered, self._profile)]
            if compatibility == QoSCompatibility.ERROR
        ]

    def close(self) -> None:
        """Take in nothing more."""
        self.node.destroy_subscription(self._subscription)

    def _offers(self) -> list[QoSProfile]:
        return [info.qos_profile for info in self._publishers() if info.topic_type == self._type_name]

    def _publishers(self) -> list[TopicEndpointInfo]:
        return list(self.node.get_publishers_info_by_topic(self.topic))

    def _subscribed(self) -> Any:
        try:
            return self._subscription_made()
        except rclpy_implementation.RCLError as error:
            # The middleware lets a process have a topic as one type alone.
            raise FaultError(
                Fault.WRONG_TYPE,
                f"{self.topic} cannot be read as {self._type_name}: another input of this process has the same topic, "
                "with another type",
            ) from error

    def _subscription_made(self) -> Any:
        # Without rclpy's own events: one that is under way when its subscription ends is raised by the executor (rclpy
        # 7.1.6), and what they log is a fault here.
        return self.node.create_subscription(
            self._message_type,
            self.topic,
            self._take,
            self._profile,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )


def type_name(message_type: Any) -> str:
    """The name of a type of messages, such as sensor_msgs/msg/Image."""
    return f"{message_type.__module__.partition('.')[0]}/msg/{message_type.__name__}"


def followed(profile: QoSProfile, offers: Sequence[QoSProfile]) -> QoSProfile:
    """The profile with the most that all publishers offer; as it is without any."""
    if not offers:
        return profile
    reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    latched = reliable and all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        history=profile.history,
        depth=profile.depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _policies(profile: QoSProfile) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
    return profile.reliability, profile.durability
