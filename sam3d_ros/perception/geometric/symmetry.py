"""Symmetries of objects that stand on a ground plane, as motions of their footprint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: (..., 2, 2) matrices and (..., 2) offsets: `p -> matrix @ p + offset` in the ground plane.
Motion = tuple[Array, Array]

_HALF_TURN = -np.eye(2)
#: Turns that stand for all turns of a revolution, the identity left out.
_TURNS = tuple(
    np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in np.arange(1, 8) * np.pi / 4.0
)


class SymmetryKind(Enum):
    """Groups of motions that keep the vertical."""

    NONE = "none"
    MIRROR = "mirror"
    HALF_TURN = "half_turn"
    TWO_MIRRORS = "two_mirrors"
    REVOLUTION = "revolution"


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A symmetry in the ground frame.

    Attributes:
        kind: the group.
        angle: radians from x to the normal of the (first) mirror; the direction that the grid of a carving follows.
        center: (2,) a point of the axis, or of the mirror, metres.
        violation: mean depth of the images of the observed points in free space, as a share of the span
            (the diagonal of the expected footprint).
        determined: whether the view tells where the hidden side ends; otherwise a prior does.
    """

    kind: SymmetryKind
    angle: float
    center: Array
    violation: float
    determined: bool

    def motions(self) -> list[Motion]:
        """Each motion but the identity as (2, 2) matrix and (2,) offset; seven turns for a revolution."""
        linear, offset = motions(self.kind, np.array([self.angle]), self.center[None])
        return list(zip(linear[0], offset[0], strict=True))

    def images(self, points: Array) -> list[Array]:
        """Where (N, 3) points, or (N, 2) places in the ground plane, go under each of the motions."""
        return [moved(points, motion) for motion in self.motions()]


def moved(points: Array, motion: Motion) -> Array:
    """Where one motion takes (N, 3) points, or (N, 2) places in the ground plane."""
    linear, offset = motion
    return np.concatenate([points[:, :2] @ linear.T + offset, points[:, 2:]], axis=1)


def motions(kind: SymmetryKind, angle: Array, center: Array) -> Motion:
    """The motions of H groups of one kind but the identity: `p -> linear @ p + offset` in the ground plane.

    Args:
        kind: the group.
        angle: (H,) radians to the normal of the first mirror.
        center: (H, 2) metres.

    Returns:
        (H, G, 2, 2) orthogonal matrices and (H, G, 2) offsets.
    """
    mirror = _reflections(angle)
    group = {
        SymmetryKind.NONE: (),
        SymmetryKind.MIRROR: (mirror,),
        SymmetryKind.HALF_TURN: (_HALF_TURN,),
        # The second mirror stands across the first; both together are the half turn.
        SymmetryKind.TWO_MIRRORS: (mirror, -mirror, _HALF_TURN),
        SymmetryKind.REVOLUTION: _TURNS,
    }[kind]
    linear = np.empty((len(angle), len(group), 2, 2))
    for index, matrices in enumerate(group):
        linear[:, index] = matrices
    return linear, center[:, None] - np.einsum("hgij,hj->hgi", linear, center)


def _reflections(angle: Array) -> Array:
    """(H, 2, 2) reflections at lines through the origin with normals at (H,) angles: I - 2 n n^T."""
    c, s = np.cos(2.0 * angle), np.sin(2.0 * angle)
    return np.array([[-c, -s], [-s, c]]).transpose(2, 0, 1)
