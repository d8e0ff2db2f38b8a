"""Pinhole cameras with lens distortion."""

from __future__ import annotations

import math
from dataclasses import dataclass

DISTORTION_MODELS = ("none", "plumb_bob", "rational_polynomial", "equidistant")


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one image in the optical frame (x right, y down, z forward).

    Attributes:
        width, height: pixels.
        fx, fy: focal lengths, pixels.
        cx, cy: principal point, pixels; the centre of the first pixel is (0, 0).
        distortion_model: one of `DISTORTION_MODELS`.
        distortion: its coefficients in the order of sensor_msgs/CameraInfo (k1 k2 p1 p2 k3 ...).

    Raises:
        ValueError: a size or focal length is not positive, a number is not finite, the model is unknown, or
            the number of coefficients does not fit it.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"camera is {self.width}x{self.height}: width and height must be positive")
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(math.isfinite(value) for value in numbers):
            raise ValueError(f"camera intrinsics hold NaN or Inf: {numbers}")
        if self.fx <= 0 or self.fy <= 0:
            raise ValueError(f"focal lengths are {self.fx}, {self.fy}: both must be positive (is it calibrated?)")
        if self.distortion_model not in DISTORTION_MODELS:
            raise ValueError(
                f"distortion model {self.distortion_model!r} is unknown: use one of {', '.join(DISTORTION_MODELS)}"
            )
