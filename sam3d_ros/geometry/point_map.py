"""The point map of an image, whose points are made where somebody looks at them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera

Points = NDArray[np.float32]
Depth = NDArray[np.float32]


class PointMap:
    """What is measured at each pixel of an image, metres in the optical frame, NaN = unknown.

    A depth image holds a point map already: each point lies on the ray of its pixel. Making all of them costs more than
    anything else that is done with a frame, and few are looked at. A LiDAR's returns lie beside the centres of their
    pixels, and are given as they are. What it gives may be its own memory, which is not to be written to.

    Args:
        points: (H, W, 3) float32 points, each anywhere in its pixel.

    Attributes:
        depth: (H, W) float32 along the optical axis.

    Raises:
        ValueError: the points are not (H, W, 3) float32.
    """

    def __init__(self, points: Points) -> None:
        if points.ndim != 3 or points.shape[2] != 3 or points.dtype != np.float32:
            raise ValueError(f"points are {points.shape} {points.dtype}: give (H, W, 3) float32")
        self.depth: Depth = points[..., 2]
        self._points: Points | None = points
        #: (3, H, W) directions of the pixels, z = 1; None where points were given.
        self._rays: Points | None = None

    @classmethod
    def from_depth(cls, depth: Depth, camera: Camera) -> PointMap:
        """The point map of a depth image.

        Args:
            depth: (H, W) float32 metres along the optical axis, NaN = unknown (see `pointmaps.known_depth`).
            camera: of the image that the depth is registered to.

        Raises:
            ValueError: the depth has another size than the camera, or another type.
        """
        if depth.shape != (camera.height, camera.width) or depth.dtype != np.float32:
            raise ValueError(
                f"depth is {depth.shape} {depth.dtype} but the camera is {camera.width}x{camera.height}: give "
                f"({camera.height}, {camera.width}) float32"
            )
        rays = camera.ray_planes()
        # A lens leaves pixels without a ray, NaN: nothing is measured there.
        return cls._on_rays(depth * rays[2] if camera.is_distorted else depth, rays)

    @classmethod
    def unknown(cls, height: int, width: int) -> PointMap:
        """That of an image without a sensor."""
        return cls._on_rays(
            np.full((height, width), np.nan, np.float32), np.ones((3, height, width), np.float32)
        )

    @classmethod
    def _on_rays(cls, depth: Depth, rays: Points) -> PointMap:
        made = cls.__new__(cls)
        made.depth, made._points, made._rays = depth, None, rays
        return made

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.depth.shape[0], self.depth.shape[1]

    @property
    def points(self) -> Points:
        """(H, W, 3) all points; made at the first question."""
        if self._points is None:
            assert self._rays is not None
            # Plane by plane: numpy is several times slower where the last axis is as short as three.
            planes = [self._rays[0] * self.depth, self._rays[1] * self.depth, self.depth]
            self._points = np.asarray(cv2.merge(planes), np.float32).reshape(*self.shape, 3)
        return self._points

    def at(self, pixels: Any) -> Points:
        """(..., 3) the points of some pixels, in the shape that the index gives.

        Args:
            pixels: index of an (H, W) array: a mask, two slices, rows and columns, ...
        """
        if self._points is not None:
            return self._points[pixels]
        assert self._rays is not None
        depth = self.depth[pixels]
        points = np.empty((*depth.shape, 3), np.float32)
        for axis in (0, 1):
            np.multiply(self._rays[axis][pixels], depth, out=points[..., axis])
        points[..., 2] = depth
        return points

    def cropped(self, rows: slice, columns: slice) -> PointMap:
        """Those of a part of the image; nothing is copied."""
        if self._points is not None:
            return PointMap(self._points[rows, columns])
        assert self._rays is not None
        return self._on_rays(self.depth[rows, columns], self._rays[:, rows, columns])
