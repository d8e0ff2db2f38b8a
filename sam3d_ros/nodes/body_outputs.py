"""Everything that the node `sam3d_bodies` publishes of a frame, from one and the same reconstruction."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import BodyArray, BodyMesh
from sam3d_ros.perception.body_tracking import TrackedBody
from sam3d_ros.ros.body_markers import BodyMarkerBoard
from sam3d_ros.ros.body_messages import body_array, body_mesh, body_transforms
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message


class BodyOutputs:
    """The publishers `~/bodies`, `~/meshes`, `~/markers` and /tf.

    Args:
        node: carries the publishers; they are silent while it is not active.
        max_people: most people at a time.
        joint_frames: whether the joints are frames, too.
        surface_markers: whether the markers show the surfaces.
    """

    def __init__(
        self, node: LifecycleNode, max_people: int, *, joint_frames: bool, surface_markers: bool
    ) -> None:
        self._node = node
        self._joint_frames = joint_frames
        latched = qos_profile("latched", depth=max_people)
        # Those of one image: the light ones of everybody, and a surface of each.
        markers = qos_profile("latched", depth=max_people + 1)
        self._bodies = node.create_lifecycle_publisher(BodyArray, "~/bodies", qos_profile("reliable"))
        self._meshes = node.create_lifecycle_publisher(BodyMesh, "~/meshes", latched)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", markers)
        self._tf = TransformBroadcaster(node)
        self._board = BodyMarkerBoard(surfaces=surface_markers)

    def publish(self, stamp: int, frame_id: str, bodies: Sequence[TrackedBody]) -> None:
        """Publish the people of an image: meshes and frames before what refers to them.

        Args:
            stamp: of the image, nanoseconds.
            frame_id: the frame that people are tracked in.
            bodies: everybody in it.
        """
        header = header_message(stamp, frame_id)
        if bodies:
            self._tf.sendTransform(body_transforms(bodies, header, joints=self._joint_frames))
        for tracked in bodies:
            mesh = body_mesh(tracked, header)
            if mesh is not None:
                self._meshes.publish(mesh)
        self._bodies.publish(body_array(bodies, header))
        for message in self._board.update(bodies, header):
            self._markers.publish(message)

    def clear(self, stamp: int, frame_id: str) -> None:
        """Take everybody back: nothing that viewers show may outlive the node's activity."""
        self._markers.publish(self._board.clear())
        self._bodies.publish(body_array((), header_message(stamp, frame_id)))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._bodies, self._meshes, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._tf.pub_tf)
