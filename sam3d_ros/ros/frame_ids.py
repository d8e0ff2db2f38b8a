"""The frames that the headers of a set of messages name, as tf2 knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.frame_assembler import InputSet

#: How the names of frames end whose z axis looks out of the camera (REP-103).
_OPTICAL = ("optical", "optical_frame")
#: How the names of the frames of one camera end.
_FRAMES_OF_A_CAMERA = re.compile(r"(_optical)?(_frame|_link)?$")
#: The attributes of a set whose messages are made of its image, and all whose messages have a frame.
_MADE_OF_IMAGES = ("labels", "detections", "keypoints")
_MESSAGES = ("image", "camera_info", *_MADE_OF_IMAGES, "depth", "depth_info", "points")


@dataclass(frozen=True)
class FrameIds:
    """Names without a leading slash, which tf2 does not allow.

    Attributes:
        camera: the optical frame of the image.
        depth: that of the depth image; of the image where there is none.
        points: of the LiDAR; empty where it names none.
        faults: what was wrong with the names; nothing that stops a frame.
    """

    camera: str
    depth: str
    points: str
    faults: tuple[FaultError, ...]


def without_slash(frame_id: str) -> str:
    """A name as tf2 wants it: /map of ROS 1 is map."""
    return frame_id.lstrip("/")


def names_frame_of(message: Any, other: Any) -> bool:
    """Whether two messages name one frame, or the first none."""
    return _name(message) in ("", _name(other))


def frame_ids(inputs: InputSet, target_frame: str = "") -> FrameIds:
    """Read the names of a set.

    An image and its camera_info should name one frame. Where they do not, it is that of the image, unless that of the
    camera_info alone is optical by its name. What is made of an image names the frame of the image, or none.

    Args:
        inputs: the messages.
        target_frame: the parameter, whose slash is named, too.

    Raises:
        FaultError: missing_frame_id: neither the image nor its camera_info names a frame.
    """
    camera, conflict = _agreed("the image", inputs.image, "camera_info", inputs.camera_info)
    if not camera:
        raise FaultError(Fault.MISSING_FRAME_ID, "neither the image nor its camera_info has a frame_id")
    faults = [*_slashes(inputs, target_frame), *conflict, *_strangers(inputs, camera)]
    depth = camera
    if _name(inputs.depth):
        depth, conflict = _agreed("depth", inputs.depth, "depth/camera_info", inputs.depth_info)
        # Depth in the frame that the image names is registered to it, whatever that frame should have been called.
        depth = camera if depth == _name(inputs.image) else depth
        faults += conflict if depth != camera else ()
    return FrameIds(camera, depth, _name(inputs.points), tuple(faults))


def _name(message: Any | None) -> str:
    return "" if message is None else without_slash(message.header.frame_id)


def _agreed(what: str, message: Any, beside: str, info: Any | None) -> tuple[str, tuple[FaultError, ...]]:
    """The frame of an image, and what is wrong with it."""
    own, other = _name(message), _name(info)
    if not own or not other or own == other:
        return own or other, ()
    used = other if other.endswith(_OPTICAL) and not own.endswith(_OPTICAL) else own
    text = f"{what} is in frame {own!r} but {beside} in {other!r}: {used!r} is used"
    return used, (FaultError(Fault.FRAME_CONFLICT, text),)


def _camera_of(frame_id: str) -> str:
    """What is left of the name of a frame that tells which camera it is of, whichever of its frames it is."""
    return _FRAMES_OF_A_CAMERA.sub("", frame_id)


def _strangers(inputs: InputSet, camera: str) -> list[FaultError]:
    """One fault for all that should be made of the image and names the frame of something else."""
    own = {_camera_of(name) for name in ("", camera, _name(inputs.image), _name(inputs.camera_info))}
    named = {name: _name(getattr(inputs, name)) for name in _MADE_OF_IMAGES}
    strange = [f"{name} in {frame!r}" for name, frame in named.items() if _camera_of(frame) not in own]
    if not strange:
        return []
    text = f"the image is in frame {camera!r}, but {', '.join(strange)}: are they of another camera?"
    return [FaultError(Fault.FRAME_CONFLICT, text)]


def _slashes(inputs: InputSet, target_frame: str) -> list[FaultError]:
    """One fault for all names of a set that begin with a slash."""
    named = {name: getattr(inputs, name) for name in _MESSAGES}
    names = {name: message.header.frame_id for name, message in named.items() if message is not None}
    slashed = [
        f"{frame_id!r} ({name})"
        for name, frame_id in {**names, "target_frame": target_frame}.items()
        if frame_id.startswith("/")
    ]
    if not slashed:
        return []
    return [
        FaultError(Fault.SLASHED_FRAME_ID, f"tf2 knows no leading slash: left out of {', '.join(slashed)}")
    ]
