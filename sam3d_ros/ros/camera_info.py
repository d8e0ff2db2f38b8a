"""CameraInfo messages as cameras, and back."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.distortion import COEFFICIENT_COUNTS
from sam3d_ros.ros.faults import Fault, FaultError

#: Names that drivers give to the models of `geometry.distortion`.
_MODELS = {
    "": "none",
    "none": "none",
    "plumb_bob": "plumb_bob",
    "radtan": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}


def camera_from_info(message: CameraInfo, *, rectified: bool = False) -> Camera:
    """The camera of the image that comes with a CameraInfo.

    Size, K, D and P describe the full sensor; the region of interest is cut out of it first, and then
    `binning_x` x `binning_y` of its pixels are joined to one.

    Args:
        message: the calibration.
        rectified: the image is rectified: P holds its intrinsics, and it has no distortion. Otherwise it is raw:
            K and D.

    Raises:
        FaultError: uncalibrated_camera (K[0], or P[0], is 0), unknown_distortion or size_mismatch.
    """
    if rectified:
        fx, fy, cx, cy = message.p[0], message.p[5], message.p[2], message.p[6]
    else:
        fx, fy, cx, cy = message.k[0], message.k[4], message.k[2], message.k[5]
    if fx == 0 or fy == 0:
        raise FaultError(
            Fault.UNCALIBRATED_CAMERA,
            f"camera_info of frame {message.header.frame_id!r} has {'P[0]' if rectified else 'K[0]'} = {fx}, "
            f"which means that the camera is not calibrated",
        )
    model, coefficients = ("none", ()) if rectified else _distortion(message)
    x, y = message.roi.x_offset, message.roi.y_offset
    width, height = message.roi.width or message.width, message.roi.height or message.height
    # With a calibrated size of 0 x 0 (some drivers) the region cannot be checked.
    if message.width and (x + width > message.width or y + height > message.height):
        raise FaultError(
            Fault.SIZE_MISMATCH,
            f"camera_info has a region of interest of {width}x{height} at ({x}, {y}) in a sensor of "
            f"{message.width}x{message.height}",
        )
    across, down = max(message.binning_x, 1), max(message.binning_y, 1)
    try:
        camera = Camera(
            width=width // across,
            height=height // down,
            fx=fx / across,
            fy=fy / down,
            # Edges of pixels scale, not their centres, which sit half a pixel inside.
            cx=(cx - x + 0.5) / across - 0.5,
            cy=(cy - y + 0.5) / down - 0.5,
            distortion_model=model,
            distortion=coefficients,
        )
        camera.project(
            (0.0, 0.0, 1.0)
        )  # a lens that folds the image is refused on its first use: here, not later
    except ValueError as error:
        raise FaultError(Fault.UNCALIBRATED_CAMERA, f"camera_info cannot be used: {error}") from error
    return camera


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


def _distortion(message: CameraInfo) -> tuple[str, tuple[float, ...]]:
    """Model and coefficients; a model whose coefficients are all 0 is none."""
    model = _MODELS.get(message.distortion_model)
    coefficients = tuple(float(value) for value in message.d)
    if not any(coefficients):
        return "none", ()
    if model is None or model == "none":
        raise FaultError(
            Fault.UNKNOWN_DISTORTION,
            f"camera_info has distortion model {message.distortion_model!r} with coefficients {coefficients}: "
            f"{', '.join(name for name in _MODELS if name)} are known",
        )
    count = COEFFICIENT_COUNTS[model][-1]
    if any(coefficients[count:]):
        raise FaultError(
            Fault.UNKNOWN_DISTORTION,
            f"camera_info has {len(coefficients)} coefficients {coefficients} of {model}: {count} are supported, "
            "thin prism and tilt are not",
        )
    # Zeros that a driver left out at the end do not change the polynomial.
    return model, (*coefficients[:count], *(0.0,) * (count - len(coefficients)))
