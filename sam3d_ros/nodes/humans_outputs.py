"""What REP-155 (ROS4HRI) wants to know of people: `/humans/bodies/tracked` and the topics of each body."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sam3d_ros.nodes.person_topics import PersonTopics
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros.humans_messages import HumansMessages, human_id
from sam3d_ros.ros.qos import qos_profile

NAMESPACE = "/humans/bodies"


class HumansOutputs:
    """The publishers of `/humans/bodies`.

    Args:
        node: carries them.
        messages: fills the messages of hri_msgs.
    """

    def __init__(self, node: LifecycleNode, messages: HumansMessages) -> None:
        self._node = node
        self._messages = messages
        self._tracked = node.create_lifecycle_publisher(
            messages.ids_list, f"{NAMESPACE}/tracked", qos_profile("latched")
        )
        self._topics = PersonTopics(
            node,
            lambda track_id: f"{NAMESPACE}/{human_id(track_id)}",
            {"roi": messages.region, "skeleton2d": messages.skeleton, "joint_states": JointState},
        )

    def publish(
        self,
        frame: Frame,
        bodies: Sequence[TrackedBody],
        states: Mapping[int, JointState],
        alive: Collection[int],
        header: Header,
    ) -> None:
        """Publish the people of an image.

        Args:
            frame: the image.
            bodies: everybody in it.
            states: angles of the joints by track id.
            alive: the tracks there are, also of those who are out of sight for a moment: they stay listed.
            header: of the image.
        """
        for tracked in bodies:
            messages = {
                "roi": self._messages.region_of(tracked, frame),
                "skeleton2d": self._messages.skeleton_of(tracked, frame),
                "joint_states": states[tracked.track_id],
            }
            self._topics.publish(tracked.track_id, messages)
        self._topics.keep(alive)
        self._tracked.publish(self._messages.tracked(self._topics.ids, header))

    def clear(self, header: Header) -> None:
        """Take everybody back."""
        self._topics.keep(())
        self._tracked.publish(self._messages.tracked((), header))

    def close(self) -> None:
        """Destroy the publishers."""
        self._topics.keep(())
        self._node.destroy_lifecycle_publisher(self._tracked)
