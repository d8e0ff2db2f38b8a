"""The topics of the node `sam3d_objects`, each a sink of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import ObjectArray, ObjectMesh, SupportSurfaceArray
from sam3d_ros.nodes.sinks.sink import LatchedSink, Outlet, Sink
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.ros.markers import MarkerBoard
from sam3d_ros.ros.object_messages import detection_array, object_array, object_mesh, object_transforms
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.surface_messages import surface_array, surface_transforms

#: Meshes kept for those who join late, beyond one for each object. The middleware holds memory for the largest mesh
#: ever sent in every place of its history, so the history is short, and old meshes are sent again in time.
SPARE_MESHES = 8
#: Marker messages kept: those of a frame with so many new objects but one. A mesh marker takes a megabyte, and a viewer
#: that misses one gets it again soon.
MARKER_MESSAGES = 6


class ObjectTransforms:
    """/tf: `object_<id>`, and `surface_<id>`, in the frame of tracking. Everybody has a listener for /tf.

    A frame is sent once for an image, however often that is looked at: of a second transform with the same stamp tf2
    warns, and keeps the first.

    Args:
        node: carries the publisher.
        prefix: of the names of the frames.
        rejected: whether objects whose verdict is REJECTED have frames, too.
        surfaces: whether surfaces have.
    """

    def __init__(self, node: LifecycleNode, *, prefix: str, rejected: bool, surfaces: bool) -> None:
        self._node = node
        self._prefix, self._rejected, self._surfaces = prefix, rejected, surfaces
        self._tf = TransformBroadcaster(node)
        # The frames that were sent for the image that was shown last.
        self._sent: set[str] = set()

    def show(self, moment: SeenObjects) -> None:
        if moment.revision == 1:
            self._sent.clear()
        header = header_message(moment.stamp, moment.frame_id)
        frames = object_transforms(moment.chosen(rejected=self._rejected), header, self._prefix)
        if self._surfaces:
            frames += surface_transforms(moment.surfaces, header, self._prefix)
        new = [frame for frame in frames if frame.child_frame_id not in self._sent]
        if new:
            self._tf.sendTransform(new)
            self._sent |= {frame.child_frame_id for frame in new}

    def refresh(self) -> None:
        """Nothing is kept for who comes late."""

    def clear(self, emptied: SeenObjects) -> None:
        """Transforms age by themselves."""

    def close(self) -> None:
        self._node.destroy_publisher(self._tf.pub_tf)


class ObjectMessages:
    """A topic with one message for each moment: `~/objects`, `~/detections`, `~/surfaces`.

    Args:
        node: carries the publisher.
        message_type, topic: of the publisher.
        message_of: makes the message.
    """

    def __init__(
        self,
        node: LifecycleNode,
        message_type: Any,
        topic: str,
        message_of: Callable[[SeenObjects], Any],
    ) -> None:
        self._outlet = Outlet(node, message_type, topic, qos_profile("reliable"))
        self._message_of = message_of

    def show(self, moment: SeenObjects) -> None:
        if self._outlet.has_listener:
            self._outlet.publish(self._message_of(moment))

    def refresh(self) -> None:
        """Who comes late gets the next one."""

    def clear(self, emptied: SeenObjects) -> None:
        self._outlet.publish(self._message_of(emptied))

    def close(self) -> None:
        self._outlet.close()


@dataclass(frozen=True, eq=False)
class _SentMesh:
    """A mesh as it was sent: its version, the message, and how many meshes had been sent before it."""

    version: int
    message: ObjectMesh
    number: int


class ObjectMeshes(LatchedSink[SeenObjects]):
    """`~/meshes`: who joins late gets the meshes of all objects.

    A mesh is published once for every version, and again only when others are about to push it out of what late joiners
    get. Nothing is sent for a deleted object: its id is never used again in the session, and it is missing in every
    later ObjectArray.

    Args:
        node: carries the publisher.
        max_objects: most objects at a time.
    """

    def __init__(self, node: LifecycleNode, max_objects: int) -> None:
        self._history = max_objects + SPARE_MESHES
        super().__init__(Outlet(node, ObjectMesh, "~/meshes", qos_profile("latched", depth=self._history)))
        self._sent: dict[int, _SentMesh] = {}
        self._sent_count = 0

    def _send(self, moment: SeenObjects) -> None:
        for track_id in self._sent.keys() - {tracked.track_id for tracked in moment.objects}:
            del self._sent[track_id]
        for tracked in moment.objects:
            sent = self._sent.get(tracked.track_id)
            if sent is None or sent.version != tracked.mesh_version:
                header = header_message(tracked.mesh_stamp, moment.frame_id)
                message = object_mesh(tracked, header, session=moment.session)
                self._publish(tracked.track_id, tracked.mesh_version, message)
        # The oldest first: what is sent again makes the others older.
        for track_id, sent in sorted(self._sent.items(), key=lambda item: item[1].number):
            if self._sent_count - sent.number >= self._history:
                self._publish(track_id, sent.version, sent.message)

    def _take_back(self, emptied: SeenObjects) -> None:
        self._sent.clear()

    def _publish(self, track_id: int, version: int, message: ObjectMesh) -> None:
        self._outlet.publish(message)
        self._sent[track_id] = _SentMesh(version, message, self._sent_count)
        self._sent_count += 1


class ObjectMarkers(LatchedSink[SeenObjects]):
    """`~/markers` for RViz.

    Args:
        node: carries the publisher.
        prefix: of the frames of objects.
        rejected: whether objects whose verdict is REJECTED are shown, which they can be only with a frame.
    """

    def __init__(self, node: LifecycleNode, *, prefix: str, rejected: bool) -> None:
        latched = qos_profile("latched", depth=MARKER_MESSAGES)
        super().__init__(Outlet(node, MarkerArray, "~/markers", latched))
        self._board = MarkerBoard(prefix=prefix)
        self._rejected = rejected

    def _send(self, moment: SeenObjects) -> None:
        objects = moment.chosen(rejected=self._rejected)
        header = header_message(moment.stamp, moment.frame_id)
        for message in self._board.update(objects, header, moment.surfaces):
            self._outlet.publish(message)

    def _begin_anew(self) -> None:
        if (latched := self._board.clear()).markers:
            self._outlet.publish(latched)

    def _take_back(self, emptied: SeenObjects) -> None:
        self._outlet.publish(self._board.clear())


def object_topics(
    node: LifecycleNode,
    max_objects: int,
    *,
    prefix: str = "",
    rejected: bool = True,
    surface_frames: bool = True,
) -> list[Sink[SeenObjects]]:
    """The topics that every node has, meshes and frames before what refers to them.

    Args:
        node: carries the publishers; they are silent while it is not active.
        max_objects: most objects at a time.
        prefix: of the frames of objects.
        rejected: whether objects whose verdict is REJECTED are among the frames, the detections and the markers.
        surface_frames: whether surfaces are among the frames.
    """

    def objects_of(moment: SeenObjects) -> ObjectArray:
        header = header_message(moment.stamp, moment.frame_id)
        return object_array(
            moment.objects,
            header,
            session=moment.session,
            revision=moment.revision,
            surfaces=moment.surfaces,
        )

    def surfaces_of(moment: SeenObjects) -> SupportSurfaceArray:
        header = header_message(moment.stamp, moment.frame_id)
        return surface_array(moment.surfaces, header, session=moment.session, revision=moment.revision)

    def detections_of(moment: SeenObjects) -> Detection3DArray:
        header = header_message(moment.stamp, moment.frame_id)
        return detection_array(moment.chosen(rejected=rejected), header)

    return [
        ObjectMeshes(node, max_objects),
        ObjectTransforms(node, prefix=prefix, rejected=rejected, surfaces=surface_frames),
        ObjectMessages(node, ObjectArray, "~/objects", objects_of),
        ObjectMessages(node, Detection3DArray, "~/detections", detections_of),
        ObjectMessages(node, SupportSurfaceArray, "~/surfaces", surfaces_of),
        ObjectMarkers(node, prefix=prefix, rejected=rejected),
    ]
