"""CameraInfo messages as cameras, and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.distortion import COEFFICIENT_COUNTS, DISTORTION_MODELS
from sam3d_ros.geometry.plausible_cameras import check_lens, check_plausible
from sam3d_ros.ros.calibration_checks import check_matrix_is_supported, intrinsics
from sam3d_ros.ros.faults import Fault, FaultError

#: Names that drivers give to the models of `geometry.distortion`, in lower case and without separators.
_MODELS = {
    **dict.fromkeys(("", "none", "pinhole", "undistorted", "nodistortion"), "none"),
    # Other polynomials than Brown's, with which an image is undistorted only if they are all 0.
    **dict.fromkeys(("inversebrownconrady", "modifiedbrownconrady"), "none"),
    **dict.fromkeys(("plumbbob", "radtan", "radialtangential", "brownconrady"), "plumb_bob"),
    **dict.fromkeys(
        ("rationalpolynomial", "rational", "brownconradyk6", "opencv", "fullopencv"), "rational_polynomial"
    ),
    **dict.fromkeys(
        ("equidistant", "equi", "fisheye", "opencvfisheye", "kannalabrandt", "kannalabrandt4", "kb4"),
        "equidistant",
    ),
}


def camera_from_info(
    message: CameraInfo, size: tuple[int, int] | None = None, *, rectified: bool = False
) -> Camera:
    """The camera of the image that comes with a CameraInfo.

    By the definition of the message its size, K, D and P describe the full sensor; the region of interest is cut
    out of it first, and then `binning_x` x `binning_y` of its pixels are joined to one. Drivers differ, and the
    size of the image tells. The first of these that has this size is taken:

    1. region of interest and binning both applied, as defined;
    2. neither: size, K and P are those of the image already;
    3. only the region, or only the binning, if not both would do. A region that leaves the calibrated size counts
       pixels before the binning that size and K have had already.

    A message of size 0 x 0 has the size that the image, its binning and its region make it have.

    Models: `plumb_bob`, `rational_polynomial` and `equidistant` under the names that drivers have for them. Both
    polynomials are one in OpenCV's order of coefficients, so that a plumb_bob of 8 is a rational polynomial;
    missing ones are 0. An equidistant lens is one whatever its coefficients.

    Args:
        message: the calibration.
        size: width and height of the image, pixels; by default what the definition of the message makes it.
        rectified: the image is rectified: P holds its intrinsics, and it has no distortion. Otherwise it is raw:
            K and D.

    Raises:
        FaultError: uncalibrated_camera (not set, or values that no camera has), unsupported_camera (skewed pixels,
            or a rectified second stereo camera: its P[3] tells a distance from the first one, but no message
            tells which of both the frame is of), unknown_distortion or size_mismatch.
    """
    roi = message.roi
    found = _camera_or_fault(
        _Calibration(
            frame_id=message.header.frame_id,
            size=(message.width, message.height),
            matrix=tuple((message.p if rectified else message.k).tolist()),
            model="none" if rectified else message.distortion_model,
            coefficients=() if rectified else tuple(message.d),
            region=(roi.x_offset, roi.y_offset, roi.width, roi.height),
            binning=(max(message.binning_x, 1), max(message.binning_y, 1)),
        ),
        size,
    )
    if isinstance(found, FaultError):
        raise FaultError(found.fault, str(found))
    return found


def info_from_camera(camera: Camera, header: Header) -> CameraInfo:
    """A camera as the CameraInfo of a raw image; P is K without distortion, R the identity."""
    model, coefficients = camera.distortion_model, [float(value) for value in camera.distortion]
    if model == "none":  # what drivers publish for an undistorted image
        model, coefficients = "plumb_bob", [0.0] * 5
    fx, fy, cx, cy = (float(value) for value in (camera.fx, camera.fy, camera.cx, camera.cy))
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=model,
        d=coefficients,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class _Calibration(NamedTuple):
    """What a camera is made of, by content: the same message comes with every image."""

    frame_id: str
    size: tuple[int, int]
    matrix: tuple[float, ...]
    model: str
    coefficients: tuple[float, ...]
    region: tuple[int, int, int, int]
    binning: tuple[int, int]


class _Reading(NamedTuple):
    """How an image comes from what was calibrated: the part (x, y, width, height) of it, then joined pixels."""

    part: tuple[int, int, int, int]
    binning: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        return self.part[2] // self.binning[0], self.part[3] // self.binning[1]


@lru_cache(maxsize=32)
def _camera_or_fault(calibration: _Calibration, size: tuple[int, int] | None) -> Camera | FaultError:
    try:
        return _camera(calibration, size)
    except FaultError as error:
        return FaultError(error.fault, str(error))  # a new one, without the frames of the traceback


def _camera(calibration: _Calibration, size: tuple[int, int] | None) -> Camera:
    frame = calibration.frame_id
    fx, fy, cx, cy = intrinsics(calibration.matrix, of=frame)
    sensor = _sensor(calibration, size)
    reading = _reading(calibration, sensor, size)
    # A region that was cut out already says where the calibrated image lies in the sensor.
    x0, y0 = (0, 0) if _is_inside(calibration.region, sensor) else calibration.region[:2]
    owner = f"camera_info of frame {frame!r}"
    try:
        check_plausible(
            (fx, fy, cx + x0, cy + y0),
            (sensor[0] + x0, sensor[1] + y0),
            of=owner,
            is_told=all(calibration.size) or any(calibration.region),
        )
    except ValueError as error:
        raise FaultError(Fault.UNCALIBRATED_CAMERA, str(error)) from error
    check_matrix_is_supported(calibration.matrix, sensor[1], of=frame)
    model, coefficients = _distortion(calibration.model, calibration.coefficients)
    (x, y, _, _), (across, down) = reading
    try:
        camera = Camera(
            *reading.size,
            fx=fx / across,
            fy=fy / down,
            # The first pixel's centre comes to lie amid the centres of those that are joined to it.
            cx=(cx - x - (across - 1) / 2) / across,
            cy=(cy - y - (down - 1) / 2) / down,
            distortion_model=model,
            distortion=coefficients,
        )
        check_lens(camera, of=owner)
    except ValueError as error:
        raise FaultError(Fault.UNCALIBRATED_CAMERA, f"camera_info cannot be used: {error}") from error
    return camera


def _sensor(calibration: _Calibration, size: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of what was calibrated; where the message does not tell, what it must be at least."""
    if all(calibration.size):
        return calibration.size
    x, y, width, height = calibration.region
    if width and height:
        return x + width, y + height
    if size is None:
        raise FaultError(
            Fault.UNCALIBRATED_CAMERA,
            f"camera_info is of size {calibration.size[0]}x{calibration.size[1]}: publish the size of the image",
        )
    return size[0] * calibration.binning[0], size[1] * calibration.binning[1]


