"""Symmetry groups: the motions that an object looks alike after, in the form of the BOP challenge.

A pose is known but for them: `camera_from_object @ g` explains a view as well as `camera_from_object` for each g of the
group. They act on metric coordinates along the object's own axes, `scale * p` for a canonical point p, for a canonical
frame may be stretched. Reflections are no motions of a rigid object and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity

Array = NDArray[np.float64]

_IDENTITY = Similarity()
#: Traces that differ by less are those of the same rotation.
_NO_NEARER = 1e-9


@dataclass(frozen=True, eq=False)
class ContinuousSymmetry:
    """All turns about an axis.

    Attributes:
        axis: (3,) unit vector along the object's own axes.
        offset: (3,) a point of the axis, metres.
    """

    axis: Array
    offset: Array = field(default_factory=lambda: np.zeros(3))

    def turn(self, angle: float) -> Similarity:
        """The turn by an angle in radians: `p -> R p + offset - R offset`, scale one."""
        c, s = np.cos(angle), np.sin(angle)
        x, y, z = self.axis
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        rotation = c * np.eye(3) + s * cross + (1.0 - c) * np.outer(self.axis, self.axis)
        return Similarity(rotation, self.offset - rotation @ self.offset)


@dataclass(frozen=True, eq=False)
class SymmetryGroup:
    """The proper symmetries of one object; without any, both are empty.

    Attributes:
        continuous: axes that it is round about.
        discrete: single motions, without the identity.
    """

    continuous: tuple[ContinuousSymmetry, ...] = ()
    discrete: tuple[Similarity, ...] = ()

    @property
    def is_trivial(self) -> bool:
        """Whether the object has no symmetry."""
        return not self.continuous and not self.discrete

    def turned(self, old_from_new: Array) -> SymmetryGroup:
        """The same group where the object's own axes were turned by a (3, 3) rotation, `old_from_new`."""
        new_from_old = old_from_new.T
        return SymmetryGroup(
            tuple(
                ContinuousSymmetry(new_from_old @ a.axis, new_from_old @ a.offset) for a in self.continuous
            ),
            tuple(
                Similarity(new_from_old @ g.rotation @ old_from_new, new_from_old @ g.translation)
                for g in self.discrete
            ),
        )

    def nearest(self, pose: Similarity, to: Similarity) -> Similarity:
        """Of all poses that look like a pose the one whose rotation is nearest to that of another.

        Args:
            pose: `frame_from_object`.
            to: the same at another time.

        Returns:
            `pose @ g` for a g of the group; `pose` itself where nothing is nearer.
        """
        if self.is_trivial:
            return pose
        # The group acts on metric coordinates: without the scale.
        rigid = Similarity(pose.rotation, pose.translation)
        best = max(
            (self._turned_to(rigid @ g, to) for g in (_IDENTITY, *self.discrete)),
            key=lambda found: _agreement(found, to),
        )
        if _agreement(best, to) <= _agreement(rigid, to) + _NO_NEARER:
            return pose
        return Similarity(best.rotation, best.translation, pose.scale)

    def free_directions(self, pose: Similarity) -> Array:
        """(K, 6) unit rates of change that leave the object looking alike: x y z rotX rotY rotZ about its origin.

        In the frame of the pose; a turn of one radian about an axis beside the origin moves the origin, too.
        """
        rates = np.zeros((len(self.continuous), 6))
        for rate, symmetry in zip(rates, self.continuous, strict=True):
            axis = pose.rotation @ symmetry.axis
            rate[:3] = np.cross(axis, -(pose.rotation @ symmetry.offset))
            rate[3:] = axis
        return rates

    def _turned_to(self, pose: Similarity, to: Similarity) -> Similarity:
        """A rigid pose, turned about the continuous axes as near as possible to the rotation of another."""
        if len(self.continuous) > 1:
            # A ball: any rotation about its centre.
            center = pose.apply(self.continuous[0].offset)
            return Similarity(to.rotation, center - to.rotation @ self.continuous[0].offset)
        for symmetry in self.continuous:
            pose = pose @ symmetry.turn(_best_turn(pose.rotation.T @ to.rotation, symmetry.axis))
        return pose


def _best_turn(wanted: Array, axis: Array) -> float:
    """The angle of the turn about an axis that is nearest to a rotation: greatest trace(turn.T @ wanted)."""
    sine = axis @ np.array(
        [wanted[2, 1] - wanted[1, 2], wanted[0, 2] - wanted[2, 0], wanted[1, 0] - wanted[0, 1]]
    )
    cosine = np.trace(wanted) - axis @ wanted @ axis
    return float(np.arctan2(sine, cosine))


def _agreement(pose: Similarity, to: Similarity) -> float:
    """Trace of the relative rotation: 3 for the same, -1 for half a turn."""
    return float(np.sum(pose.rotation * to.rotation))


#: The group of what looks like itself in one pose only.
NO_SYMMETRY = SymmetryGroup()
