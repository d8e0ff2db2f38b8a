"""What REP-155 (ROS4HRI) wants to know of people: `humans/bodies/tracked` and the topics of each body."""

from __future__ import annotations

from functools import partial

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import JointState

from sam3d_ros.nodes.sinks.person_topics import PersonTopics
from sam3d_ros.perception.scenes.joint_scene import SeenPeople
from sam3d_ros.ros.body_messages import joint_state
from sam3d_ros.ros.humans_messages import HumansMessages, human_id
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message

#: Below the namespace of the node: two of them number their people each for itself.
NAMESPACE = "humans/bodies"


class HumansTopics:
    """The publishers of `humans/bodies`.

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

    def show(self, moment: SeenPeople) -> None:
        header = header_message(moment.frame.stamp, moment.frame_id)
        for tracked in moment.bodies:
            messages = {
                "roi": partial(self._messages.region_of, tracked, moment.frame),
                "skeleton2d": partial(self._messages.skeleton_of, tracked, moment.frame),
                "joint_states": partial(joint_state, tracked, header),
            }
            self._topics.publish(tracked.track_id, messages)
        # Those who are out of sight for a moment stay listed.
        self._topics.keep(moment.alive)
        self._tracked.publish(self._messages.tracked(self._topics.ids, header))

    def refresh(self) -> None:
        """Who comes late gets the next one."""

    def clear(self, emptied: SeenPeople) -> None:
        header = header_message(emptied.frame.stamp, emptied.frame_id)
        self._topics.keep(())
        self._tracked.publish(self._messages.tracked((), header))

    def close(self) -> None:
        self._topics.keep(())
        self._node.destroy_lifecycle_publisher(self._tracked)
