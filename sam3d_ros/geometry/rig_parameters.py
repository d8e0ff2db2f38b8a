"""A body in numbers: the parameters of the Momentum Human Rig, a surface on a skeleton of 127 joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RigParameters:
    """Parameters of the Momentum Human Rig: they make the surface and the joints again.

    Attributes:
        model: (204,) float32: root (decimetres, radians), 130 angles and lengths, 68 sizes of the skeleton.
        shape: (45,) float32 coefficients of the surface.
        root: (3,) float32 angles of the root about the fixed x, then y, then z of the rig, radians.
        body: (133,) float32 angles of the body, radians, and six lengths; fingers and jaw are zero.
        hands: (108,) float32 code of both hands' fingers, the left one first.
        sizes: (28,) float32 coefficients of the skeleton's sizes.
        camera: (3,) float32 size and place in the crop, as the network writes them.
    """

    model: NDArray[np.float32]
    shape: NDArray[np.float32]
    root: NDArray[np.float32]
    body: NDArray[np.float32]
    hands: NDArray[np.float32]
    sizes: NDArray[np.float32]
    camera: NDArray[np.float32]
