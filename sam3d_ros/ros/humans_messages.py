"""Tracked people as the messages of REP-155 (ROS4HRI), where the package hri_msgs is installed.

Ids: REP-155 names topics and frames after the id of a body, and no part of a topic's name may begin with a digit. The
person of track 7 is the body `b0007` here, with the frame `body_b0007`, which lies on `body_7`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from std_msgs.msg import Header

from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros.object_messages import confidence
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import transform_message

#: When the topics of REP-155 are published: where hri_msgs is installed, in any case, not at all. They are not called
#: on and off, which YAML takes for true and false.
CHOICES = ("auto", "always", "never")
PACKAGE = "hri_msgs"

#: The points of hri_msgs/Skeleton2D in their order, by the name of its constants, and our keypoints there.
SKELETON_POINTS = {
    "NOSE": "nose",
    "NECK": "neck",
    "RIGHT_SHOULDER": "right_shoulder",
    "RIGHT_ELBOW": "right_elbow",
    "RIGHT_WRIST": "right_wrist",
    "LEFT_SHOULDER": "left_shoulder",
    "LEFT_ELBOW": "left_elbow",
    "LEFT_WRIST": "left_wrist",
    "RIGHT_HIP": "right_hip",
    "RIGHT_KNEE": "right_knee",
    "RIGHT_ANKLE": "right_ankle",
    "LEFT_HIP": "left_hip",
    "LEFT_KNEE": "left_knee",
    "LEFT_ANKLE": "left_ankle",
    "LEFT_EYE": "left_eye",
    "RIGHT_EYE": "right_eye",
    "LEFT_EAR": "left_ear",
    "RIGHT_EAR": "right_ear",
}
#: What is filled in, by type.
_FIELDS = {
    "IdsList": ("header", "ids"),
    "NormalizedRegionOfInterest2D": ("header", "xmin", "ymin", "xmax", "ymax", "c"),
    "NormalizedPointOfInterest2D": ("x", "y", "c"),
    "Skeleton2D": ("header", "skeleton"),
}
_REMEDY = "this version of the package is not known here: set humans to never, or install another one"


def human_id(track_id: int) -> str:
    """The id of a body in REP-155."""
    return f"b{track_id:04d}"


def human_frame(track_id: int, prefix: str = "") -> str:
    """Name of the TF frame that REP-155 gives to a body."""
    return f"{prefix}body_{human_id(track_id)}"


def human_transforms(
    bodies: Iterable[TrackedBody], header: Header, prefix: str = ""
) -> list[TransformStamped]:
    """The frames that REP-155 names after its ids, each with the pose of `body_<id>`."""
    return [
        transform_message(header, human_frame(tracked.track_id, prefix), tracked.fixed_from_body)
        for tracked in bodies
    ]


def humans_messages(wanted: str) -> HumansMessages | None:
    """The messages of REP-155; None where they are not wanted, or not installed and not insisted on.

    Args:
        wanted: one of `CHOICES`.

    Raises:
        ValueError: they are insisted on and not installed, or lack a field that is filled in here.
    """
    if wanted == "never":
        return None
    if importlib.util.find_spec(PACKAGE) is None:
        if wanted == "auto":
            return None
        raise ValueError(
            f"humans is always, but the package {PACKAGE} cannot be imported: install and source it, or set humans "
            "to auto or never"
        )
    module = importlib.import_module(f"{PACKAGE}.msg")
    types = {name: _checked(module, name) for name in _FIELDS}
    return HumansMessages(
        ids_list=types["IdsList"],
        region=types["NormalizedRegionOfInterest2D"],
        point=types["NormalizedPointOfInterest2D"],
        skeleton=types["Skeleton2D"],
    )


@dataclass(frozen=True)
class HumansMessages:
    """Fills the messages of hri_msgs.

    Attributes:
        ids_list, region, point, skeleton: its types IdsList, NormalizedRegionOfInterest2D,
            NormalizedPointOfInterest2D and Skeleton2D.
    """

    ids_list: Any
    region: Any
    point: Any
    skeleton: Any

    def tracked(self, track_ids: Sequence[int], header: Header) -> Any:
        """Who is tracked."""
        return self.ids_list(header=header, ids=[human_id(i) for i in track_ids])

    def region_of(self, tracked: TrackedBody, frame: Frame) -> Any:
        """Where in the image a person is: the box around its mask, from 0 to 1, with the confidence of the verdict."""
        x1, y1, x2, y2 = _box(frame, tracked.estimate.instance_id).tolist()
        return self.region(
            header=header_message(frame.stamp, frame.frame_id),
            xmin=x1,
            ymin=y1,
            xmax=x2,
            ymax=y2,
            c=confidence(tracked.estimate.verdict),
        )

    def skeleton_of(self, tracked: TrackedBody, frame: Frame) -> Any:
        """The 18 points in the image, from 0 to 1.

        The confidence is that of the keypoint, or that of the verdict where the reconstructor tells none. Points that
        are not known or not in the image have zero for everything.
        """
        estimate = tracked.estimate
        places = _normalized(frame.camera.project(estimate.keypoints), frame)
        seen = np.all((places >= 0) & (places <= 1), axis=1)
        score = confidence(estimate.verdict)
        message = self.skeleton(header=header_message(frame.stamp, frame.frame_id))
        points = []
        for name in SKELETON_POINTS.values():
            index = estimate.skeleton.keypoints.index(name) if name in estimate.skeleton.keypoints else None
            if index is None or not seen[index]:
                points.append(self.point(x=0.0, y=0.0, c=0.0))
                continue
            x, y = places[index].tolist()
            told = float(estimate.confidences[index])
            points.append(self.point(x=x, y=y, c=score if np.isnan(told) else told))
        message.skeleton = points
        return message


def _checked(module: Any, name: str) -> Any:
    """A type of hri_msgs that has what is filled in."""
    kind = getattr(module, name, None)
    if kind is None:
        raise ValueError(f"{PACKAGE} has no message {name}: {_REMEDY}")
    found = kind.get_fields_and_field_types()
    missing = [field for field in _FIELDS[name] if field not in found]
    if missing:
        raise ValueError(
            f"{PACKAGE}/{name} has the fields {', '.join(found)} and lacks {', '.join(missing)}: {_REMEDY}"
        )
    if name == "Skeleton2D":
        for index, constant in enumerate(SKELETON_POINTS):
            if (other := getattr(kind, constant, index)) != index:
                raise ValueError(f"{PACKAGE}/{name} has {constant} at {other}, not at {index}: {_REMEDY}")
    return kind


def _box(frame: Frame, instance_id: int) -> NDArray[np.float64]:
    """(4,) x1, y1, x2, y2 of an instance, from 0 to 1."""
    if instance_id in frame.boxes:
        return _normalized(frame.boxes[instance_id].reshape(2, 2), frame).clip(0.0, 1.0).ravel()
    mask = frame.mask(instance_id)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    # From edge to edge of the pixels, whose centres are whole numbers.
    corners = [(columns[0] - 0.5, rows[0] - 0.5), (columns[-1] + 0.5, rows[-1] + 0.5)]
    return _normalized(np.array(corners), frame).ravel()


def _normalized(pixels: NDArray[np.floating], frame: Frame) -> NDArray[np.float64]:
    """(N, 2) pixels u, v -> 0 to 1 across the image."""
    return (pixels + 0.5) / np.array([frame.camera.width, frame.camera.height], dtype=np.float64)
