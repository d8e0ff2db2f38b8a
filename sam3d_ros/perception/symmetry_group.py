"""Symmetry groups: the motions that an object looks alike after, in the form of the BOP challenge.

A pose is known but for them: `camera_from_object @ g` explains a view as well as `camera_from_object` for each g of the
group. They act on metric coordinates along the object's own axes, `scale * p` for a canonical point p, for a canonical
frame may be stretched. Reflections are no motions of a rigid object and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity

Array = NDArray[np.float64]

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
        rotation = self.rotation(angle)
        return Similarity(rotation, self.offset - rotation @ self.offset)

    def rotation(self, angle: float) -> Array:
        """(3, 3) that of the turn by an angle in radians, after Rodrigues."""
        c, s = np.cos(angle), np.sin(angle)
        x, y, z = self.axis
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        return c * np.eye(3) + s * cross + (1.0 - c) * np.outer(self.axis, self.axis)


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

    def scaled(self, factor: float) -> SymmetryGroup:
        """The same group of an object that is larger by a factor; itself where the factor is one."""
        if factor == 1.0:
            return self
        return SymmetryGroup(
            tuple(ContinuousSymmetry(a.axis, factor * a.offset) for a in self.continuous),
            tuple(Similarity(g.rotation, factor * g.translation) for g in self.discrete),
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
        if len(self.continuous) > 1:
            # A ball: any rotation about its centre.
            offset = self.continuous[0].offset
            center = pose.translation + pose.rotation @ offset
            return Similarity(to.rotation, center - to.rotation @ offset, pose.scale)
        # Of the relative rotations the one of the greatest trace is the smallest.
        wanted = self._back @ (pose.rotation.T @ to.rotation)
        traces = np.trace(wanted, axis1=1, axis2=2)
        about = [_Turns.of(wanted, traces, symmetry.axis) for symmetry in self.continuous]
        reached = about[0].greatest_trace if about else traces
        best = int(np.argmax(reached))
        if reached[best] <= traces[0] + _NO_NEARER:
            return pose
        # The group acts on metric coordinates: without the scale.
        rotation, translation = pose.rotation, pose.translation
        if best > 0:
            motion = self.discrete[best - 1]
            translation = translation + rotation @ motion.translation
            rotation = rotation @ motion.rotation
        for symmetry, turns in zip(self.continuous, about, strict=True):
            turned = rotation @ symmetry.rotation(turns.angle(best))
            translation = translation + (rotation - turned) @ symmetry.offset
            rotation = turned
        return Similarity(rotation, translation, pose.scale)

    @cached_property
    def _back(self) -> Array:
        """(N, 3, 3) inverse rotations of the identity and the discrete motions."""
        return np.stack([np.eye(3), *(motion.rotation.T for motion in self.discrete)])

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


@dataclass(frozen=True, eq=False)
class _Turns:
    """How near turns about an axis come to some rotations: of the angle, trace(turn.T @ wanted) is
    `along + cosine * cos(angle) + sine * sin(angle)`.

    Attributes:
        along, cosine, sine: (N,) of each rotation.
    """

    along: Array
    cosine: Array
    sine: Array

    @staticmethod
    def of(wanted: Array, traces: Array, axis: Array) -> _Turns:
        """Of (N, 3, 3) rotations, their (N,) traces, and a (3,) axis."""
        along = wanted @ axis @ axis
        sine = (wanted[:, [2, 0, 1], [1, 2, 0]] - wanted[:, [1, 2, 0], [2, 0, 1]]) @ axis
        return _Turns(along, traces - along, sine)

    @property
    def greatest_trace(self) -> Array:
        """(N,) after the nearest turn."""
        return self.along + np.hypot(self.cosine, self.sine)

    def angle(self, index: int) -> float:
        """Of the nearest turn, radians."""
        return float(np.arctan2(self.sine[index], self.cosine[index]))


#: The group of what looks like itself in one pose only.
NO_SYMMETRY = SymmetryGroup()
