"""Pinhole cameras with lens distortion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3d_ros.geometry.distortion import DISTORTION_MODELS, check_coefficients, distort, undistort

__all__ = ["DISTORTION_MODELS", "Camera"]


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one image in the optical frame (x right, y down, z forward).

    Attributes:
        width, height: pixels.
        fx, fy: focal lengths, pixels.
        cx, cy: principal point, pixels; the centre of the first pixel is (0, 0).
        distortion_model: one of `DISTORTION_MODELS`.
        distortion: its coefficients in the order of sensor_msgs/CameraInfo (k1 k2 p1 p2 k3 ...), as many as
            `geometry.distortion.COEFFICIENT_COUNTS` says.

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
            raise ValueError(
                f"focal lengths are {self.fx}, {self.fy}: both must be positive (is it calibrated?)"
            )
        check_coefficients(self.distortion_model, self.distortion)

    @staticmethod
    def from_field_of_view(width: int, height: int, horizontal: float) -> Camera:
        """A centred camera with square pixels that sees `horizontal` radians from left to right edge."""
        focal = width / (2.0 * math.tan(horizontal / 2.0))
        return Camera(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)

    def matrix(self) -> NDArray[np.float64]:
        """The (3, 3) intrinsic matrix K, without distortion."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(self, points: ArrayLike) -> NDArray[np.floating]:
        """Image points of the optical frame.

        Args:
            points: (..., 3) metres, optical frame.

        Returns:
            (..., 2) pixels u, v, which may lie outside the image; NaN for a point that is not in front of the
            camera, or farther from the axis than the distortion model holds. They are float64, or float32
            for float32 points, which is quicker and good to about 1e-4 pixels.
        """
        points = np.asarray(points)
        dtype = np.float32 if points.dtype == np.float32 else np.float64
        # Axis by axis: numpy is several times slower where the last axis is as short as two.
        plane = np.empty((*points.shape[:-1], 2), dtype)
        with np.errstate(all="ignore"):
            scale = np.where(points[..., 2] > 0, dtype(1.0) / points[..., 2], dtype(np.nan))
            for axis in (0, 1):
                np.multiply(points[..., axis], scale, out=plane[..., axis])
        xy = distort(plane, self.distortion_model, self.distortion)
        pixels = np.empty(plane.shape, dtype)
        for axis, (focal, center) in enumerate(((self.fx, self.cx), (self.fy, self.cy))):
            pixels[..., axis] = xy[..., axis] * dtype(focal) + dtype(center)
        return pixels

    def rays_at(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Directions through pixels, with the distortion removed.

        Args:
            pixels: (..., 2) u, v; fractions and pixels outside the image are allowed.

        Returns:
            (..., 3) float64 directions with z = 1 in the optical frame, so that ray * depth is the point; NaN
            where the distortion has no inverse.
        """
        plane = (np.asarray(pixels, dtype=np.float64) - (self.cx, self.cy)) / (self.fx, self.fy)
        xy = undistort(plane, self.distortion_model, self.distortion)
        return np.concatenate([xy, np.where(np.isnan(xy[..., :1]), np.nan, 1.0)], axis=-1)

    def rays(self) -> NDArray[np.float32]:
        """Directions of all pixels as `rays_at` gives them: (height, width, 3) float32, read-only."""
        return _rays(self)

    def ray_planes(self) -> NDArray[np.float32]:
        """The same, coordinate by coordinate: (3, height, width) float32, read-only."""
        return _ray_planes(self)

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) points of the optical frame, metres, at (..., 2) pixels with (...) depths."""
        return self.rays_at(pixels) * np.asarray(depth, dtype=np.float64)[..., None]

    def contains(self, pixels: ArrayLike) -> NDArray[np.bool_]:
        """Whether (..., 2) pixels lie in the image, whose first pixel spans -0.5 to 0.5; NaN does not."""
        pixels = np.asarray(pixels, dtype=np.float64)
        u, v = pixels[..., 0], pixels[..., 1]
        return (u >= -0.5) & (u < self.width - 0.5) & (v >= -0.5) & (v < self.height - 0.5)

    @property
    def is_distorted(self) -> bool:
        """Whether its rays are not those of a pinhole; a fisheye's are not, whatever its coefficients."""
        return self.distortion_model == "equidistant" or any(self.distortion)

    def undistorted(self) -> Camera:
        """The pinhole with the same K."""
        return replace(self, distortion_model="none", distortion=())

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same image sampled to another size."""
        sx, sy = width / self.width, height / self.height
        # Edges of pixels scale, not their centres, which sit half a pixel inside.
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def cropped(self, x: int, y: int, width: int, height: int) -> Camera:
        """The camera of a part of the image whose first pixel is (x, y).

        Raises:
            ValueError: the part is not inside the image.
        """
        if x < 0 or y < 0 or x + width > self.width or y + height > self.height:
            raise ValueError(
                f"crop {width}x{height} at ({x}, {y}) leaves the image of {self.width}x{self.height}: "
                f"keep it inside"
            )
        return replace(self, width=width, height=height, cx=self.cx - x, cy=self.cy - y)


@lru_cache(maxsize=8)
def _rays(camera: Camera) -> NDArray[np.float32]:
    pixels = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    rays = camera.rays_at(pixels).astype(np.float32)
    rays.setflags(write=False)
    return rays


@lru_cache(maxsize=2)
def _ray_planes(camera: Camera) -> NDArray[np.float32]:
    planes = np.ascontiguousarray(np.moveaxis(_rays(camera), -1, 0))
    planes.setflags(write=False)
    return planes
