"""What detectors tell of people, as plain types and back: boxes and keypoints of an image."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.msg import BodyKeypoints2D, BodyKeypoints2DArray
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.flat_arrays import flat_array

#: No image has more people, or detections of anything, that could be told apart.
MOST_DETECTIONS = 256
#: So many keypoints in one pixel are no person.
_LEAST_SHARES = 5


def boxes_from_detections(
    message: Detection2DArray, camera: Camera, class_names: Mapping[int, str], faults: FaultLog
) -> tuple[Mapping[int, NDArray[np.float32]], Mapping[int, str]]:
    """Boxes of everything that a detector found.

    Args:
        message: detections in the image of the camera; rotated boxes are replaced by the upright ones around them.
        camera: boxes are cut off at the edges of its image.
        class_names: names of the class ids that are numbers.
        faults: where boxes are reported that cannot be used; the others are.

    Returns:
        Place in the message (1 = the first) -> (4,) float32 x1, y1, x2, y2 in pixels, and place -> class name: that of
        the hypothesis with the highest score, or its class id where that has no name.

    Raises:
        FaultError: there are more than `MOST_DETECTIONS`.
    """
    if len(message.detections) > MOST_DETECTIONS:
        raise FaultError(
            Fault.INVALID_BOX, f"{len(message.detections)} detections in an image: {MOST_DETECTIONS} at most"
        )
    boxes, names = {}, {}
    for place, detection in enumerate(message.detections, start=1):
        box = _box(detection, camera)
        if box is None:
            b = detection.bbox
            faults.report(
                Fault.INVALID_BOX,
                f"detection {place} is {b.size_x:g}x{b.size_y:g} at ({b.center.position.x:g}, "
                f"{b.center.position.y:g}) in an image of {camera.width}x{camera.height}: passed over"
                + (", for its numbers are in pixels, no shares of the image" if _is_share(b) else ""),
            )
            continue
        boxes[place], names[place] = box, _class_name(detection, class_names)
    return MappingProxyType(boxes), MappingProxyType(names)


def prompts_from_keypoints(
    message: BodyKeypoints2DArray, camera: Camera, known: Collection[str], min_confidence: float = 0.0
) -> tuple[KeypointPrompt, ...]:
    """Keypoints that somebody knows.

    Args:
        message: keypoints in the image of the camera; those beyond its edges are passed over.
        camera: of the image.
        known: the names that there are.
        min_confidence: keypoints of a lower confidence are passed over.

    Returns:
        One prompt for each person of whom a keypoint is left.

    Raises:
        FaultError: a name is unknown, somebody's arrays have another length than the names ask for, or numbers are
            shares of the image.
    """
    names = tuple(message.keypoint_names)
    if strange := [name for name in names if name not in known]:
        raise FaultError(
            Fault.UNKNOWN_KEYPOINT, f"{strange[0]!r} is none of the {len(known)} keypoints, as nose is"
        )
    if len(set(names)) != len(names):
        raise FaultError(Fault.INVALID_KEYPOINTS, f"a keypoint is named twice in {', '.join(names)}")
    if len(message.people) > MOST_DETECTIONS:
        raise FaultError(
            Fault.INVALID_KEYPOINTS, f"{len(message.people)} people in an image: {MOST_DETECTIONS} at most"
        )
    prompts = (_prompt(person, names, camera, min_confidence) for person in message.people)
    return tuple(prompt for prompt in prompts if prompt is not None)


def detections_message(
    boxes: Sequence[Sequence[float]], class_ids: Sequence[str], header: Header, scores: Sequence[float] = ()
) -> Detection2DArray:
    """Boxes x1, y1, x2, y2 in pixels, with a class id each and a score, by default 1."""
    detections = []
    for (x1, y1, x2, y2), class_id, score in zip(boxes, class_ids, scores or [1.0] * len(boxes), strict=True):
        hypothesis = ObjectHypothesis(class_id=class_id, score=float(score))
        detection = Detection2D(header=header, results=[ObjectHypothesisWithPose(hypothesis=hypothesis)])
        centre = detection.bbox.center.position
        centre.x, centre.y = (x1 + x2) / 2, (y1 + y2) / 2
        detection.bbox.size_x, detection.bbox.size_y = float(x2 - x1), float(y2 - y1)
        detections.append(detection)
    return Detection2DArray(header=header, detections=detections)


def keypoints_message(prompts: Sequence[KeypointPrompt], header: Header) -> BodyKeypoints2DArray:
    """Prompts as a message: every keypoint of any of them is named, and unknown for the others."""
    names = list(dict.fromkeys(name for prompt in prompts for name in prompt.names))
    people = []
    for prompt in prompts:
        points = np.full((len(names), 2), np.nan, np.float32)
        points[[names.index(name) for name in prompt.names]] = prompt.pixels
        people.append(BodyKeypoints2D(instance=prompt.instance_id, points=flat_array("f", points)))
    return BodyKeypoints2DArray(header=header, keypoint_names=names, people=people)


def _are_shares(pixels: NDArray[np.float32]) -> bool:
    """Whether (N, 2) keypoints of a person are shares of the width and the height of the image."""
    few = len(pixels) < _LEAST_SHARES
    return not few and pixels.min() >= 0.0 and pixels.max() <= 1.0 and bool((pixels % 1.0).any())


def _is_share(box: BoundingBox2D) -> bool:
    """Whether a box would be one in shares of the width and the height of the image."""
    x, y = box.center.position.x, box.center.position.y
    return all(0.0 <= number <= 1.0 for number in (x, y, box.size_x, box.size_y))


def _box(detection: Detection2D, camera: Camera) -> NDArray[np.float32] | None:
    """x1, y1, x2, y2 within the image; None if nothing of it is there, or a number makes no sense."""
    box, centre = detection.bbox, detection.bbox.center
    numbers = (centre.position.x, centre.position.y, centre.theta, box.size_x, box.size_y)
    if not all(map(math.isfinite, numbers)) or min(box.size_x, box.size_y) <= 0 or _is_share(box):
        return None
    cosine, sine = abs(math.cos(centre.theta)), abs(math.sin(centre.theta))
    half_width = (cosine * box.size_x + sine * box.size_y) / 2
    half_height = (sine * box.size_x + cosine * box.size_y) / 2
    x, y = centre.position.x, centre.position.y
    # From edge to edge of the pixels, whose centres are whole numbers.
    x1, x2 = np.clip((x - half_width, x + half_width), -0.5, camera.width - 0.5)
    y1, y2 = np.clip((y - half_height, y + half_height), -0.5, camera.height - 0.5)
    found = np.array((x1, y1, x2, y2), dtype=np.float32)
    return found if (found[:2] < found[2:]).all() else None


def _class_name(detection: Detection2D, class_names: Mapping[int, str]) -> str:
    if not detection.results:
        return ""
    hypotheses = [result.hypothesis for result in detection.results]
    # A score that is no number is less than any.
    best = max(hypotheses, key=lambda h: -math.inf if math.isnan(h.score) else h.score)
    number = int(best.class_id) if best.class_id.isdecimal() else -1
    return class_names.get(number, str(best.class_id))


def _prompt(
    person: BodyKeypoints2D, names: tuple[str, ...], camera: Camera, min_confidence: float
) -> KeypointPrompt | None:
    """None where no keypoint is left."""
    if len(person.points) != 2 * len(names) or len(person.confidences) not in (0, len(names)):
        raise FaultError(
            Fault.INVALID_KEYPOINTS,
            f"{len(person.points)} coordinates and {len(person.confidences)} confidences for {len(names)} named "
            f"keypoints: {2 * len(names)} coordinates are expected, and {len(names)} confidences or none",
        )
    pixels = np.array(person.points, dtype=np.float32).reshape(-1, 2)
    wanted = camera.contains(pixels)
    if len(person.confidences):
        wanted &= np.array(person.confidences, dtype=np.float32) >= min_confidence
    if _are_shares(pixels[wanted]):
        raise FaultError(
            Fault.INVALID_KEYPOINTS,
            f"all {np.count_nonzero(wanted)} keypoints of a person lie in the first pixel: give pixels, no shares of "
            "the image",
        )
    kept = tuple(name for name, is_wanted in zip(names, wanted, strict=True) if is_wanted)
    return KeypointPrompt(int(person.instance), kept, pixels[wanted]) if kept else None
