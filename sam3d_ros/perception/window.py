"""Rectangles of whole pixels in an image, and the parts of it that tell of what is in one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera

#: What is kept around the box of an instance: a share of its longer side, and pixels beside that. Occluders and free
#: space are looked at there, and completed shapes reach into it.
_MARGIN_SHARE, _MARGIN_PIXELS = 0.5, 8
#: Points along each edge of a window that is bent by a lens.
_EDGE_POINTS = 17


@dataclass(frozen=True)
class Window:
    """A part of an image: rows `top` to `bottom`, columns `left` to `right`, the ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    @property
    def longest(self) -> int:
        """Pixels of the longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in its image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, shape: tuple[int, ...]) -> Window:
        """The window with a margin on all sides, as far as an image of (height, width) goes."""
        return Window(
            max(0, self.top - margin),
            min(shape[0], self.bottom + margin),
            max(0, self.left - margin),
            min(shape[1], self.right + margin),
        )

    def within(self, outer: Window) -> Window:
        """What of the window lies in an outer one."""
        return Window(
            max(self.top, outer.top),
            min(self.bottom, outer.bottom),
            max(self.left, outer.left),
            min(self.right, outer.right),
        )

    def moved(self, rows: int, columns: int) -> Window:
        """The window so many rows further down and columns further right."""
        return Window(self.top + rows, self.bottom + rows, self.left + columns, self.right + columns)

    def including(self, pixels: NDArray[np.floating], shape: tuple[int, ...]) -> Window:
        """The window widened to hold (N, 2) pixels u, v as far as they lie in an image of (height, width)."""
        known = pixels[np.isfinite(pixels[:, 0])]
        if len(known) == 0:
            return self
        (left, top), (right, bottom) = known.min(axis=0).tolist(), known.max(axis=0).tolist()
        return Window(
            min(max(int(np.floor(top)), 0), self.top),
            max(min(int(np.ceil(bottom)) + 1, shape[0]), self.bottom),
            min(max(int(np.floor(left)), 0), self.left),
            max(min(int(np.ceil(right)) + 1, shape[1]), self.right),
        )

    def holds(self, other: Window) -> bool:
        """Whether another window lies inside."""
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Index of the window in what an outer one was cut to."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )

    def meets_border(self, shape: tuple[int, ...]) -> bool:
        """Whether it reaches the border of an image of (height, width)."""
        return self.top == 0 or self.left == 0 or self.bottom == shape[0] or self.right == shape[1]


def window_of(mask: NDArray[np.bool_]) -> Window:
    """The box of a mask.

    Raises:
        ValueError: the mask is empty.
    """
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    if width == 0:
        raise ValueError(
            "the instance has no pixel in this frame: ask only for ids of `Frame.instance_ids()`"
        )
    return Window(top, top + height, left, left + width)


def margin_around(box: Window) -> int:
    """Pixels that are looked at around a box."""
    return int(_MARGIN_SHARE * box.longest) + _MARGIN_PIXELS


def window_around(box: Window, camera: Camera) -> Window:
    """The part of an image that tells of what is in a box; large enough to be freed of the lens distortion."""
    shape = (camera.height, camera.width)
    window = box.grown(margin_around(box), shape)
    if not camera.is_distorted:
        return window
    edges = camera.undistorted().rays_at(_edges(straightened_window(box, camera)))
    return window.including(camera.project(edges), shape).grown(1, shape)


def straightened_window(box: Window, camera: Camera) -> Window:
    """The same part of the image that the pinhole without the distortion sees."""
    shape = (camera.height, camera.width)
    straight = box.including(camera.undistorted().project(camera.rays_at(_edges(box))), shape)
    return straight.grown(margin_around(straight), shape)


def _edges(window: Window) -> NDArray[np.float64]:
    """(N, 2) pixels u, v along the edges of a window; lens distortion bends them between the corners."""
    x = np.linspace(window.left, window.right - 1, _EDGE_POINTS)
    y = np.linspace(window.top, window.bottom - 1, _EDGE_POINTS)
    across = [np.stack([x, np.full_like(x, side)], axis=-1) for side in (window.top, window.bottom - 1)]
    along = [np.stack([np.full_like(y, side), y], axis=-1) for side in (window.left, window.right - 1)]
    return np.concatenate([*across, *along])
