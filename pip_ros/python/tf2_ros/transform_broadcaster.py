"""Publishes the poses of moving frames on /tf."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage


class TransformBroadcaster:
    """Publishes transforms on /tf."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Create the publisher.

        Args:
            node: carries the publisher.
            qos: by default the last 100, reliable, volatile.
        """
        self.pub_tf = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=100) if qos is None else qos)

    def sendTransform(  # noqa: N802 - the name that tf2_ros gives it
        self, transform: TransformStamped | Iterable[TransformStamped]
    ) -> None:
        """Publish one transform or several in one message."""
        self.pub_tf.publish(TFMessage(transforms=listed(transform)))


def listed(transform: TransformStamped | Iterable[TransformStamped]) -> list[TransformStamped]:
    """Return the list of transforms that a broadcaster's argument stands for."""
    return list(transform) if hasattr(transform, "__iter__") else [transform]
