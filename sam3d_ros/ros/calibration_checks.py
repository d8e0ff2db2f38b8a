"""What the matrices of a CameraInfo may look like: others are refused by name."""

from __future__ import annotations

import math

from sam3d_ros.ros.faults import Fault, FaultError

#: Skew that is none: what rounding leaves, in pixels from the first row to the last.
_SKEW_PIXELS = 0.05
#: Optical centres this close are one, metres. The shortest stereo baselines, of endoscopes, are 4 mm.
_SAME_CENTRE = 0.001
_ROUNDING = 1e-6


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
    # Below the diagonal all is 0, and the last number of the left 3x3 part is 1.
    zeros = {columns: 0.0, 2 * columns: 0.0, 2 * columns + 1: 0.0, 2 * columns + 2: 1.0}
    for index, expected in zeros.items():
        if abs(matrix[index] - expected) > _ROUNDING:
            raise _uncalibrated(
                f"{place} {name}[{index}] = {matrix[index]}, which is {expected:g} in a camera matrix"
            )
    return fx, fy, cx, cy


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


def _uncalibrated(text: str) -> FaultError:
    return FaultError(Fault.UNCALIBRATED_CAMERA, text)
