"""What a calibration may look like: numbers that no camera has are refused by name, before a metre is off.

The bounds are wide on purpose. They part what is no calibration (zeros, the identity, millimetres or shares of the
width in place of pixels, another resolution) from every real one, the widest fisheye and the longest lens included.
"""

from __future__ import annotations

import math

import numpy as np

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.distortion import holds_to_the_horizon
from sam3d_ros.ros.faults import Fault, FaultError

#: Least and greatest focal length, in longer sides of the calibrated image. The least is a pinhole of 171 degrees, or
#: a fisheye of 280 degrees whose image circle takes a fifth of that side; identity matrices, focal lengths in metres,
#: in most lenses' millimetres and in image widths lie below. The greatest sees 0.3 degrees: the longest zooms of
#: surveillance and thermal cameras end near 90, and a centre crop may double that.
_FOCAL_LENGTHS = (0.04, 200.0)
#: How much the two focal lengths may differ: pixels joined or left out in one direction alone, 2:1 or 4:1.
_PIXEL_ASPECT = 4.0
#: How far outside the calibrated image the principal point may lie, in sides of it. That of a whole sensor is near
#: its middle; a driver that crops and publishes the crop as its sensor moves it out, by half a side for a third.
_BEYOND_THE_SENSOR = 0.5
#: The same where camera_info tells no size, so that only the principal point can tell another resolution: within
#: so much of each border, in sides. Real ones are within a tenth of the middle.
_INSIDE_THE_IMAGE = 0.3
#: Skew that is none: what rounding leaves, in pixels from the first row to the last.
_SKEW_PIXELS = 0.05
#: Optical centres this close are one, metres. The shortest stereo baselines, of endoscopes, are 4 mm.
_SAME_CENTRE = 0.001
_ROUNDING = 1e-6

#: Least share of the image's pixels that a lens must give a ray, those of a fisheye from behind it left out ...
_LEAST_SHARE = 0.5
#: ... and with them: 220 degrees in a circle as high as a 16:9 image leave 0.29, 280 degrees 0.18.
_LEAST_SHARE_OF_A_CIRCLE = 0.1
#: No lens images a ray farther from the axis than this many times where a pinhole does.
_PULLED = 2.0
#: Pixels that a lens is tried at, along each side.
_TRIED = 33


def intrinsics(matrix: tuple[float, ...], *, of: str) -> tuple[float, float, float, float]:
    """fx, fy, cx and cy of a matrix that is one of a camera.

    Args:
        matrix: the 9 numbers of K, or the 12 of P, row by row.
        of: frame_id, for messages.

    Raises:
        FaultError: uncalibrated_camera.
    """
    name, columns = ("K", 3) if len(matrix) == 9 else ("P", 4)
    place = f"camera_info of frame {of!r} has"
    if not all(map(math.isfinite, matrix)):
        raise _uncalibrated(f"{place} NaN or Inf in {name} = {list(matrix)}")
    fx, fy, cx, cy = matrix[0], matrix[columns + 1], matrix[2], matrix[columns + 2]
    for index, focal in ((0, fx), (columns + 1, fy)):
        if focal == 0:
            raise _uncalibrated(
                f"{place} {name}[{index}] = {focal}, which means that the camera is not calibrated"
            )
        if focal < 0:
            raise _uncalibrated(f"{place} {name}[{index}] = {focal}: focal lengths are positive")
    if cx == 0 and cy == 0:
        raise _uncalibrated(
            f"{place} its principal point {name}[2], {name}[{columns + 2}] at 0, 0, where it was never set"
        )
    # Below the diagonal all is 0, and the last number of the left 3x3 part is 1.
    zeros = {columns: 0.0, 2 * columns: 0.0, 2 * columns + 1: 0.0, 2 * columns + 2: 1.0}
    for index, expected in zeros.items():
        if abs(matrix[index] - expected) > _ROUNDING:
            raise _uncalibrated(
                f"{place} {name}[{index}] = {matrix[index]}, which is {expected:g} in a camera matrix"
            )
    return fx, fy, cx, cy


