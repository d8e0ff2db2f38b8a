"""What the frame player plays: pictures of the size that is asked for, and bytes that differ by their stamps alone."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from sam3d_ros.nodes.frame_player import PlayerParameters, Shot, shot
from sam3d_ros.nodes.player_messages import StampedMessage, labels_message
from sam3d_ros.nodes.player_sources import FIELD_OF_VIEW, Capture, captures_of_scene
from sam3d_ros.ros.camera_info import camera_from_info

SIZE = (192, 108)
#: Output -> type of its messages.
TYPES = {
    "image": Image,
    "labels": Image,
    "depth": Image,
    "points": PointCloud2,
    "camera_info": CameraInfo,
    "jpeg": CompressedImage,
    "depth_png": CompressedImage,
    "truth": Detection3DArray,
}
STAMPS = st.builds(Time, sec=st.integers(0, 2**31 - 1), nanosec=st.integers(0, 10**9 - 1))


@pytest.fixture(scope="module")
def capture() -> Capture:
    return captures_of_scene(9, 3, "static", SIZE)[0]


@pytest.fixture(scope="module")
def played(capture: Capture) -> Shot:
    return shot(capture, PlayerParameters(compressed=True))


@pytest.mark.parametrize("motion", ["static", "arc"])
@pytest.mark.parametrize("size", [(64, 48), SIZE])
def test_a_scene_has_the_size_asked_for_and_the_same_field_of_view(
    motion: str, size: tuple[int, int]
) -> None:
    width, height = size
    for capture in captures_of_scene(9, 2, motion, size)[:3]:
        camera = capture.camera
        assert (camera.width, camera.height) == size
        assert capture.rgb.shape == (height, width, 3)
        assert capture.labels.shape == capture.depth.shape == (height, width)
        edges = camera.rays_at([(-0.5, camera.cy), (width - 0.5, camera.cy)])
        assert np.arctan(edges[:, 0]) == pytest.approx([-FIELD_OF_VIEW / 2, FIELD_OF_VIEW / 2])


def test_objects_cover_the_same_share_of_a_picture_of_another_size() -> None:
    small, large = (captures_of_scene(9, 3, "static", size)[0] for size in ((160, 120), (320, 240)))
    for instance in small.label_names:
        shares = [(capture.labels == instance).mean() for capture in (small, large)]
        assert shares[0] == pytest.approx(shares[1], rel=0.1)
    for mine, other in zip(small.truth, large.truth, strict=True):
        np.testing.assert_array_equal(mine.camera_from_box.translation, other.camera_from_box.translation)


def test_every_output_is_serialised_ahead(played: Shot) -> None:
    assert set(played.messages) == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
@given(first=STAMPS, second=STAMPS)
def test_bytes_are_those_of_the_message_with_that_stamp(
    played: Shot, name: str, first: Time, second: Time
) -> None:
    message = played.messages[name]
    before = bytes(bytearray(message.at(first)))
    after = message.at(second)
    for stamp, content in ((first, before), (second, after)):
        found = deserialize_message(content, TYPES[name])
        assert found.header.stamp == stamp
        if name == "truth":
            assert len(found.detections) == 3
            assert all(detection.header.stamp == stamp for detection in found.detections)
    restamped = deserialize_message(before, TYPES[name])
    restamped.header.stamp = second
    for detection in restamped.detections if name == "truth" else ():
        detection.header.stamp = second
    assert restamped == deserialize_message(after, TYPES[name]), "more than the stamp has changed"


def test_pictures_are_unharmed(capture: Capture, played: Shot) -> None:
    stamp = Time(sec=5, nanosec=6)
    image = deserialize_message(played.messages["image"].at(stamp), Image)
    assert (image.width, image.height, image.encoding) == (*SIZE, "rgb8")
    assert image.header.frame_id == "camera_optical_frame"
    assert bytes(image.data) == capture.rgb.tobytes()
    labels = deserialize_message(played.messages["labels"].at(stamp), Image)
    assert bytes(labels.data) == capture.labels.tobytes()
    depth = deserialize_message(played.messages["depth"].at(stamp), Image)
    assert bytes(depth.data) == capture.depth.tobytes()
    camera = camera_from_info(deserialize_message(played.messages["camera_info"].at(stamp), CameraInfo))
    assert (camera.width, camera.height) == SIZE


def test_stamped_bytes_leave_other_messages_alone(capture: Capture) -> None:
    header = Header(frame_id="camera")
    one, two = (StampedMessage(labels_message(capture.labels, "mono16", header)) for _ in range(2))
    content = two.at(Time(sec=1))
    one.at(Time(sec=2))
    assert deserialize_message(content, Image).header.stamp.sec == 1
    assert two.at(Time(sec=3)) is content, "a new copy for every stamp"
    plain = labels_message(capture.labels, "mono16", Header(stamp=Time(sec=3), frame_id="camera"))
    assert deserialize_message(content, Image) == deserialize_message(serialize_message(plain), Image)


@pytest.mark.parametrize(
    ("sensor", "expected"),
    [("all", {"depth", "points"}), ("depth", {"depth"}), ("lidar", {"points"}), ("none", set())],
)
def test_range_sensors_can_be_left_out(capture: Capture, sensor: str, expected: set[str]) -> None:
    messages = shot(capture, PlayerParameters(sensor=sensor)).messages
    assert {"depth", "points"} & set(messages) == expected
