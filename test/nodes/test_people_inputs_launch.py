"""People in the graph from boxes alone, and guided by known keypoints: a detector's topics in, people out, over DDS."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
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
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, LabelInfo

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.msg import BodyArray, BodyKeypoints2DArray
from sam3d_ros.nodes.player_messages import label_info_message
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.ros.body_messages import ReceivedBody, bodies_from_message
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.people_messages import detections_message, keypoints_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message, nanoseconds

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

NODE = "/sam3d_bodies"
#: Loading PyTorch takes long on a busy machine, seconds.
PATIENCE = 60.0
PERIOD = 0.3
MILLIMETRE = 1e-3
CAMERA = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
#: Classes of a detector, as COCO numbers them.
CLASSES = {0: "person", 41: "cup"}
#: What it finds, in its order: box and class.
FOUND = (
    ((40.0, 30.0, 125.0, 225.0), "0"),
    ((130.0, 100.0, 175.0, 140.0), "41"),
    ((190.0, 28.0, 281.0, 232.0), "0"),
)
PEOPLE = tuple(box for box, class_id in FOUND if CLASSES[int(class_id)] == "person")
RGB = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
#: Where a detector of poses sees some of the keypoints of the person on the left.
KNOWN = {"nose": (80.0, 50.0), "left_wrist": (112.0, 130.0), "right_knee": (60.0, 170.0)}
LEFT = KeypointPrompt(0, tuple(KNOWN), np.array(list(KNOWN.values()), np.float32))


def depth_image() -> np.ndarray:
    """Metres: a person behind each box, narrower than it, before a wall."""
    depth = np.full((240, 320), 3.5, np.float32)
    depth[40:220, 55:110], depth[40:220, 205:265] = 2.5, 2.5
    return depth


@pytest.fixture(scope="module")
def answers(tiny_body_checkpoint: Path) -> dict[bool, list[Any]]:
    """What the predictor says of the boxes without any ROS between, without the keypoints and with them."""
    from sam3d_ros.models.body.keypoints import NAMES
    from sam3d_ros.models.body.predictor import SAM3DBody

    predictor = SAM3DBody.from_checkpoint(tiny_body_checkpoint)
    points = (CAMERA.rays() * depth_image()[..., None]).astype(np.float32)
    keypoints = [[(*pixel, NAMES.index(name)) for name, pixel in KNOWN.items()]]
    unprompted = predictor(RGB, PEOPLE, camera=CAMERA, points=points)
    (left,) = predictor(RGB, PEOPLE[:1], camera=CAMERA, points=points, keypoints=keypoints)
    return {False: unprompted, True: [left, unprompted[1]]}


@launch_pytest.fixture(scope="module")
def graph(own_domain: None, tiny_body_checkpoint: Path) -> LaunchDescription:
    """The launch file as a user without a segmenter includes it."""
    launch_file = Path(get_package_share_directory("sam3d_ros")) / "launch" / "perception.launch.py"
    arguments = {
        "sam3d_bodies": "true",
        "sam3d_people_from": "detections",
        "sam3d_body_detections_topic": "/detector/boxes",
        "sam3d_body_detections_label_info_topic": "/detector/classes",
        "sam3d_body_keypoints_topic": "/detector/keypoints",
        "sam3d_body_checkpoint": str(tiny_body_checkpoint),
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


class Feed:
    """A camera and a detector of people, which the test can change, and what comes of them."""

    def __init__(self, probe: Any) -> None:
        sensor = qos_profile("sensor_data")
        self._clock = probe.node.get_clock()
        self._image = probe.node.create_publisher(Image, "image", sensor)
        self._depth = probe.node.create_publisher(Image, "depth", sensor)
        self._info = probe.node.create_publisher(CameraInfo, "camera_info", sensor)
        self._boxes = probe.node.create_publisher(Detection2DArray, "/detector/boxes", sensor)
        self._keypoints = probe.node.create_publisher(BodyKeypoints2DArray, "/detector/keypoints", sensor)
        self._classes = probe.node.create_publisher(LabelInfo, "/detector/classes", qos_profile("latched"))
        self._classes.publish(label_info_message(CLASSES, header_message(0, "")))
        self.bodies = probe.hear(BodyArray, f"{NODE}/bodies", qos_profile("reliable"))
        self.diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)
        self.order: Sequence[int] = range(len(FOUND))
        self.spoiled_box = False
        self.prompts: tuple[KeypointPrompt, ...] = ()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def now(self) -> int:
        return int(self._clock.now().nanoseconds)

    def newest(self, since: int = 0) -> list[ReceivedBody]:
        """Both people of the newest image that shows them after a time, from left to right."""
        for message in reversed(list(self.bodies)):
            if len(message.bodies) == len(PEOPLE) and nanoseconds(message.header.stamp) > since:
                found = bodies_from_message(message)
                return sorted(found, key=lambda body: body.header_from_body.translation[0])
        return []

    def faults(self) -> dict[str, str]:
        for message in reversed(list(self.diagnostics)):
            for status in message.status:
                if status.name == f"{NODE[1:]}: faults":
                    return {pair.key: pair.value for pair in status.values}
        return {}

    def _play(self) -> None:
        while not self._closing.wait(PERIOD):
            header = header_message(self.now(), "camera_optical_frame")
            self._info.publish(info_from_camera(CAMERA, header))
            self._image.publish(image_message(RGB, "rgb8", header))
            self._depth.publish(image_message(depth_image(), "32FC1", header))
            boxes, classes = zip(*(FOUND[i] for i in self.order), strict=True)
            message = detections_message(boxes, classes, header)
            if self.spoiled_box:
                message.detections.append(detections_message([(5, 5, 5, 9)], ["0"], header).detections[0])
            self._boxes.publish(message)
            if self.prompts:
                self._keypoints.publish(keypoints_message(self.prompts, header))


@pytest.fixture(scope="module")
def feed(probe: Any) -> Iterator[Feed]:
    made = Feed(probe)
    yield made
    made.close()


def agrees(found: list[ReceivedBody], expected: list[Any]) -> bool:
    return len(found) == len(expected) and all(
        np.allclose(body.keypoints, truth.keypoints, atol=MILLIMETRE)
        and np.allclose(body.joints, truth.joints, atol=MILLIMETRE)
        for body, truth in zip(found, expected, strict=True)
    )


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_people_are_posed_from_boxes_where_nobody_publishes_labels(
    feed: Feed, answers: dict[bool, list[Any]], wait_for: Any
) -> None:
    assert wait_for(lambda: agrees(feed.newest(), answers[False]), PATIENCE), feed.faults()
    found = feed.newest()
    assert [body.id for body in found] == [1, 2] or [body.id for body in found] == [2, 1]
    assert {body.label for body in found} == {"person"}
    assert not {"invalid_box", "unmatched_keypoints"} & feed.faults().keys()


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_people_keep_their_ids_when_the_detector_tells_them_in_another_order(
    feed: Feed, answers: dict[bool, list[Any]], wait_for: Any
) -> None:
    before = wait_for(feed.newest, PATIENCE)
    feed.order, changed = (2, 1, 0), feed.now()
    after = wait_for(lambda: feed.newest(changed), PATIENCE)
    assert [body.id for body in after] == [body.id for body in before]
    assert agrees(after, answers[False])


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_known_keypoints_change_the_answer_as_they_do_in_the_predictor(
    feed: Feed, answers: dict[bool, list[Any]], wait_for: Any
) -> None:
    assert not np.allclose(answers[True][0].keypoints, answers[False][0].keypoints, atol=10 * MILLIMETRE)
    feed.prompts = (LEFT,)
    assert wait_for(lambda: agrees(feed.newest(), answers[True]), PATIENCE), feed.faults()
    feed.prompts, changed = (), feed.now()
    assert wait_for(lambda: agrees(feed.newest(changed), answers[False]), PATIENCE)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_boxes_and_keypoints_that_cannot_be_used_are_named_and_people_are_posed_all_the_same(
    feed: Feed, answers: dict[bool, list[Any]], wait_for: Any
) -> None:
    feed.spoiled_box = True
    fault = wait_for(lambda: feed.faults().get("invalid_box"))
    assert fault and "detection 4 is 0x4 at (5, 7) in an image of 320x240" in fault
    feed.spoiled_box = False
    feed.prompts = (KeypointPrompt(0, ("tail",), np.array([(80.0, 50.0)], np.float32)),)
    fault = wait_for(lambda: feed.faults().get("unknown_keypoint"))
    assert fault and "'tail' is none of the 70 keypoints" in fault
    feed.prompts = (KeypointPrompt(0, ("nose",), np.array([(5.0, 5.0)], np.float32)),)
    assert wait_for(lambda: feed.faults().get("unmatched_keypoints"))
    feed.prompts, changed = (), feed.now()
    assert wait_for(lambda: agrees(feed.newest(changed), answers[False]), PATIENCE)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_only_the_node_of_people_reads_them_and_no_labels(feed: Feed, probe: Any, wait_for: Any) -> None:
    assert wait_for(feed.newest, PATIENCE)

    def readers(topic: str) -> list[str]:
        return [end.node_name for end in probe.node.get_subscriptions_info_by_topic(topic)]

    for topic in ("boxes", "keypoints", "classes"):
        assert wait_for(lambda topic=topic: readers(f"/detector/{topic}")) == [NODE[1:]]
    assert wait_for(lambda: readers("/labels")) == ["sam3d_objects"]
    # Everything else is read once for both, though one of them looks for boxes.
    for topic in ("/image", "/depth", "/camera_info"):
        assert wait_for(lambda topic=topic: len(readers(topic)) == 1), readers(topic)
