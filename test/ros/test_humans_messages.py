"""The messages of REP-155: places in the image that can be told by hand, and packages that do not fit by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analytic_bodies import FACING, KEYPOINTS, labelled_frame, standing_body
from hypothesis import given
from hypothesis import strategies as st
from rclpy.exceptions import InvalidTopicNameException
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.validate_full_topic_name import validate_full_topic_name

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros import humans_messages as module
from sam3d_ros.ros.body_messages import body_transforms
from sam3d_ros.ros.humans_messages import (
    SKELETON_POINTS,
    HumansMessages,
    human_frame,
    human_id,
    human_transforms,
    humans_messages,
)
from sam3d_ros.ros.stamps import header_message

HEADER = header_message(1_500_000_000, "map")
WIDTH, HEIGHT = 160, 120
#: Upright before the camera, all of it in the image.
WHOLE = Similarity(FACING.rotation, np.array([0.1, 0.3, 2.0]))
ids = st.integers(1, 10**7)


@pytest.fixture(scope="module")
def messages(hri_msgs: dict[str, str]) -> HumansMessages:
    found = humans_messages("always")
    assert found is not None
    return found


def frame_of(rows: tuple[int, int] = (10, 100), columns: tuple[int, int] = (20, 140)) -> Frame:
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[slice(*rows), slice(*columns)] = 9
    return labelled_frame(7_000_000_003, labels, {9: "person"})


def tracked(track_id: int = 4, **options: Any) -> TrackedBody:
    estimate = standing_body(9, **options)
    return TrackedBody(track_id, 1, estimate, Similarity(), estimate.keypoints)


def after_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


@given(ids)
def test_every_id_may_stand_in_a_topic_as_bare_numbers_may_not(track_id: int) -> None:
    assert validate_full_topic_name(f"/humans/bodies/{human_id(track_id)}/roi")
    assert human_frame(track_id) == f"body_{human_id(track_id)}"
    assert int(human_id(track_id)[1:]) == track_id
    with pytest.raises(InvalidTopicNameException):
        validate_full_topic_name(f"/humans/bodies/{track_id}/roi")


def test_the_frames_of_both_names_are_one() -> None:
    people = [tracked(4), tracked(5)]
    own = body_transforms(people, HEADER, joints=False)
    humans = human_transforms(people, HEADER)
    assert [t.child_frame_id for t in humans] == ["body_b0004", "body_b0005"]
    for transform, other in zip(humans, own, strict=True):
        assert (transform.header, transform.transform) == (other.header, other.transform)
    prefixed = human_transforms(people, HEADER, "robot1/")
    assert [t.child_frame_id for t in prefixed] == ["robot1/body_b0004", "robot1/body_b0005"]


def test_who_is_tracked_is_listed(messages: HumansMessages) -> None:
    message = after_the_wire(messages.tracked([3, 12], HEADER))
    assert (message.header, list(message.ids)) == (HEADER, ["b0003", "b0012"])


@given(st.data())
def test_the_region_goes_around_the_pixels_of_the_person(messages: HumansMessages, data: Any) -> None:
    top, bottom = sorted(data.draw(st.lists(st.integers(0, HEIGHT), min_size=2, max_size=2, unique=True)))
    left, right = sorted(data.draw(st.lists(st.integers(0, WIDTH), min_size=2, max_size=2, unique=True)))
    frame = frame_of((top, bottom), (left, right))
    message = after_the_wire(messages.region_of(tracked(), frame))
    assert (message.header.frame_id, message.header.stamp.nanosec) == ("camera", 3)
    box = message.xmin, message.ymin, message.xmax, message.ymax
    assert box == pytest.approx((left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT))
    assert message.c == pytest.approx(0.8)


def test_a_box_that_was_told_is_the_region(messages: HumansMessages) -> None:
    box = np.array([39.5, 29.5, WIDTH - 1.0, 59.5], np.float32)
    frame = replace(frame_of((0, 0)), boxes={9: box})
    message = messages.region_of(tracked(), frame)
    expected = 40 / WIDTH, 30 / HEIGHT, (WIDTH - 0.5) / WIDTH, 60 / HEIGHT
    assert (message.xmin, message.ymin, message.xmax, message.ymax) == pytest.approx(expected)


def test_the_skeleton_lies_where_a_pinhole_shows_it(messages: HumansMessages) -> None:
    frame = frame_of()
    message = after_the_wire(messages.skeleton_of(tracked(camera_from_body=WHOLE), frame))
    assert (message.header.frame_id, message.header.stamp.sec) == ("camera", 7)
    assert len(message.skeleton) == 18
    for constant, name in SKELETON_POINTS.items():
        point = message.skeleton[getattr(type(message), constant)]
        if name not in KEYPOINTS:
            assert (point.x, point.y, point.c) == (0.0, 0.0, 0.0)
            continue
        x, y, z = WHOLE.apply(KEYPOINTS[name])
        column, row = frame.camera.fx * x / z + WIDTH / 2, frame.camera.fy * y / z + HEIGHT / 2
        assert (point.x, point.y) == pytest.approx(((column + 0.5) / WIDTH, (row + 0.5) / HEIGHT), abs=1e-5)
        assert point.c == 0.5


def test_left_and_right_are_those_of_the_person() -> None:
    assert list(SKELETON_POINTS)[:2] == ["NOSE", "NECK"]
    assert all(constant.lower() == name for constant, name in SKELETON_POINTS.items())


def test_what_is_unknown_or_outside_is_told_without_confidence(messages: HumansMessages) -> None:
    kind = messages.skeleton
    body = tracked(
        unknown=("left_hip",), camera_from_body=Similarity(FACING.rotation, np.array([0.85, 0.3, 2.0]))
    )
    message = messages.skeleton_of(body, frame_of())
    # The body is at the right edge of the image, its left side beyond.
    for index in (kind.LEFT_HIP, kind.LEFT_SHOULDER, kind.LEFT_WRIST):
        point = message.skeleton[index]
        assert (point.x, point.y, point.c) == (0.0, 0.0, 0.0)
    assert 0.9 < message.skeleton[kind.RIGHT_HIP].x < 1.0


@pytest.mark.parametrize(("state", "score"), [(VerdictState.ACCEPTED, 0.8), (VerdictState.REJECTED, 0.0)])
def test_the_verdict_stands_in_for_confidences_that_nobody_told(
    messages: HumansMessages, state: VerdictState, score: float
) -> None:
    estimate = standing_body(9, WHOLE, state=state)
    estimate = replace(estimate, confidences=np.full_like(estimate.confidences, np.nan))
    body = TrackedBody(4, 1, estimate, Similarity(), estimate.keypoints)
    message = messages.skeleton_of(body, frame_of())
    assert message.skeleton[messages.skeleton.NOSE].c == pytest.approx(score)
    assert messages.region_of(body, frame_of()).c == pytest.approx(score)


def test_without_the_package_they_are_left_out_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "hri_msgs_of_nobody")
    assert humans_messages("auto") is None
    with pytest.raises(ValueError, match=r"humans is always, but the package hri_msgs_of_nobody cannot"):
        humans_messages("always")


def test_nobody_has_to_have_them(hri_msgs: dict[str, str]) -> None:
    assert humans_messages("never") is None
    assert humans_messages("auto") is not None


@pytest.fixture
def other_version(
    hri_msgs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The text of a package whose messages are those of hri_msgs, until a test changes it."""
    text = tmp_path / "hri_msgs_changed" / "msg.py"
    text.parent.mkdir()
    (text.parent / "__init__.py").touch()
    text.write_text("from hri_msgs.msg import *\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "PACKAGE", "hri_msgs_changed")
    yield text
    for name in ("hri_msgs_changed.msg", "hri_msgs_changed"):
        sys.modules.pop(name, None)


def test_a_message_that_is_missing_is_named(other_version: Path) -> None:
    other_version.write_text("from hri_msgs.msg import *\ndel Skeleton2D\n")
    with pytest.raises(ValueError, match=r"has no message Skeleton2D: .*set humans to never"):
        humans_messages("auto")


def test_a_field_that_is_missing_is_named(other_version: Path) -> None:
    other_version.write_text(
        "from hri_msgs.msg import *\nfrom sensor_msgs.msg import Temperature as IdsList\n"
    )
    with pytest.raises(ValueError, match=r"IdsList has the fields header, temperature, .* and lacks ids"):
        humans_messages("auto")


def test_another_order_of_the_skeleton_is_named(other_version: Path) -> None:
    other_version.write_text(
        "from hri_msgs.msg import *\nimport hri_msgs.msg\n"
        "class Skeleton2D:\n"
        "    get_fields_and_field_types = hri_msgs.msg.Skeleton2D.get_fields_and_field_types\n"
        "    NOSE = 3\n"
    )
    with pytest.raises(ValueError, match="Skeleton2D has NOSE at 3, not at 0"):
        humans_messages("auto")
