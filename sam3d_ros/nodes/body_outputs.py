"""Everything that the node `sam3d_bodies` publishes of a frame, from one and the same reconstruction."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import JointState
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import BodyArray, BodyMesh
from sam3d_ros.nodes.humans_outputs import HumansOutputs
from sam3d_ros.nodes.person_topics import PersonTopics
from sam3d_ros.perception.people.pipeline import Sighting, TrackedBody
from sam3d_ros.ros.body_markers import BodyMarkerBoard
from sam3d_ros.ros.body_messages import body_array, body_frame, body_mesh, body_transforms, joint_state
from sam3d_ros.ros.humans_messages import HumansMessages, human_transforms
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message


class BodyOutputs:
    """The publishers `~/bodies`, `~/meshes`, `~/markers`, `~/body_<id>/joint_states` and /tf.

    Args:
        node: carries the publishers; they are silent while it is not active.
        max_people: most people at a time.
        joint_frames: whether the joints are frames, too.
        surface_markers: whether the markers show the surfaces.
        humans: fills the messages of REP-155, where its topics and frames are wanted.
    """

    def __init__(
        self,
        node: LifecycleNode,
        max_people: int,
        *,
        joint_frames: bool,
        surface_markers: bool,
        humans: HumansMessages | None = None,
    ) -> None:
        self._node = node
        self._joint_frames = joint_frames
        latched = qos_profile("latched", depth=max_people)
        # Those of one image: the light ones of everybody, and a surface of each.
        markers = qos_profile("latched", depth=max_people + 1)
        self._bodies = node.create_lifecycle_publisher(BodyArray, "~/bodies", qos_profile("reliable"))
        self._meshes = node.create_lifecycle_publisher(BodyMesh, "~/meshes", latched)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", markers)
        # No part of a topic's name may begin with a digit.
        self._joint_states = PersonTopics(node, lambda i: f"~/{body_frame(i)}", {"joint_states": JointState})
        self._humans = None if humans is None else HumansOutputs(node, humans)
        self._tf = TransformBroadcaster(node)
        self._board = BodyMarkerBoard(surfaces=surface_markers)

    def publish(self, sighting: Sighting, frame_id: str, bodies: Sequence[TrackedBody]) -> None:
        """Publish the people of an image: meshes and frames before what refers to them.

        Args:
            sighting: the image, and who is tracked.
            frame_id: the frame that people are tracked in.
            bodies: everybody in it.
        """
        header = header_message(sighting.frame.stamp, frame_id)
        if bodies:
            transforms = body_transforms(bodies, header, joints=self._joint_frames)
            if self._humans is not None:
                transforms += human_transforms(bodies, header)
            self._tf.sendTransform(transforms)
        states = {tracked.track_id: joint_state(tracked, header) for tracked in bodies}
        for track_id, state in states.items():
            self._joint_states.publish(track_id, {"joint_states": state})
        self._joint_states.keep(sighting.alive)
        if self._humans is not None:
            self._humans.publish(sighting.frame, bodies, states, sighting.alive, header)
        for tracked in bodies:
            mesh = body_mesh(tracked, header)
            if mesh is not None:
                self._meshes.publish(mesh)
        self._bodies.publish(body_array(bodies, header))
        for message in self._board.update(bodies, header):
            self._markers.publish(message)

    def clear(self, stamp: int, frame_id: str) -> None:
        """Take everybody back: nothing that viewers show may outlive the node's activity."""
        header = header_message(stamp, frame_id)
        self._markers.publish(self._board.clear())
        self._bodies.publish(body_array((), header))
        self._joint_states.keep(())
        if self._humans is not None:
            self._humans.clear(header)

    def close(self) -> None:
        """Destroy the publishers."""
        self._joint_states.keep(())
        if self._humans is not None:
            self._humans.close()
        for publisher in (self._bodies, self._meshes, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._tf.pub_tf)
