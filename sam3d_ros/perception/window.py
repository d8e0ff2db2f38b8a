"""Rectangles of whole pixels in an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


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
