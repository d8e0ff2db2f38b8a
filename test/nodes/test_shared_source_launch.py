"""Objects and people of one process read one source: perception.launch.py with people, seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import launch_pytest
import numpy as np
import pytest
from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.msg import Transition
from node_bench import readers_of
from perception_graph import PATIENCE, NodeServices, told_by
from sensor_msgs.msg import CameraInfo, Image
from sink_bench import shown
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo
from visualization_msgs.msg import MarkerArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import BodyArray, BodyMesh, ObjectArray, ObjectMesh, Verdict
from sam3d_ros.nodes.player_messages import label_info_message
from sam3d_ros.ros.body_markers import NAMESPACES as BODY_NAMESPACES
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.decoding import IMAGE, LABELS, POINT_MAP
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.markers import NAMESPACES as OBJECT_NAMESPACES
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message, nanoseconds
from sam3d_ros.ros.transforms import transform_message

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

OBJECTS, BODIES = "/sam3d_objects", "/sam3d_bodies"
LATCHED = qos_profile("latched", depth=100)
CAMERA = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
FRAME, DEPTH_FRAME = "camera_optical_frame", "depth_optical_frame"
NAMES = {5: "person", 9: "person", 3: "cup"}
#: Images of the test that counts them.
IMAGES = 5
#: What both nodes read.
TOPICS = ("/image", "/labels", "/camera_info", "/depth", "/depth/camera_info", "/label_info")


@launch_pytest.fixture(scope="module")
def graph(own_domain: None, tiny_body_checkpoint: Path) -> LaunchDescription:
    """The launch file as a user with a camera of their own includes it."""
    launch_file = Path(get_package_share_directory("sam3d_ros")) / "launch" / "perception.launch.py"
    arguments = {
        "sam3d_bodies": "true",
        "sam3d_body_checkpoint": str(tiny_body_checkpoint),
        "sam3d_body_mode": "body",
        "sam3d_device": "cpu",
        "sam3d_dtype": "float32",
        "sam3d_reconstructor": "geometric",
    }
    source = PythonLaunchDescriptionSource(str(launch_file))
    return LaunchDescription(
        [
            SetEnvironmentVariable("OMP_NUM_THREADS", "1"),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
        ]
    )


def labels() -> np.ndarray:
    """Two people and a cup."""
    made = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    made[40:220, 40:120], made[30:230, 190:280], made[100:140, 135:175] = NAMES
    return made


class Feed:
    """A camera with depth in a frame of its own, which sends an image when it is told to, and what comes of it."""

    def __init__(self, probe: Any) -> None:
        self._node, sensor = probe.node, qos_profile("sensor_data")
        types = {
            "camera_info": CameraInfo,
            "depth/camera_info": CameraInfo,
            "depth": Image,
            "labels": Image,
            "image": Image,
        }
        self._publishers = {
            name: self._node.create_publisher(kind, name, sensor) for name, kind in types.items()
        }
        self._tf = self._node.create_publisher(TFMessage, "/tf", 10)
        self._names = self._node.create_publisher(LabelInfo, "label_info", qos_profile("latched"))
        self._names.publish(label_info_message(NAMES, header_message(0, "")))
        self._rgb = np.random.default_rng(0).integers(0, 255, (CAMERA.height, CAMERA.width, 3), np.uint8)
        self.objects = probe.hear(ObjectArray, f"{OBJECTS}/objects", qos_profile("reliable"))
        self.bodies = probe.hear(BodyArray, f"{BODIES}/bodies", qos_profile("reliable"))
        self.diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)

    def send(self) -> int:
        """Publish an image and all that belongs to it, also where the depth camera is then; its stamp, nanoseconds."""
        stamp = self._node.get_clock().now().nanoseconds
        header, depth_header = (header_message(stamp, name) for name in (FRAME, DEPTH_FRAME))
        place = transform_message(header, DEPTH_FRAME, Similarity())
        self._tf.publish(TFMessage(transforms=[place]))
        depth = np.where(labels() > 0, 2.5, 3.5).astype(np.float32)
        messages = {
            "camera_info": info_from_camera(CAMERA, header),
            "depth/camera_info": info_from_camera(CAMERA, depth_header),
            "depth": image_message(depth, "32FC1", depth_header),
            "labels": image_message(labels(), "mono8", header),
            "image": image_message(self._rgb, "rgb8", header),
        }
        for name, message in messages.items():
            self._publishers[name].publish(message)
        return int(stamp)

    def shows_cup(self, stamp: int) -> bool:
        """Whether the cup of an image was told, with a size that depth has measured."""
        return any(
            [thing.label for thing in message.objects] == ["cup"] and measured(message.objects)
            for message in list(self.objects)
            if nanoseconds(message.header.stamp) == stamp
        )

    def shows_people(self, stamp: int) -> bool:
        """Whether both people of an image were told, with a size that depth has measured."""
        return any(
            len(message.bodies) == 2 and measured(message.bodies)
            for message in list(self.bodies)
            if nanoseconds(message.header.stamp) == stamp
        )

    def shows_all(self, stamp: int) -> bool:
        """Whether cup and people of an image were told."""
        return self.shows_cup(stamp) and self.shows_people(stamp)

    def counts(self, node: str) -> dict[str, int]:
        """What a node says its source took in and decoded."""
        return {name: int(count) for name, count in told_by(node, "frame source", self.diagnostics).items()}


def measured(things: Any) -> bool:
    """Whether depth was there, for which the place of the depth camera has to be known."""
    return all(thing.verdict.scale_source == Verdict.DEPTH for thing in things)


@pytest.fixture(scope="module")
def feed(probe: Any) -> Feed:
    return Feed(probe)


@pytest.fixture
def nodes(call: Any) -> tuple[NodeServices, NodeServices]:
    """Objects and people."""
    return NodeServices(OBJECTS, call), NodeServices(BODIES, call)


@pytest.fixture
def playing(feed: Feed, wait_for: Any) -> Feed:
    """The camera, once both nodes answer."""
    assert answers(feed, wait_for, feed.shows_all), (
        told_by(OBJECTS, "faults", feed.diagnostics),
        told_by(BODIES, "faults", feed.diagnostics),
    )
    return feed


def answers(feed: Feed, wait_for: Any, shows: Callable[[int], bool]) -> bool:
    """Whether what is sent is answered, after a while; the depth of the first images may be discovered late."""

    def answered() -> bool:
        stamp = feed.send()
        return bool(wait_for(lambda: shows(stamp), 2.0))

    return bool(wait_for(answered, PATIENCE))


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_every_image_is_taken_decoded_and_mapped_once_for_both_nodes(playing: Feed, wait_for: Any) -> None:
    playing.diagnostics.clear()
    assert wait_for(lambda: len(playing.diagnostics) >= 4)
    assert wait_for(lambda: playing.counts(OBJECTS) and playing.counts(OBJECTS) == playing.counts(BODIES))
    before = playing.counts(OBJECTS)
    for _ in range(IMAGES):
        stamp = playing.send()
        assert wait_for(lambda stamp=stamp: playing.shows_all(stamp))
    wanted = {
        name: before[name] + IMAGES for name in ("image taken", "depth taken", IMAGE, LABELS, POINT_MAP)
    }
    for node in (OBJECTS, BODIES):
        assert wait_for(lambda node=node: playing.counts(node)["image taken"] == wanted["image taken"])
        assert {name: playing.counts(node)[name] for name in wanted} == wanted


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_the_process_subscribes_once_to_what_is_used(playing: Feed, probe: Any, wait_for: Any) -> None:
    for topic in TOPICS:
        assert wait_for(lambda topic=topic: len(readers_of(probe.node, topic)) == 1), topic
    # There is depth.
    assert wait_for(lambda: readers_of(probe.node, "/points") == [])


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_who_comes_late_gets_meshes_and_markers_though_no_image_comes_any_more(
    playing: Feed, late_probe: Any, wait_for: Any
) -> None:
    (cup,), people = playing.objects[-1].objects, playing.bodies[-1].bodies
    object_meshes = late_probe.hear(ObjectMesh, f"{OBJECTS}/meshes", LATCHED)
    body_meshes = late_probe.hear(BodyMesh, f"{BODIES}/meshes", LATCHED)
    object_markers = late_probe.hear(MarkerArray, f"{OBJECTS}/markers", LATCHED)
    body_markers = late_probe.hear(MarkerArray, f"{BODIES}/markers", LATCHED)
    assert wait_for(lambda: {m.id for m in list(object_meshes)} == {cup.id})
    assert wait_for(lambda: {m.id for m in list(body_meshes)} == {body.id for body in people})
    wanted = {(namespace, cup.id) for namespace in OBJECT_NAMESPACES}
    assert wait_for(lambda: shown(object_markers) == wanted)
    wanted = {(namespace, body.id) for namespace in BODY_NAMESPACES for body in people}
    assert wait_for(lambda: shown(body_markers) == wanted)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_one_node_goes_on_when_the_one_that_carries_the_subscriptions_leaves(
    playing: Feed, nodes: tuple[NodeServices, NodeServices], probe: Any, wait_for: Any
) -> None:
    (carrier,) = readers_of(probe.node, "/image")
    leaving, staying = nodes if carrier == OBJECTS[1:] else nodes[::-1]
    shows = playing.shows_people if staying.node == BODIES else playing.shows_cup

    def carried_by(*names: str) -> bool:
        return all(readers_of(probe.node, topic) == [name[1:] for name in names] for topic in TOPICS)

    assert leaving.change(Transition.TRANSITION_DEACTIVATE)
    assert wait_for(lambda: carried_by(staying.node))
    assert answers(playing, wait_for, shows)
    # Now it takes along its ear for /tf, too.
    assert leaving.change(Transition.TRANSITION_CLEANUP)
    assert wait_for(lambda: carried_by(staying.node))
    assert answers(playing, wait_for, shows)
    assert staying.change(Transition.TRANSITION_DEACTIVATE)
    assert wait_for(lambda: carried_by())
    assert leaving.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    assert staying.change(Transition.TRANSITION_ACTIVATE)
    assert wait_for(lambda: carried_by(leaving.node))
    assert answers(playing, wait_for, playing.shows_all)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_a_node_with_other_settings_reads_a_source_of_its_own(
    playing: Feed, nodes: tuple[NodeServices, NodeServices], probe: Any, wait_for: Any
) -> None:
    _, people = nodes
    assert people.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    people.put("relative_depth", True)
    assert people.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    both = sorted((OBJECTS[1:], BODIES[1:]))
    assert wait_for(lambda: all(readers_of(probe.node, topic) == both for topic in TOPICS))
    assert answers(playing, wait_for, lambda stamp: playing.shows_cup(stamp) and posed(playing, stamp))
    playing.diagnostics.clear()

    def taken(node: str) -> int:
        return playing.counts(node).get("image taken", 0)

    # The new one has seen none of the images before.
    assert wait_for(lambda: 0 < taken(BODIES) < taken(OBJECTS))


def posed(feed: Feed, stamp: int) -> bool:
    """Whether both people of an image were told, of whatever size."""
    return any(len(m.bodies) == 2 for m in list(feed.bodies) if nanoseconds(m.header.stamp) == stamp)
