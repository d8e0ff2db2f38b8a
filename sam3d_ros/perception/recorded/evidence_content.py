"""Evidence and an estimate as a JSON header and named arrays, and back: what a file of evidence holds.

The header tells every number that is not one of many, and by sizes and windows the shape of each array. What is read
may come from anywhere: each entry has a type and bounds, every array the shape that follows from the header, and what
these cannot say (a mask that is where the box says it is) is looked at. Packing ends with unpacking, so that nothing
is written that would not be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence, Overview
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.range_noise import RangeNoise
from sam3d_ros.perception.recorded.array_archive import Arrays, GivenArrays
from sam3d_ros.perception.recorded.estimate_content import (
    estimate_from,
    estimate_record,
    pose_from,
    pose_record,
)
from sam3d_ros.perception.recorded.header_fields import Fields
from sam3d_ros.perception.window import Window, window_of

#: Name and version of what is written here; another version is refused.
FORMAT, VERSION = "sam3d_ros evidence", 2

#: Pixels of the largest image and of its longer side: one of 8K. Rays of all pixels are made of what is read.
_MOST_PIXELS, _LONGEST_SIDE = 2**25, 2**16
_LARGEST_ID, _LARGEST_STAMP = 2**16 - 1, 2**63 - 1
#: Smallest focal length that is no absurdity, pixels.
_SMALLEST = 1e-6
_MOST_POINTS = 2**26
_MOST_NAMES, _MOST_COEFFICIENTS = 2**16, 32


@dataclass(frozen=True, eq=False)
class RecordedEvidence:
    """What one view told of an instance, and what was made of it.

    Attributes:
        evidence: what the view told.
        estimate: what was made of it; None where only the evidence was kept.
    """

    evidence: Evidence
    estimate: ObjectEstimate | None


def packed(
    evidence: Evidence, estimate: ObjectEstimate | None, *, full_view: bool
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of evidence.

    Args:
        evidence: to keep; its other views are left out, each is evidence of its own.
        estimate: what was made of it.
        full_view: keep the full images, too, where the evidence has them; its boxes and prompts, which are of people,
            are left out.

    Raises:
        ValueError: something does not fit, and would not be read again.
    """
    overview = evidence.overview if full_view else evidence.overview.kept()
    arrays: dict[str, NDArray[Any]] = {
        "rgb": evidence.rgb,
        "labels": evidence.labels,
        "points": evidence.points,
        "overview.labels": overview.labels,
        "overview.points": overview.points,
    }
    if overview.kept_background is not None:
        arrays["background"] = overview.kept_background
    header = {
        "format": FORMAT,
        "version": VERSION,
        "instance_id": int(evidence.instance_id),
        "label": evidence.label,
        "pixels": int(evidence.pixels),
        "box": _window_record(evidence.box),
        "window": _window_record(evidence.window),
        "camera": _camera_record(evidence.camera),
        "overview": {
            **_moment_record(overview),
            "stride": int(overview.stride),
            "background": None if overview.kept_background is None else len(overview.kept_background),
        },
        "frame": None if overview.frame is None else _frame_record(overview.frame, arrays),
        "estimate": None if estimate is None else estimate_record(estimate, arrays),
    }
    unpacked(header, GivenArrays(arrays))
    return header, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def unpacked(header: object, arrays: Arrays) -> RecordedEvidence:
    """What `packed` was given.

    Args:
        header: parsed JSON of any content.
        arrays: those that the header speaks of.

    Raises:
        ValueError: something is missing, too much, of another type, out of bounds, or disagrees with the rest.
    """
    fields = Fields(header, "the header")
    if (name := fields.text("format")) != FORMAT:
        raise ValueError(f"its format is {name[:40]!a}, {FORMAT!r} is expected")
    if (version := fields.whole("version", 0, 2**31)) != VERSION:
        raise ValueError(f"it is of version {version}, {VERSION} is expected")
    camera, window = _camera(fields.section("camera")), _window(fields, "window")
    size = (window.bottom - window.top, window.right - window.left)
    if min(size) < 1:
        raise ValueError(f"the window is {window}, which holds no pixel")
    evidence = Evidence(
        overview=_overview(fields, arrays),
        camera=camera,
        instance_id=fields.whole("instance_id", 1, _LARGEST_ID),
        label=fields.text("label"),
        pixels=fields.whole("pixels", 1, _MOST_PIXELS),
        box=_window(fields, "box"),
        window=window,
        rgb=arrays.take("rgb", np.uint8, (*size, 3)),
        labels=arrays.take("labels", np.uint16, size),
        point_map=PointMap(arrays.take("points", np.float32, (*size, 3))),
    )
    found = fields.optional_section("estimate")
    estimate = None if found is None else estimate_from(found, arrays)
    fields.finish()
    arrays.finish()
    _check_sizes(evidence)
    _check_mask(evidence)
    return RecordedEvidence(evidence, estimate)


def _check_sizes(evidence: Evidence) -> None:
    overview = evidence.overview
    cameras = [evidence.camera, overview.camera]
    if overview.frame is not None:
        cameras.append(overview.frame.camera)
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) != 1:
        raise ValueError(f"its cameras have images of {sorted(sizes)}, one size is expected")


