"""Two cameras, each with perception.launch.py in a namespace of its own, side by side: seen from outside, over DDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import launch_pytest
import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from lifecycle_msgs.msg import Transition
from perception_graph import PATIENCE, NodeServices, write_frame
from rclpy.time import Time
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import ObjectArray, ObjectMesh, Verdict
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.srv import SaveScene

RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=50)
#: Frame of the camera in each namespace.
CAMERAS = {"left": "left_camera", "right": "right_camera"}
#: The one that leaves REJECTED objects out of everything but its own messages.
CHOOSY = "right"
#: Instance -> rows and columns; nothing is measured on the second.
BOXES = {1: ((40, 90), (20, 70)), 2: ((30, 80), (95, 145))}


@launch_pytest.fixture(scope="module")
def graph(own_domain: None, tmp_path_factory: pytest.TempPathFactory) -> LaunchDescription:
    """Both graphs, and a camera for each that plays one frame."""
    labels = np.zeros((120, 160), np.uint8)
    for instance, (rows, columns) in BOXES.items():
        labels[slice(*rows), slice(*columns)] = instance
    frames = write_frame(tmp_path_factory.mktemp("two") / "frame", labels, depths=(0.8, 1.0), focal=150.0)
    depth = cv2.imread(str(frames / "depth.png"), cv2.IMREAD_UNCHANGED)
    depth[labels == 2] = 0
    cv2.imwrite(str(frames / "depth.png"), depth)
    launch_file = Path(get_package_share_directory("sam3d_ros")) / "launch" / "perception.launch.py"
    actions: list[Any] = [SetEnvironmentVariable("OMP_NUM_THREADS", "1")]
    for namespace, camera in CAMERAS.items():
        arguments = {"sam3d_namespace": namespace, "sam3d_reconstructor": "geometric"}
        if namespace == CHOOSY:
            arguments["sam3d_publish_rejected"] = "false"
        player = {"frames": str(frames), "rate": 4.0, "camera_frame": camera}
        source = PythonLaunchDescriptionSource(str(launch_file))
        actions += [
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            Node(package="sam3d_ros", executable="frame_player", namespace=namespace, parameters=[player]),
        ]
    return LaunchDescription(actions)


class Heard:
    """What one of the nodes says.

    Args:
        probe: listens.
        namespace: of the node.
    """

    def __init__(self, probe: Any, namespace: str) -> None:
        self.node = f"/{namespace}/sam3d_objects"
        self.objects = probe.hear(ObjectArray, f"{self.node}/objects", RELIABLE)
        self.detections = probe.hear(Detection3DArray, f"{self.node}/detections", RELIABLE)
        self.meshes = probe.hear(ObjectMesh, f"{self.node}/meshes", LATCHED)
        self.markers = probe.hear(MarkerArray, f"{self.node}/markers", LATCHED)

    def is_complete(self, session_before: int = 0) -> bool:
        """Whether both objects are told, one of them REJECTED, in another session than the one before."""
        if not self.objects:
            return False
        newest = self.objects[-1]
        rejected = [thing.verdict.state == Verdict.REJECTED for thing in newest.objects]
        return sorted(rejected) == [False, True] and newest.session != session_before

    def ids(self, *, rejected: bool) -> set[int]:
        """Ids of the objects that are REJECTED, or of the others."""
        return {
            thing.id
            for thing in self.objects[-1].objects
            if (thing.verdict.state == Verdict.REJECTED) is rejected
        }

    def detected(self) -> set[int]:
        """Ids of the newest detections."""
        return {int(found.id) for found in self.detections[-1].detections} if self.detections else set()

    def mesh_frames(self) -> set[str]:
        """Frames that meshes were shown in."""
        return {m.header.frame_id for said in list(self.markers) for m in said.markers if m.ns == "mesh"}


@pytest.fixture(scope="module")
def tf(probe: Any) -> list[TFMessage]:
    """All that is said on /tf, which both share."""
    return probe.hear(TFMessage, "/tf", RELIABLE)


@pytest.fixture(scope="module")
def heard(graph: LaunchDescription, probe: Any, tf: list[TFMessage], wait_for: Any) -> dict[str, Heard]:
    """Namespace -> what its node says, when it has said everything."""
    made = {namespace: Heard(probe, namespace) for namespace in CAMERAS}
    for namespace, one in made.items():
        assert wait_for(one.is_complete, PATIENCE), f"{namespace}: {one.objects[-1:]}"
    return made


@pytest.mark.launch(fixture=graph)
def test_every_frame_has_one_parent_and_the_name_of_its_namespace(
    heard: dict[str, Heard], tf: list[TFMessage], wait_for: Any
) -> None:
    def parents() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for message in list(tf):
            for transform in message.transforms:
                found.setdefault(transform.child_frame_id, set()).add(transform.header.frame_id)
        return found

    shown = {namespace: one.ids(rejected=False).pop() for namespace, one in heard.items()}
    wanted = {"left/object_1", "left/object_2", f"right/object_{shown['right']}"}
    assert wait_for(lambda: wanted <= parents().keys()), parents()
    for frame, above in parents().items():
        assert len(above) == 1, f"{frame} is below {above}"
        if "object" in frame:
            assert above == {CAMERAS[frame.split("/")[0]]}
    buffer = Buffer()
    for message in list(tf):
        for transform in message.transforms:
            buffer.set_transform(transform, "test")
    for namespace, camera in CAMERAS.items():
        pose = buffer.lookup_transform(camera, f"{namespace}/object_{shown[namespace]}", Time())
        assert 0.5 < pose.transform.translation.z < 1.1


@pytest.mark.launch(fixture=graph)
def test_ids_are_told_apart_by_namespace_and_session(heard: dict[str, Heard], wait_for: Any) -> None:
    sessions = {namespace: {m.session for m in list(one.objects)} for namespace, one in heard.items()}
    assert all(len(told) == 1 and 0 not in told for told in sessions.values()), sessions
    assert sessions["left"] != sessions["right"]
    for namespace, one in heard.items():
        assert {m.header.frame_id for m in list(one.objects)} == {CAMERAS[namespace]}
        assert {thing.id for thing in one.objects[-1].objects} == {1, 2}
        (seen,) = one.ids(rejected=False)
        assert wait_for(lambda one=one, seen=seen: seen in {m.id for m in list(one.meshes)})
        assert {m.session for m in list(one.meshes)} == sessions[namespace]
        assert wait_for(lambda one=one, frame=f"{namespace}/object_{seen}": frame in one.mesh_frames())


@pytest.mark.launch(fixture=graph)
def test_rejected_objects_are_left_out_by_the_node_that_is_told_so(
    heard: dict[str, Heard], wait_for: Any
) -> None:
    for namespace, one in heard.items():
        wanted = {1, 2} - (one.ids(rejected=True) if namespace == CHOOSY else set())
        assert wait_for(lambda one=one, wanted=wanted: one.detected() == wanted), namespace
        assert {thing.id for thing in one.objects[-1].objects} == {1, 2}
    scores = {int(d.id): d.results[0].hypothesis.score for d in heard["left"].detections[-1].detections}
    assert {track_id for track_id, score in scores.items() if score == 0.0} == heard["left"].ids(
        rejected=True
    )


@pytest.mark.launch(fixture=graph)
def test_topics_and_services_of_each_lie_in_its_namespace(
    heard: dict[str, Heard], probe: Any, call: Any
) -> None:
    # Of these nodes alone: those of other tests of this process may still be told of.
    found: dict[str, set[str]] = {}
    for name, namespace in probe.node.get_node_names_and_namespaces():
        if namespace in ("/left", "/right"):
            for ask in (
                probe.node.get_publisher_names_and_types_by_node,
                probe.node.get_subscriber_names_and_types_by_node,
                probe.node.get_service_names_and_types_by_node,
            ):
                found.setdefault(namespace, set()).update(offered for offered, _ in ask(name, namespace))
    assert {
        namespace: f"{namespace}/sam3d_objects/objects" in names for namespace, names in found.items()
    } == {
        "/left": True,
        "/right": True,
    }
    shared = ("/tf", "/tf_static", "/diagnostics", "/rosout", "/parameter_events", "/clock")
    for namespace, names in found.items():
        assert {name for name in names if not name.startswith((*shared, f"{namespace}/"))} == set()
    for one in heard.values():
        answer = call(SaveScene, f"{one.node}/save_scene", SaveScene.Request(path="scene.txt"))
        assert not answer.success and ".glb" in answer.message


@pytest.mark.launch(fixture=graph)
def test_one_is_taken_back_and_begins_anew_while_the_other_goes_on(
    heard: dict[str, Heard], call: Any, wait_for: Any
) -> None:
    left, right = heard["left"], heard["right"]
    services = NodeServices(left.node, call)
    session, count = left.objects[-1].session, len(right.objects)
    assert services.change(Transition.TRANSITION_DEACTIVATE)
    assert wait_for(lambda: not left.objects[-1].objects and not left.detections[-1].detections)
    emptied = left.objects[-1]
    assert emptied.session == session
    before = [m for m in list(left.objects)[:-1] if m.header.stamp == emptied.header.stamp]
    assert all(message.revision < emptied.revision for message in before)
    assert services.change(Transition.TRANSITION_ACTIVATE)
    assert wait_for(left.is_complete, PATIENCE)
    assert left.objects[-1].session == session
    assert services.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    assert services.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    assert wait_for(lambda: left.is_complete(session), PATIENCE)
    # The ids are the same again, of other objects.
    assert {thing.id for thing in left.objects[-1].objects} == {1, 2}
    assert wait_for(lambda: left.meshes[-1].session == left.objects[-1].session)
    assert wait_for(lambda: len(right.objects) > count + 2)
    assert {m.session for m in list(right.objects)} == {right.objects[0].session}