def check_plausible(
    values: tuple[float, float, float, float],
    sensor: tuple[int, int],
    *,
    of: str,
    is_told: bool,
) -> None:
    """Refuse focal lengths and principal points that no camera with such an image has.

    Args:
        values: fx, fy, cx, cy in pixels of the sensor.
        sensor: width and height of what was calibrated, pixels.
        of: frame_id, for messages.
        is_told: the size is that of the camera_info; otherwise that of the image, which may have been made at
            another resolution.

    Raises:
        FaultError: uncalibrated_camera.
    """
    fx, fy, cx, cy = values
    image = f"camera_info of frame {of!r}, {sensor[0]}x{sensor[1]} pixels, has"
    least, greatest = (share * max(sensor) for share in _FOCAL_LENGTHS)
    if not (least <= fx <= greatest and least <= fy <= greatest):
        raise _uncalibrated(
            f"{image} focal lengths of {fx:g} and {fy:g} pixels: those of a lens are {least:.4g} to "
            f"{greatest:.6g} for this size"
        )
    if not 1 / _PIXEL_ASPECT <= fx / fy <= _PIXEL_ASPECT:
        raise _uncalibrated(
            f"{image} focal lengths of {fx:g} and {fy:g} pixels: they differ by the shape of a pixel at most, "
            f"{_PIXEL_ASPECT:g} times"
        )
    beyond = _BEYOND_THE_SENSOR if is_told else -_INSIDE_THE_IMAGE
    for center, side in ((cx, sensor[0]), (cy, sensor[1])):
        if not -beyond * side <= center + 0.5 <= (1 + beyond) * side:
            raise _uncalibrated(
                f"{image} its principal point at ({cx:g}, {cy:g}), too far from the middle of such an image: "
                + (
                    "was it calibrated at another size?"
                    if is_told
                    else "let it tell the size it was calibrated at"
                )
            )


def check_matrix_is_supported(matrix: tuple[float, ...], height: int, *, of: str) -> None:
    """Refuse skewed pixels, and a rectified image that is seen from elsewhere than its frame.

    Args:
        matrix: as `intrinsics` takes it.
        height: rows of the calibrated image.
        of: frame_id, for messages.

    Raises:
        FaultError: unsupported_camera.
    """
    is_projection = len(matrix) == 12
    name, fx, fy = ("P" if is_projection else "K"), matrix[0], matrix[5 if is_projection else 4]
    if abs(matrix[1]) / fy * height > _SKEW_PIXELS:
        raise FaultError(
            Fault.UNSUPPORTED_CAMERA,
            f"camera_info of frame {of!r} has skewed pixels, {name}[1] = {matrix[1]:g}: this is 0 by the definition of "
            "CameraInfo; calibrate without skew",
        )
    if not is_projection:
        return
    offset = (0.0 - matrix[3] / fx, 0.0 - matrix[7] / fy, 0.0 - matrix[11])
    if max(map(abs, offset)) > _SAME_CENTRE:
        raise FaultError(
            Fault.UNSUPPORTED_CAMERA,
            f"camera_info of frame {of!r} has P[3], P[7], P[11] = {matrix[3]:g}, {matrix[7]:g}, {matrix[11]:g}: the "
            f"image is that of a second stereo camera, ({', '.join(f'{metres:.3f}' for metres in offset)}) m from the "
            "first, and whether the frame is of the first or of its own is not told. Use the first (left) camera, "
            "or publish P[3] = P[7] = P[11] = 0 in the frame of this one",
        )


def check_lens(camera: Camera, *, of: str) -> None:
    """Refuse a lens that gives too few pixels of its image a ray, or pulls them where no lens does.

    Raises:
        FaultError: uncalibrated_camera.
    """
    if not camera.is_distorted:
        return
    u, v = (np.linspace(0, side - 1, _TRIED) for side in (camera.width, camera.height))
    pixels = np.stack(np.meshgrid(u, v), axis=-1)
    radius = np.hypot(*np.moveaxis(camera.rays_at(pixels)[..., :2], -1, 0))
    straight = np.hypot((pixels[..., 0] - camera.cx) / camera.fx, (pixels[..., 1] - camera.cy) / camera.fy)
    share = float((radius * _PULLED >= straight).mean())
    lens = (camera.distortion_model, camera.distortion)
    imaged = float(np.isfinite(radius).mean()) if holds_to_the_horizon(*lens) else 1.0
    if share < _LEAST_SHARE * imaged or share < _LEAST_SHARE_OF_A_CIRCLE:
        raise _uncalibrated(
            f"the lens in camera_info of frame {of!r}, {lens[0]} {list(lens[1])}, gives only {share:.0%} of the pixels "
            "a plausible ray: recalibrate, with views that reach into the corners"
        )


def _uncalibrated(text: str) -> FaultError:
    return FaultError(Fault.UNCALIBRATED_CAMERA, text)