def _check_mask(evidence: Evidence) -> None:
    """Whether the instance is where it is said to be: much would go wrong with a mask that is empty."""
    count = int(np.count_nonzero(evidence.mask))
    if count != evidence.pixels:
        raise ValueError(
            f"instance {evidence.instance_id} has {count} pixels, {evidence.pixels} are expected"
        )
    box = window_of(evidence.mask).moved(evidence.window.top, evidence.window.left)
    if box != evidence.box:
        raise ValueError(f"instance {evidence.instance_id} lies in {box}, {evidence.box} is expected")


def _moment_record(moment: Overview | Frame) -> dict[str, Any]:
    """What an overview and a frame both tell."""
    pose, noise = moment.fixed_from_camera, moment.range_noise
    return {
        "stamp": int(moment.stamp),
        "frame_id": moment.frame_id,
        "camera": _camera_record(moment.camera),
        "points_source": moment.points_source.name,
        "range_noise": None
        if noise is None
        else {"floor": float(noise.floor), "growth": float(noise.growth)},
        "is_metric": bool(moment.is_metric),
        "fixed_from_camera": None if pose is None else pose_record(pose),
    }


def _moment(fields: Fields) -> dict[str, Any]:
    pose = fields.optional_section("fixed_from_camera")
    return {
        "stamp": fields.whole("stamp", -_LARGEST_STAMP, _LARGEST_STAMP),
        "frame_id": fields.text("frame_id"),
        "camera": _camera(fields.section("camera")),
        "points_source": fields.choice("points_source", PointsSource),
        "range_noise": _range_noise(fields),
        "is_metric": fields.flag("is_metric"),
        "fixed_from_camera": None if pose is None else pose_from(pose),
    }


def _range_noise(parent: Fields) -> RangeNoise | None:
    fields = parent.optional_section("range_noise")
    if fields is None:
        return None
    noise = RangeNoise(fields.number("floor", 0.0), fields.number("growth", 0.0))
    fields.finish()
    return noise


def _overview(parent: Fields, arrays: Arrays) -> Overview:
    fields = parent.section("overview")
    moment = _moment(fields)
    camera = moment["camera"]
    stride = fields.whole("stride", 1, _LONGEST_SIDE)
    grid = (-(-camera.height // stride), -(-camera.width // stride))
    background = fields.optional_whole("background", 0, _MOST_POINTS)
    fields.finish()
    frame = parent.optional_section("frame")
    if moment["range_noise"] is None:
        raise ValueError("the overview does not say how much its points err")
    return Overview(
        **moment,
        stride=stride,
        labels=arrays.take("overview.labels", np.uint16, grid),
        points=arrays.take("overview.points", np.float32, (*grid, 3)),
        frame=None if frame is None else _frame(frame, arrays),
        kept_background=None
        if background is None
        else arrays.take("background", np.float32, (background, 3)),
    )


def _frame_record(frame: Frame, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    arrays.update({"frame.rgb": frame.rgb, "frame.labels": frame.labels, "frame.points": frame.points})
    names = [[int(instance_id), name] for instance_id, name in frame.label_names.items()]
    return {**_moment_record(frame), "label_names": names}


def _frame(fields: Fields, arrays: Arrays) -> Frame:
    moment = _moment(fields)
    # Whoever names the classes may name more than the pixels can be.
    names = fields.names("label_names", -_LARGEST_STAMP, _LARGEST_STAMP, _MOST_NAMES)
    fields.finish()
    size = (moment["camera"].height, moment["camera"].width)
    return Frame(
        **moment,
        label_names=MappingProxyType(names),
        rgb=arrays.take("frame.rgb", np.uint8, (*size, 3)),
        labels=arrays.take("frame.labels", np.uint16, size),
        point_map=PointMap(arrays.take("frame.points", np.float32, (*size, 3))),
    )


def _camera_record(camera: Camera) -> dict[str, Any]:
    return {
        "width": int(camera.width),
        "height": int(camera.height),
        **{key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")},
        "distortion_model": camera.distortion_model,
        "distortion": [float(coefficient) for coefficient in camera.distortion],
    }


def _camera(fields: Fields) -> Camera:
    width, height = (fields.whole(key, 1, _LONGEST_SIDE) for key in ("width", "height"))
    if width * height > _MOST_PIXELS:
        raise ValueError(f"its image is {width}x{height}, at most {_MOST_PIXELS} pixels are read")
    camera = Camera(
        width=width,
        height=height,
        fx=fields.number("fx", _SMALLEST),
        fy=fields.number("fy", _SMALLEST),
        cx=fields.number("cx"),
        cy=fields.number("cy"),
        distortion_model=fields.text("distortion_model"),
        distortion=fields.numbers("distortion", 0, _MOST_COEFFICIENTS),
    )
    fields.finish()
    # A lens that folds the image at its centre is refused when it is first looked through.
    camera.project((0.0, 0.0, 1.0))
    return camera


def _window_record(window: Window) -> list[int]:
    return [int(side) for side in (window.top, window.bottom, window.left, window.right)]


def _window(fields: Fields, key: str) -> Window:
    return Window(*fields.wholes(key, 4, 0, _LONGEST_SIDE))
