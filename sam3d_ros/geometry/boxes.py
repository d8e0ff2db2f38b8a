"""Oriented boxes and their exact overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, QhullError

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh

Array = NDArray[np.float64]

_CORNER_SIGNS: Array = np.array(
    [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64
)
_EDGES = np.array([(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit])
#: Slack of the inside test, share of the box's size: touching corners count as inside.
_TOUCHING = 1e-9


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box anywhere in a frame.

    Attributes:
        center: (3,) metres.
        rotation: (3, 3), its columns are the axes of the box.
        size: (3,) full lengths along these axes, metres, not negative.
    """

    center: Array
    rotation: Array
    size: Array

    @staticmethod
    def of_mesh(mesh: Mesh, target_from_mesh: Similarity) -> OrientedBox:
        """The box of a mesh along its own axes, in the frame that its pose leads to."""
        low, high = mesh.bounds.astype(np.float64)
        center = target_from_mesh.apply((low + high) / 2)
        return OrientedBox(center, target_from_mesh.rotation, (high - low) * target_from_mesh.scale)

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return float(np.prod(self.size))

    def corners(self) -> Array:
        """(8, 3) corners; bit 2, 1 and 0 of the index choose the side along x, y and z."""
        return self.center + (_CORNER_SIGNS * self.size / 2) @ self.rotation.T

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether (..., 3) points lie in the box or on its surface."""
        local = (np.asarray(points, dtype=np.float64) - self.center) @ self.rotation
        return np.asarray(
            (np.abs(local) <= self.size / 2 + _TOUCHING * self.size.max(initial=1e-6)).all(axis=-1)
        )


def intersection_volume(a: OrientedBox, b: OrientedBox) -> float:
    """Volume that two boxes share, cubic metres, exact.

    The shared body is convex; its corners are corners of one box inside the other and points where an edge of
    one box meets a face of the other.
    """
    points = [a.corners()[b.contains(a.corners())], b.corners()[a.contains(b.corners())]]
    points += [_edges_through_faces(a, b), _edges_through_faces(b, a)]
    corners = np.concatenate(points)
    if len(corners) < 4:
        return 0.0
    try:
        return float(ConvexHull(corners).volume)
    except QhullError:
        return 0.0  # All in one plane: the boxes touch without sharing a volume.


def box_iou(a: OrientedBox, b: OrientedBox) -> float:
    """Shared volume of two boxes over the volume of their union, 0 to 1; 0 if both are flat."""
    shared = intersection_volume(a, b)
    union = a.volume + b.volume - shared
    return shared / union if union > 0 else 0.0


def round_box_iou(estimate: OrientedBox, truth: OrientedBox, *, steps: int = 36) -> float:
    """`box_iou` for an object that is round about its own z axis, whose true box has no heading.

    The true box is turned about its z axis in even steps and the best overlap counts, as Objectron does for
    cups and bottles. A box whose x and y sides differ is no box of a round object and is compared as it is.

    Args:
        estimate: any box.
        truth: the true box, z along the axis of the round object.
        steps: headings tried within the quarter turn after which a square repeats.
    """
    if not np.isclose(truth.size[0], truth.size[1], rtol=0.02):
        return box_iou(estimate, truth)
    best = 0.0
    for angle in np.arange(steps) * (np.pi / 2 / steps):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        best = max(best, box_iou(estimate, OrientedBox(truth.center, truth.rotation @ turn, truth.size)))
    return best


def _edges_through_faces(edged: OrientedBox, faced: OrientedBox) -> Array:
    """(N, 3) points where edges of one box pass through faces of the other."""
    local = (edged.corners() - faced.center) @ faced.rotation
    start, direction = local[_EDGES[:, 0]], np.diff(local[_EDGES], axis=1)[:, 0]
    half = faced.size / 2
    found = []
    for axis in range(3):
        for side in (-half[axis], half[axis]):
            with np.errstate(divide="ignore", invalid="ignore"):
                share = (side - start[:, axis]) / direction[:, axis]
            crossing = (share > 0) & (share < 1)
            found.append(start[crossing] + share[crossing, None] * direction[crossing])
            found[-1][:, axis] = side
    points = np.concatenate(found) @ faced.rotation.T + faced.center
    return points[faced.contains(points)]
