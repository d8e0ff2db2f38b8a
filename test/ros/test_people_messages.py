"""What detectors say of people: read as it was written, and refused by name where it makes no sense."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vision_msgs.msg import Detection2DArray, ObjectHypothesis, ObjectHypothesisWithPose

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.msg import BodyKeypoints2D, BodyKeypoints2DArray
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.people_messages import (
    MOST_DETECTIONS,
    boxes_from_detections,
    detections_message,
    keypoints_message,
    prompts_from_keypoints,
)
from sam3d_ros.ros.stamps import header_message

CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)
HEADER = header_message(5, "camera")
NAMES = ("nose", "left_wrist", "right_knee", "neck")

columns, rows = st.floats(-0.5, 63.5, width=32), st.floats(-0.5, 47.5, width=32)
boxes = st.tuples(columns, rows, columns, rows).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
#: Those within the first pixel are taken for shares of the image.
wide_boxes = boxes.filter(lambda b: b[2] - b[0] > 0.1 and b[3] - b[1] > 0.1 and max(b) > 1.5)
numbers = st.floats(width=32)


def read(message: Detection2DArray, names: dict[int, str] | None = None) -> tuple[dict, dict, FaultLog]:
    faults = FaultLog()
    found, classes = boxes_from_detections(message, CAMERA, names or {}, faults)
    return dict(found), dict(classes), faults


def prompts(message: BodyKeypoints2DArray, min_confidence: float = 0.5) -> tuple[KeypointPrompt, ...]:
    return prompts_from_keypoints(message, CAMERA, NAMES, min_confidence)


def one_person(
    points: Sequence[float], confidences: Sequence[float] = (), names: Sequence[str] = NAMES
) -> BodyKeypoints2DArray:
    person = BodyKeypoints2D(points=list(points), confidences=list(confidences))
    return BodyKeypoints2DArray(header=HEADER, keypoint_names=list(names), people=[person])


@given(st.lists(wide_boxes, max_size=5))
def test_boxes_that_are_written_read_back(given_boxes: list[tuple[float, ...]]) -> None:
    names = [f"class {i}" for i in range(len(given_boxes))]
    found, classes, faults = read(detections_message(given_boxes, names, HEADER))
    assert list(found) == list(range(1, len(given_boxes) + 1))
    assert list(classes.values()) == names
    for box, expected in zip(found.values(), given_boxes, strict=True):
        np.testing.assert_allclose(box, expected, atol=1e-4)
    assert faults.records() == ()


@given(wide_boxes, st.floats(-7, 7))
def test_a_turned_box_lies_in_the_upright_one_that_replaces_it(box: tuple[float, ...], turn: float) -> None:
    message = detections_message([box], ["person"], HEADER)
    message.detections[0].bbox.center.theta = turn
    x1, y1, x2, y2 = read(message)[0][1].tolist()
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    half = np.array([(box[2] - box[0]) / 2, (box[3] - box[1]) / 2])
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    corners = centre + np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * half @ rotation.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    np.testing.assert_allclose((x1, y1), np.maximum(low, -0.5), atol=1e-3)
    np.testing.assert_allclose((x2, y2), np.minimum(high, (63.5, 47.5)), atol=1e-3)


@given(numbers, numbers, numbers, numbers, numbers)
def test_a_box_is_within_the_image_or_refused_by_name(
    x: float, y: float, width: float, height: float, turn: float
) -> None:
    message = detections_message([(0, 0, 9, 9), (10, 10, 20, 20)], ["person", "dog"], HEADER)
    box = message.detections[0].bbox
    box.center.position.x, box.center.position.y, box.center.theta = x, y, turn
    box.size_x, box.size_y = width, height
    found, classes, faults = read(message)
    assert 2 in found and classes[2] == "dog"
    if 1 not in found:
        assert faults.count(Fault.INVALID_BOX) == 1 and 1 not in classes
        return
    assert faults.records() == ()
    x1, y1, x2, y2 = found[1].tolist()
    assert -0.5 <= x1 < x2 <= 63.5 and -0.5 <= y1 < y2 <= 47.5


@pytest.mark.parametrize("box", [(70, 10, 90, 20), (5, 5, 5, 9), (5, 9, 9, 5), (math.nan, 1, 2, 3)])
def test_a_box_beside_the_image_or_without_area_is_named(box: tuple[float, ...]) -> None:
    found, _, faults = read(detections_message([box], ["person"], HEADER))
    assert found == {}
    (record,) = faults.records()
    assert record.fault is Fault.INVALID_BOX and "image of 64x48: passed over" in record.message


def test_the_class_is_that_of_the_best_hypothesis_by_its_name() -> None:
    message = detections_message([(0, 0, 9, 9)] * 4, ["0", "person", "77", "2"], HEADER)
    better = ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id="0", score=2.0))
    message.detections[3].results.append(better)
    assert read(message, {0: "person", 2: "dog"})[1] == {1: "person", 2: "person", 3: "77", 4: "person"}
    message.detections[0].results = []
    assert read(message)[1] == {1: "", 2: "person", 3: "77", 4: "0"}


def test_more_detections_than_anybody_can_tell_apart_are_refused() -> None:
    count = MOST_DETECTIONS + 1
    with pytest.raises(FaultError, match=f"{count} detections") as refused:
        read(detections_message([(0, 0, 9, 9)] * count, ["person"] * count, HEADER))
    assert refused.value.fault is Fault.INVALID_BOX
    crowd = BodyKeypoints2DArray(people=[BodyKeypoints2D()] * count)
    with pytest.raises(FaultError, match=f"{count} people") as refused:
        prompts(crowd)
    assert refused.value.fault is Fault.INVALID_KEYPOINTS


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.dictionaries(st.sampled_from(NAMES), st.tuples(columns, rows), min_size=1),
        ),
        max_size=4,
    )
)
def test_keypoints_that_are_written_read_back(people: list[tuple[int, dict]]) -> None:
    given_prompts = [
        KeypointPrompt(instance, tuple(known), np.array(list(known.values()), np.float32))
        for instance, known in people
        # 63.5 is the first place beyond the image.
        if CAMERA.contains(np.array(list(known.values()))).all()
    ]
    found = prompts(keypoints_message(given_prompts, HEADER))
    assert len(found) == len(given_prompts)
    for prompt, expected in zip(found, given_prompts, strict=True):
        assert prompt.instance_id == expected.instance_id
        places = dict(zip(prompt.names, prompt.pixels.tolist(), strict=True))
        assert places == dict(zip(expected.names, expected.pixels.tolist(), strict=True))


@given(
    st.lists(numbers, max_size=12),
    st.lists(numbers, max_size=6),
    st.lists(st.sampled_from((*NAMES, "tail", "")), max_size=6),
)
def test_keypoints_are_in_the_image_and_certain_or_refused_by_name(
    points: list[float], confidences: list[float], names: list[str]
) -> None:
    message = one_person(points, confidences, names)
    strange, twice = set(names) - set(NAMES), len(set(names)) != len(names)
    short = len(points) != 2 * len(names) or len(confidences) not in (0, len(names))
    if strange or twice or short:
        with pytest.raises(FaultError) as refused:
            prompts(message)
        expected = Fault.UNKNOWN_KEYPOINT if strange else Fault.INVALID_KEYPOINTS
        assert refused.value.fault is expected
        return
    found = {name for prompt in prompts(message) for name in prompt.names}
    certain = confidences or [1.0] * len(names)
    assert found == {
        name
        for name, x, y, confidence in zip(names, points[::2], points[1::2], certain, strict=True)
        if -0.5 <= x < 63.5 and -0.5 <= y < 47.5 and confidence >= 0.5
    }


def test_a_name_that_is_none_is_told_with_an_example() -> None:
    with pytest.raises(FaultError, match="'mid_hip' is none of the 4 keypoints, as nose is"):
        prompts(one_person([1.0, 2.0], names=("mid_hip",)))


def test_coco_names_are_among_those_of_the_bodies() -> None:
    pytest.importorskip("torch", reason="requirements/models.txt is not installed")
    from sam3d_ros.reconstruction.bodies import SKELETON

    sides = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    coco = ("nose", *(f"{side}_{part}" for part in sides for side in ("left", "right")))
    assert len(coco) == 17
    (prompt,) = prompts_from_keypoints(one_person([10.0] * 34, names=coco), CAMERA, SKELETON.keypoints)
    assert prompt.names == coco


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.5, 0.9), (0.0, 0.0, 1.0, 1.0)])
def test_boxes_in_shares_of_the_image_are_refused_by_name(box: tuple[float, ...]) -> None:
    found, _, faults = read(detections_message([box, (1, 2, 30, 40)], ["person"] * 2, HEADER))
    assert list(found) == [2]
    (record,) = faults.records()
    assert record.fault is Fault.INVALID_BOX and "no shares of the image" in record.message


def test_keypoints_in_shares_of_the_image_are_refused_by_name() -> None:
    names = [f"point {i}" for i in range(17)]
    shares = np.random.default_rng(0).uniform(0.1, 0.9, 34).tolist()
    with pytest.raises(FaultError, match="no shares of the image") as refused:
        prompts_from_keypoints(one_person(shares, (), names), CAMERA, names)
    assert refused.value.fault is Fault.INVALID_KEYPOINTS


def test_a_score_that_is_no_number_is_less_than_any() -> None:
    message = detections_message([(0, 0, 9, 9)], ["ghost"], HEADER, [math.nan])
    better = ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id="person", score=0.1))
    message.detections[0].results.append(better)
    assert read(message)[1] == {1: "person"}
