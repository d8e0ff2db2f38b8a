"""Which numbers a camera may have: what no camera has is refused, before a metre is off.

The bounds are wide on purpose. They part what is no calibration (zeros, the identity, millimetres or shares of the
width in place of pixels, another resolution) from every real one, the widest fisheye and the longest lens included.
"""

from __future__ import annotations

import numpy as np

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.distortion import holds_to_the_horizon

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

#: Least share of the image's pixels that a lens must give a ray, those of a fisheye from behind it left out ...
_LEAST_SHARE = 0.5
#: ... and with them: 220 degrees in a circle as high as a 16:9 image leave 0.29, 280 degrees 0.18.
_LEAST_SHARE_OF_A_CIRCLE = 0.1
#: No lens images a ray farther from the axis than this many times where a pinhole does.
_PULLED = 2.0
#: Pixels that a lens is tried at, along each side.
_TRIED = 33


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
        of: whose they are, for messages.
        is_told: the size is that of the calibration; otherwise that of the image, which may have been made at
            another resolution.

    Raises:
        ValueError: they are of no camera.
    """
    fx, fy, cx, cy = values
    image = f"{of}, {sensor[0]}x{sensor[1]} pixels, has"
    if cx == 0 and cy == 0:
        raise ValueError(f"{image} its principal point at 0, 0, where it was never set")
    least, greatest = (share * max(sensor) for share in _FOCAL_LENGTHS)
    if not (least <= fx <= greatest and least <= fy <= greatest):
        raise ValueError(
            f"{image} focal lengths of {fx:g} and {fy:g} pixels: those of a lens are {least:.4g} to "
            f"{greatest:.6g} for this size"
        )
    if not 1 / _PIXEL_ASPECT <= fx / fy <= _PIXEL_ASPECT:
        raise ValueError(
            f"{image} focal lengths of {fx:g} and {fy:g} pixels: they differ by the shape of a pixel at most, "
            f"{_PIXEL_ASPECT:g} times"
        )
    beyond = _BEYOND_THE_SENSOR if is_told else -_INSIDE_THE_IMAGE
    for center, side in ((cx, sensor[0]), (cy, sensor[1])):
        if not -beyond * side <= center + 0.5 <= (1 + beyond) * side:
            raise ValueError(
                f"{image} its principal point at ({cx:g}, {cy:g}), too far from the middle of such an image: "
                + (
                    "was it calibrated at another size?"
                    if is_told
                    else "let it tell the size it was calibrated at"
                )
            )


def check_lens(camera: Camera, *, of: str) -> None:
    """Refuse a lens that gives too few pixels of its image a ray, or pulls them where no lens does.

    Args:
        camera: as it is calibrated.
        of: whose it is, for messages.

    Raises:
        ValueError: it is of no camera.
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
        raise ValueError(
            f"{of} has a lens, {lens[0]} {list(lens[1])}, that gives only {share:.0%} of the pixels "
            "a plausible ray: recalibrate, with views that reach into the corners"
        )
