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


#: The group of what looks like itself in one pose only.
NO_SYMMETRY = SymmetryGroup()
