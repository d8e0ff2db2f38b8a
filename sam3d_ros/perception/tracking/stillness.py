"""Whether an object is seen as it was when it was judged last: then the judgement holds, and need not be made again.

A judgement casts thousands of rays. A glance compares some hundred pixels: those in and around the mask, on the grid
that was noted when the object was judged. The camera has to stand where it stood, the mask has to cover what it
covered, and the depth may differ by no more than its noise. What is compared is always the judged moment, never the
frame before: slow motion adds up until it is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.window import Window

#: A glance looks at about so many rows and columns.
_GRID = 24
#: Pixels around the box that are looked at, as a share of its longer side.
_MARGIN_SHARE = 0.1
#: Fewer measured pixels on the grid than this do not tell whether something moved along the rays.
_LEAST_POINTS = 30
#: Share of the measured pixels that may come or go.
_COME_AND_GO = 0.15
#: Differences of two independent depths spread by this many standard deviations in the median: 0.95 for normal noise.
_SPREAD = 1.6
#: A camera that moved by less than this stood still: radians, and the same as a share of the object's distance.
_STANDING = 1e-4


@dataclass(frozen=True, eq=False)
class Glance:
    """What was seen of an object at a moment, on a coarse grid.

    Attributes:
        stamp: of the moment, nanoseconds.
        window: the part of the image that the grid spans.
        step: rows and columns from one pixel of the grid to the next.
        own: (r, c) whether the instance covers it.
        depth: (r, c) float32 metres, NaN = unknown.
        pixels: of the whole mask.
        source: the sensor behind the depth.
        fixed_from_camera: where the camera was; None = it is the frame of tracking.
    """

    stamp: int
    window: Window
    step: tuple[int, int]
    own: NDArray[np.bool_]
    depth: NDArray[np.float32]
    pixels: int
    source: PointsSource
    fixed_from_camera: Similarity | None

    @staticmethod
    def at(evidence: Evidence) -> Glance:
        """Look at evidence."""
        margin = max(2, int(_MARGIN_SHARE * evidence.box.longest))
        window = evidence.box.grown(margin, evidence.image_shape).within(evidence.window)
        step = (
            max(1, (window.bottom - window.top) // _GRID),
            max(1, (window.right - window.left) // _GRID),
        )
        own, depth = _grid(evidence, window, step)
        return Glance(
            stamp=evidence.stamp,
            window=window,
            step=step,
            own=own,
            # Copied, for a view would hold the whole frame.
            depth=depth.copy(),
            pixels=evidence.pixels,
            source=evidence.overview.points_source,
            fixed_from_camera=evidence.overview.fixed_from_camera,
        )

    def is_like(self, evidence: Evidence, *, overlap: float, residual: float) -> bool:
        """Whether evidence shows the same.

        Args:
            evidence: of the same object, later.
            overlap: share of the mask that may change.
            residual: how far the depth may shift, in standard deviations of the sensor.
        """
        source = evidence.overview.points_source
        if source is not self.source or not evidence.window.holds(self.window):
            return False
        if abs(evidence.pixels - self.pixels) > overlap * self.pixels:
            return False
        own, depth = _grid(evidence, self.window, self.step)
        if np.count_nonzero(own != self.own) > overlap * np.count_nonzero(self.own):
            return False
        if source is PointsSource.NONE:
            return self._camera_stood(evidence, 1.0)
        gap = (depth - self.depth)[own & self.own]
        known = gap[gap == gap]  # NaN, where either is unknown, equals nothing
        count = len(known)
        before = np.count_nonzero(self.own & (self.depth == self.depth))
        if count < max(_LEAST_POINTS, (1.0 - _COME_AND_GO) * before):
            return False
        distance = float(_middle(self.depth[self.own & (self.depth == self.depth)]))
        noise = evidence.overview.range_noise.at(distance)
        return (
            abs(_middle(known)) <= residual * noise
            and _middle(np.abs(known)) <= _SPREAD * noise
            and self._camera_stood(evidence, distance)
        )

    def _camera_stood(self, evidence: Evidence, distance: float) -> bool:
        then, now = self.fixed_from_camera, evidence.overview.fixed_from_camera
        if then is None or now is None:
            return then is now
        if then is now:
            return True
        return bool(
            np.abs(now.translation - then.translation).max() <= _STANDING * distance
            and np.abs(now.rotation - then.rotation).max() <= _STANDING
        )


def _grid(
    evidence: Evidence, window: Window, step: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    rows, columns = window.slices_in(evidence.window)
    cells = (slice(rows.start, rows.stop, step[0]), slice(columns.start, columns.stop, step[1]))
    return evidence.labels[cells] == evidence.instance_id, evidence.depth[cells]


def _middle(values: NDArray[np.float32]) -> float:
    """The median, or of an even number the upper one of the two in the middle."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])
