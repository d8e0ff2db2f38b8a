"""Publishes the poses of frames that do not move on /tf_static."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import listed


class StaticTransformBroadcaster:
    """Publishes transforms on /tf_static, latched.

    Only the last message of a latched publisher reaches a late listener, so that each message repeats all
    transforms sent so far. As in Jazzy, a child keeps the first transform that is sent for it.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Create the publisher.

        Args:
            node: carries the publisher.
            qos: by default the last one, reliable, transient local.
        """
        if qos is None:
            qos = QoSProfile(
                depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_LAST
            )
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._by_child: dict[str, TransformStamped] = {}

    def sendTransform(  # noqa: N802 - the name that tf2_ros gives it
        self, transform: TransformStamped | Iterable[TransformStamped]
    ) -> None:
        """Add one transform or several, of children that none was sent for, and publish all."""
        for sample in listed(transform):
            self._by_child.setdefault(sample.child_frame_id, sample)
        self.pub_tf.publish(TFMessage(transforms=list(self._by_child.values())))
