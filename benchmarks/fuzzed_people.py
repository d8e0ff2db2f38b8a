"""Random boxes and keypoints of people, sound or with a defect that is planted on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesis, ObjectHypothesisWithPose

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.msg import BodyKeypoints2D, BodyKeypoints2DArray
from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.flat_arrays import flat_array
from sam3d_ros.ros.people_messages import MOST_DETECTIONS

#: Names that keypoints may have.
KEYPOINTS = ("nose", "left_eye", "right_eye", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))
CLASS_IDS = ("person", "0", "7", "", "é", "-1", "1e3", "²", "99999999999999999999", "person " * 50)

Drawn = tuple[Any, frozenset[Fault | None], str]


def draw_boxes(rng: np.random.Generator, camera: Camera) -> Drawn:
    """Detection2DArray, how it must end, and what is wrong with one of its boxes."""
    boxes = [_box(rng, camera) for _ in range(int(rng.integers(1, 6)))]
    ends: frozenset[Fault | None] = frozenset({Fault.INVALID_BOX})
    defect = str(rng.choice(["none", "none", "no number", "size", "outside", "shares", "many", "empty"]))
    place = int(rng.integers(len(boxes)))
    box = boxes[place].bbox
    if defect == "no number":
        number = float(rng.choice(NO_NUMBERS))
        holder, name = [
            (box, "size_x"),
            (box, "size_y"),
            (box.center, "theta"),
            (box.center.position, "x"),
            (box.center.position, "y"),
        ][rng.integers(5)]
        setattr(holder, name, number)
    elif defect == "size":
        setattr(box, str(rng.choice(["size_x", "size_y"])), float(rng.choice([0.0, -1.0, -1e30])))
    elif defect == "outside":
        box.center.theta = 0.0
        box.center.position.x = float(rng.choice([-1.0, 1.0]) * rng.choice([1e3, 1e9, 1e300]))
    elif defect == "shares":
        box.center.position.x, box.center.position.y, box.size_x, box.size_y = rng.uniform(
            0.1, 0.9, 4
        ).tolist()
    elif defect == "many":
        boxes = boxes * (MOST_DETECTIONS // len(boxes) + 1)
    else:
        if defect == "empty":
            boxes = []
        ends = frozenset({None})
    return Detection2DArray(detections=boxes), ends, f"boxes: {defect}"


def draw_keypoints(rng: np.random.Generator, camera: Camera) -> Drawn:
    """BodyKeypoints2DArray, how it must end, and what is wrong with it."""
    names = [str(name) for name in rng.permutation(KEYPOINTS)]
    people = [_person(rng, camera, len(names)) for _ in range(int(rng.integers(1, 5)))]
    ends: frozenset[Fault | None] = frozenset({Fault.INVALID_KEYPOINTS})
    kinds = ["none", "none", "name", "twice", "points", "confidences", "shares", "many", "no number", "empty"]
    defect = str(rng.choice(kinds))
    victim = people[int(rng.integers(len(people)))]
    if defect == "name":
        names[int(rng.integers(len(names)))] = str(rng.choice(["", "Nose", "tail", "é", "nose "]))
        ends = frozenset({Fault.UNKNOWN_KEYPOINT})
    elif defect == "twice":
        names[0] = names[1]
    elif defect == "points":
        count = int(rng.choice([0, 1, 2 * len(names) - 1, 2 * len(names) + 1, 1000]))
        victim.points = flat_array("f", np.zeros(count, np.float32))
    elif defect == "confidences":
        count = int(rng.choice([1, len(names) - 1, len(names) + 1]))
        victim.confidences = flat_array("f", np.ones(count, np.float32))
    elif defect == "shares":
        victim.points = flat_array("f", rng.uniform(0.1, 0.9, 2 * len(names)).astype(np.float32))
        victim.confidences = flat_array("f", np.zeros(0, np.float32))
    elif defect == "many":
        people = people * (MOST_DETECTIONS // len(people) + 1)
    else:
        ends = frozenset({None})
        if defect == "no number":
            numbers = np.array((*NO_NUMBERS, 3e38, -3e38), np.float32)
            victim.points = flat_array("f", rng.choice(numbers, 2 * len(names)))
            victim.confidences = flat_array("f", rng.choice(numbers, len(names)))
        elif defect == "empty":
            people = []
    return BodyKeypoints2DArray(keypoint_names=names, people=people), ends, f"keypoints: {defect}"


def _box(rng: np.random.Generator, camera: Camera) -> Detection2D:
    score = float(rng.choice([0.0, 0.5, 1.0, -3.0, *NO_NUMBERS]))
    hypotheses = [
        ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=str(rng.choice(CLASS_IDS)), score=score)
        )
        for _ in range(int(rng.integers(0, 3)))
    ]
    found = Detection2D(results=hypotheses, id=str(rng.choice(CLASS_IDS)))
    centre = found.bbox.center
    centre.position.x, centre.position.y = (rng.uniform(0.2, 0.8, 2) * (camera.width, camera.height)).tolist()
    centre.theta = float(rng.choice([0.0, rng.uniform(-10.0, 10.0)]))
    found.bbox.size_x, found.bbox.size_y = rng.uniform(2.0, 30.0, 2).tolist()
    return found


def _person(rng: np.random.Generator, camera: Camera, count: int) -> BodyKeypoints2D:
    pixels = rng.uniform(-5.0, 40.0, (count, 2)).astype(np.float32)
    pixels[0] = camera.width / 2, camera.height / 2  # no share of the image, and never of none
    person = BodyKeypoints2D(instance=int(rng.choice([0, 1, 2, 2**32 - 1])), points=flat_array("f", pixels))
    if rng.random() < 0.5:
        person.confidences = flat_array("f", np.ones(count, np.float32))
    return person
