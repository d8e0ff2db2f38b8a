"""Messages are decoded once however many ask, from whichever thread, and nothing is kept that nobody asks for again."""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tf2_ros
from sensor_msgs.msg import Image

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.decoding import IMAGE, LABELS, POINT_MAP, Decoding
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_builder import FrameBuilder
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.pace import MOST_WAITING
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import BufferLookup

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
SIZE = (48, 64)


def shared(readers: int = 2) -> Decoding:
    made = Decoding()
    made.readers = readers
    return made


def inputs(stamp: int, **changes: Any) -> InputSet:
    header = header_message(stamp, "camera")
    usual = {
        "stamp": stamp,
        "image": image_message(np.zeros((*SIZE, 3), np.uint8), "rgb8", header),
        "labels": image_message(np.ones(SIZE, np.uint8), "mono8", header),
        "camera_info": info_from_camera(CAMERA, header),
        "depth": image_message(np.full(SIZE, 2.0, np.float32), "32FC1", header),
        "depth_info": None,
        "points": None,
        "arrival": 0.0,
        "epoch": 0,
    }
    return InputSet(**(usual | changes))


def builder(decoding: Decoding) -> FrameBuilder:
    return FrameBuilder(BufferLookup(tf2_ros.Buffer()), FaultLog(), decoding=decoding)


def test_what_was_made_of_the_same_messages_is_given_again() -> None:
    decoding, image, depth = shared(), Image(), Image()
    first = decoding.once(IMAGE, (image,), object)
    assert decoding.once(IMAGE, (image,), object) is first
    # Equal messages are not the same, one kind is not another, and each message of a set counts.
    assert decoding.once(IMAGE, (Image(),), object) is not first
    assert decoding.once(LABELS, (image,), object) is not first
    pair = decoding.once(POINT_MAP, (image, depth), object)
    assert decoding.once(POINT_MAP, (image, None), object) is not pair
    assert decoding.counts() == {IMAGE: 2, LABELS: 1, POINT_MAP: 2}


def test_readers_may_be_some_frames_apart_and_memory_ends_there() -> None:
    decoding, images = shared(), [Image() for _ in range(MOST_WAITING + 1)]
    made = [decoding.once(IMAGE, (image,), object) for image in images]
    assert [decoding.once(IMAGE, (image,), object) for image in images[1:]] == made[1:]
    assert decoding.once(IMAGE, (images[0],), object) is not made[0]


def test_with_one_reader_nothing_is_kept() -> None:
    decoding, image = shared(1), Image()
    assert decoding.once(IMAGE, (image,), object) is not decoding.once(IMAGE, (image,), object)


def test_what_was_kept_goes_with_the_last_who_shared_it() -> None:
    decoding, image = shared(), Image()
    first = weakref.ref(decoding.once(IMAGE, (image,), threading.Event))
    assert first() is not None
    decoding.readers = 1
    assert first() is None


def test_counts_are_told_while_something_is_made() -> None:
    decoding, made, goes_on = shared(), threading.Event(), threading.Event()

    def make() -> None:
        made.set()
        assert goes_on.wait(30)

    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(decoding.once, POINT_MAP, (Image(),), make)
        assert made.wait(30)
        # Who takes in the transform that it waits for asks, too.
        try:
            assert pool.submit(decoding.counts).result(10) == {POINT_MAP: 1}
        finally:
            goes_on.set()
        making.result(30)


def test_what_fails_fails_for_everybody_and_what_comes_next_works() -> None:
    decoding, bad = shared(), Image()

    def fail() -> None:
        raise FaultError(Fault.TRUNCATED_DATA, "too short")

    for _ in range(2):
        with pytest.raises(FaultError):
            decoding.once(IMAGE, (bad,), fail)
    assert decoding.once(IMAGE, (Image(),), lambda: 1) == 1


def test_threads_that_ask_at_the_same_moment_get_one_answer() -> None:
    decoding, image, count = shared(), Image(), 8
    together = threading.Barrier(count)

    def ask() -> object:
        together.wait(30)
        return decoding.once(IMAGE, (image,), object)

    with ThreadPoolExecutor(count) as pool:
        answers = {id(f.result()) for f in [pool.submit(ask) for _ in range(count)]}
    assert len(answers) == 1
    assert decoding.counts() == {IMAGE: 1}


def test_builders_that_share_it_make_frames_of_the_same_arrays() -> None:
    decoding = shared()
    first, second = builder(decoding), builder(decoding)
    for number in range(1, 4):
        given = inputs(number)
        one, other = first.build(given), second.build(given)
        assert one is not other
        assert one.rgb is other.rgb and one.labels is other.labels and one.points is other.points
        assert one.points_source is other.points_source is PointsSource.DEPTH
    assert decoding.counts() == {IMAGE: 3, LABELS: 3, POINT_MAP: 3}


def test_what_is_wrong_with_a_message_is_named_by_everybody_who_uses_it() -> None:
    decoding = shared()
    header = header_message(1, "camera")
    depth = image_message(np.full(SIZE, 2.0, np.float32), "32FC1", header)
    depth.encoding = "no_such_encoding"
    labels = image_message(np.ones((SIZE[0] // 2, SIZE[1] // 2), np.uint8), "mono8", header)
    given = inputs(1, depth=depth, labels=labels)
    builders = builder(decoding), builder(decoding)
    frames = [made.build(given) for made in builders]
    assert frames[0].points is frames[1].points and frames[0].labels is frames[1].labels
    for made in builders:
        named = {record.fault for record in made.faults.records()}
        assert named == {Fault.LABELS_RESIZED, Fault.UNKNOWN_ENCODING}


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"depth": None}, {IMAGE: 1, LABELS: 1, POINT_MAP: 2}),
        ({"labels": None}, {IMAGE: 1, LABELS: 2, POINT_MAP: 1}),
    ],
    ids=["without depth", "told by boxes"],
)
def test_a_frame_that_differs_shares_what_it_can(changes: dict[str, None], counts: dict[str, int]) -> None:
    decoding, given = shared(), inputs(1)
    first = builder(decoding).build(given)
    pieces = {name: getattr(given, name) for name in ("image", "labels", "camera_info", "depth")}
    second = builder(decoding).build(inputs(1, **(pieces | changes)))
    assert first.rgb is second.rgb
    assert decoding.counts() == counts


def test_a_depth_image_that_fails_is_remembered_with_its_time() -> None:
    decoding = shared()
    header = header_message(1, "camera")
    depth = image_message(np.full(SIZE, 2.0, np.float32), "32FC1", header)
    assert builder(decoding).build(inputs(1, depth=depth)).points_source is PointsSource.DEPTH
    assert decoding.depth_failed_at == float("-inf")
    depth.encoding = "no_such_encoding"
    before = time.monotonic()
    assert builder(decoding).build(inputs(2, depth=depth)).points_source is PointsSource.NONE
    assert before <= decoding.depth_failed_at <= time.monotonic()