def _is_inside(region: tuple[int, int, int, int], sensor: tuple[int, int]) -> bool:
    x, y, width, height = region
    return x + (width or sensor[0]) <= sensor[0] and y + (height or sensor[1]) <= sensor[1]


def _joined(region: tuple[int, int, int, int], binning: tuple[int, int]) -> tuple[int, int, int, int]:
    """A region of the sensor in the pixels that are left after binning."""
    (x, y, width, height), (across, down) = region, binning
    return x // across, y // down, width // across, height // down


def _reading(calibration: _Calibration, sensor: tuple[int, int], size: tuple[int, int] | None) -> _Reading:
    """How the image of this size comes from the sensor, as `camera_from_info` documents it."""
    x, y, width, height = calibration.region
    part = (x, y, width or sensor[0], height or sensor[1])
    is_inside = _is_inside(calibration.region, sensor)
    defined = _Reading(part, calibration.binning)
    as_it_is = _Reading((0, 0, *sensor), (1, 1))
    if is_inside and size in (None, defined.size):
        return defined
    if size == as_it_is.size:
        return as_it_is
    halves = {_Reading(as_it_is.part, calibration.binning)}
    if is_inside:
        halves.add(_Reading(part, (1, 1)))
    elif _is_inside(joined := _joined(part, calibration.binning), sensor):
        halves.add(_Reading(joined, (1, 1)))
    fitting = [reading for reading in halves if reading.size == size]
    if len(fitting) == 1:
        return fitting[0]
    if not is_inside:
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"camera_info has a region of interest of {part[2]}x{part[3]} at ({x}, {y}) in a sensor of "
            f"{sensor[0]}x{sensor[1]}",
        )
    assert size is not None
    reason = "may be its region of interest or its binned whole" if fitting else "fits none of them"
    raise FaultError(
        Fault.SIZE_MISMATCH,
        f"image is {size[0]}x{size[1]} but its camera_info is {defined.size[0]}x{defined.size[1]} (region of interest "
        f"and binning applied) of a sensor of {sensor[0]}x{sensor[1]}, frame {calibration.frame_id!r}; the image "
        f"{reason}: publish both at one size",
    )


def _distortion(name: str, coefficients: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """Model and coefficients, as many as the model may have; a polynomial whose coefficients are all 0 is none."""
    model = _MODELS.get(re.sub(r"[\s_-]", "", name).lower())
    used = len(coefficients)
    while used and coefficients[used - 1] == 0:
        used -= 1
    if model is None or (model == "none" and used):
        raise FaultError(
            Fault.UNKNOWN_DISTORTION,
            f"camera_info has distortion model {name!r} with coefficients {coefficients}: "
            f"{', '.join(DISTORTION_MODELS[1:])} are known",
        )
    if not used and model != "equidistant":
        return "none", ()
    if model == "plumb_bob" and used > COEFFICIENT_COUNTS[model][-1]:
        # Some drivers call every polynomial so.
        model = "rational_polynomial"
    counts = COEFFICIENT_COUNTS[model]
    if used > counts[-1]:
        raise FaultError(
            Fault.UNKNOWN_DISTORTION,
            f"camera_info has {len(coefficients)} coefficients {coefficients} of {name!r}, of which {model} has "
            f"{counts[-1]} at most",
        )
    # Zeros that a driver left out at the end, or added to it, do not change the lens.
    given = len(coefficients)
    count = given if given in counts else next(count for count in counts if count >= used)
    return model, (*coefficients[:count], *(0.0,) * (count - given))
