"""Everything that the node `sam3d_objects` publishes of a frame, from one and the same observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.lifecycle import LifecycleNode
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import ObjectArray, ObjectMesh
from sam3d_ros.nodes.gaussian_output import GaussianOutput
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.markers import MarkerBoard
from sam3d_ros.ros.object_messages import detection_array, object_array, object_mesh, object_transforms
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message

#: Meshes kept for those who join late, beyond one for each object. The middleware holds memory for the largest mesh
#: ever sent in every place of its history, so the history is short, and old meshes are sent again in time.
SPARE_MESHES = 8


#: Marker messages kept: those of a frame with so many new objects but one. A mesh marker takes a megabyte, and a viewer
#: that misses one gets it again soon.
MARKER_MESSAGES = 6


@dataclass(frozen=True, eq=False)
class _SentMesh:
    """A mesh as it was sent: its version, the message, and how many meshes had been sent before it."""

    version: int
    message: ObjectMesh
    number: int


class ObjectOutputs:
    """The publishers `~/objects`, `~/meshes`, `~/detections`, `~/markers` and /tf.

    `~/meshes` is latched: who joins late gets the meshes of all objects. A mesh is published once for every version,
    and again only when others are about to push it out of what late joiners get. Nothing is sent for a deleted
    object: its id is never used again, and it is missing in every later ObjectArray.

    Args:
        node: carries the publishers; they are silent while it is not active.
        max_objects: most objects at a time.
        gaussians: whether `~/gaussians` is wanted, too; see `GaussianOutput`.
    """

    def __init__(self, node: LifecycleNode, max_objects: int, *, gaussians: bool) -> None:
        self._node = node
        self._history = max_objects + SPARE_MESHES
        reliable = qos_profile("reliable")
        meshes = qos_profile("latched", depth=self._history)
        markers = qos_profile("latched", depth=MARKER_MESSAGES)
        self._objects = node.create_lifecycle_publisher(ObjectArray, "~/objects", reliable)
        self._meshes = node.create_lifecycle_publisher(ObjectMesh, "~/meshes", meshes)
        self._detections = node.create_lifecycle_publisher(Detection3DArray, "~/detections", reliable)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", markers)
        self._tf = TransformBroadcaster(node)
        self._gaussians = GaussianOutput(node) if gaussians else None
        self._board = MarkerBoard()
        self._sent: dict[int, _SentMesh] = {}
        self._sent_count = 0

    def publish(self, stamp: int, frame_id: str, objects: Sequence[TrackedObject]) -> None:
        """Publish the objects at a stamp: meshes and frames before what refers to them.

        Args:
            stamp: of the image, nanoseconds.
            frame_id: the frame that the objects are tracked in.
            objects: all of them; one that is missing has been deleted.
        """
        header = header_message(stamp, frame_id)
        self._publish_meshes(frame_id, objects)
        if objects:
            self._tf.sendTransform(object_transforms(objects, header))
        self._objects.publish(object_array(objects, header))
        self._detections.publish(detection_array(objects, header))
        for message in self._board.update(objects, header):
            self._markers.publish(message)
        if self._gaussians is not None:
            self._gaussians.publish(stamp, objects)

    def clear(self, stamp: int, frame_id: str) -> None:
        """Take all objects back: nothing that viewers show may outlive the node's activity."""
        self._markers.publish(self._board.clear())
        self._objects.publish(object_array((), header_message(stamp, frame_id)))
        self._sent.clear()
        if self._gaussians is not None:
            self._gaussians.clear()

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._objects, self._meshes, self._detections, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)
        if self._gaussians is not None:
            self._gaussians.close()
        self._node.destroy_publisher(self._tf.pub_tf)

    def _publish_meshes(self, frame_id: str, objects: Sequence[TrackedObject]) -> None:
        for track_id in self._sent.keys() - {tracked.track_id for tracked in objects}:
            del self._sent[track_id]
        for tracked in objects:
            sent = self._sent.get(tracked.track_id)
            if sent is None or sent.version != tracked.mesh_version:
                header = header_message(tracked.mesh_stamp, frame_id)
                self._send_mesh(tracked.track_id, tracked.mesh_version, object_mesh(tracked, header))
        # The oldest first: what is sent again makes the others older.
        for track_id, sent in sorted(self._sent.items(), key=lambda item: item[1].number):
            if self._sent_count - sent.number >= self._history:
                self._send_mesh(track_id, sent.version, sent.message)

    def _send_mesh(self, track_id: int, version: int, message: ObjectMesh) -> None:
        self._meshes.publish(message)
        self._sent[track_id] = _SentMesh(version, message, self._sent_count)
        self._sent_count += 1
