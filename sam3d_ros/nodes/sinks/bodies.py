"""The topics of the node `sam3d_bodies`, each a sink of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import JointState
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import BodyArray, BodyMesh
from sam3d_ros.nodes.sinks.humans import HumansTopics
from sam3d_ros.nodes.sinks.person_topics import PersonTopics
from sam3d_ros.nodes.sinks.sink import LatchedSink, Outlet, Sink
from sam3d_ros.perception.scenes.joint_scene import SeenPeople
from sam3d_ros.ros.body_markers import BodyMarkerBoard
from sam3d_ros.ros.body_messages import body_array, body_frame, body_mesh, body_transforms, joint_state
from sam3d_ros.ros.humans_messages import HumansMessages, human_transforms
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message


class BodyTransforms:
    """/tf: `body_<id>`, the joints, and the frames of REP-155 where they are wanted.

    Args:
        node: carries the publisher.
        joints: whether the joints are frames, too.
        humans: whether those of REP-155 are.
        prefix: of the names of the frames.
    """

    def __init__(self, node: LifecycleNode, *, joints: bool, humans: bool, prefix: str) -> None:
        self._node = node
        self._prefix = prefix
        self._joints, self._humans = joints, humans
        self._tf = TransformBroadcaster(node)

    def show(self, moment: SeenPeople) -> None:
        if not moment.bodies:
            return
        header = header_message(moment.frame.stamp, moment.frame_id)
        transforms = body_transforms(moment.bodies, header, joints=self._joints, prefix=self._prefix)
        if self._humans:
            transforms += human_transforms(moment.bodies, header, self._prefix)
        self._tf.sendTransform(transforms)

    def refresh(self) -> None:
        """Nothing is kept for who comes late."""

    def clear(self, emptied: SeenPeople) -> None:
        """Transforms age by themselves."""

    def close(self) -> None:
        self._node.destroy_publisher(self._tf.pub_tf)


class BodyMessages:
    """`~/bodies`: everybody in an image.

    Args:
        node: carries the publisher.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._outlet = Outlet(node, BodyArray, "~/bodies", qos_profile("reliable"))

    def show(self, moment: SeenPeople) -> None:
        if self._outlet.has_listener:
            self._publish(moment)

    def refresh(self) -> None:
        """Who comes late gets the next one."""

    def clear(self, emptied: SeenPeople) -> None:
        self._publish(emptied)

    def close(self) -> None:
        self._outlet.close()

    def _publish(self, moment: SeenPeople) -> None:
        header = header_message(moment.frame.stamp, moment.frame_id)
        self._outlet.publish(body_array(moment.bodies, header, session=moment.session))


class BodyMeshes(LatchedSink[SeenPeople]):
    """`~/meshes`: the surface of everybody.

    Args:
        node: carries the publisher.
        max_people: most people at a time.
        prefix: of the frames of people.
    """

    def __init__(self, node: LifecycleNode, max_people: int, prefix: str) -> None:
        super().__init__(Outlet(node, BodyMesh, "~/meshes", qos_profile("latched", depth=max_people)))
        self._prefix = prefix

    def _send(self, moment: SeenPeople) -> None:
        header = header_message(moment.frame.stamp, moment.frame_id)
        for tracked in moment.bodies:
            mesh = body_mesh(tracked, header, session=moment.session, prefix=self._prefix)
            if mesh is not None:
                self._outlet.publish(mesh)


class BodyMarkers(LatchedSink[SeenPeople]):
    """`~/markers` for RViz.

    Args:
        node: carries the publisher.
        max_people: most people at a time.
        surfaces: whether the markers show the surfaces.
        prefix: of the frames of people.
    """

    def __init__(self, node: LifecycleNode, max_people: int, *, surfaces: bool, prefix: str) -> None:
        # Those of one image: the light ones of everybody, and a surface of each.
        latched = qos_profile("latched", depth=max_people + 1)
        super().__init__(Outlet(node, MarkerArray, "~/markers", latched))
        self._board = BodyMarkerBoard(surfaces=surfaces, prefix=prefix)

    def _send(self, moment: SeenPeople) -> None:
        header = header_message(moment.frame.stamp, moment.frame_id)
        for message in self._board.update(moment.bodies, header):
            self._outlet.publish(message)

    def _take_back(self, emptied: SeenPeople) -> None:
        self._outlet.publish(self._board.clear())


class BodyJointStates:
    """`~/body_<id>/joint_states`: topics that come and go with the person.

    Args:
        node: carries the publishers.
    """

    def __init__(self, node: LifecycleNode) -> None:
        # No part of a topic's name may begin with a digit.
        self._topics = PersonTopics(node, lambda i: f"~/{body_frame(i)}", {"joint_states": JointState})

    def show(self, moment: SeenPeople) -> None:
        header = header_message(moment.frame.stamp, moment.frame_id)
        for tracked in moment.bodies:
            self._topics.publish(tracked.track_id, {"joint_states": partial(joint_state, tracked, header)})
        self._topics.keep(moment.alive)

    def refresh(self) -> None:
        """Who comes late gets the next one."""

    def clear(self, emptied: SeenPeople) -> None:
        self._topics.keep(())

    def close(self) -> None:
        self._topics.keep(())


def body_topics(
    node: LifecycleNode,
    max_people: int,
    *,
    joint_frames: bool,
    surface_markers: bool,
    humans: HumansMessages | None = None,
    prefix: str = "",
) -> Sequence[Sink[SeenPeople]]:
    """The topics of the node, meshes and frames before what refers to them.

    Args:
        node: carries the publishers; they are silent while it is not active.
        max_people: most people at a time.
        joint_frames: whether the joints are frames, too.
        surface_markers: whether the markers show the surfaces.
        humans: fills the messages of REP-155, where its topics and frames are wanted.
        prefix: of the frames of people.
    """
    sinks: list[Sink[SeenPeople]] = [
        BodyTransforms(node, joints=joint_frames, humans=humans is not None, prefix=prefix),
        BodyJointStates(node),
    ]
    if humans is not None:
        sinks.append(HumansTopics(node, humans))
    return [
        *sinks,
        BodyMeshes(node, max_people, prefix),
        BodyMessages(node),
        BodyMarkers(node, max_people, surfaces=surface_markers, prefix=prefix),
    ]
