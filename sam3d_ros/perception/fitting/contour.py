"""Where the outline of a posed mesh lies beside that of its mask, to a fraction of a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.measurement import Outline

Array = NDArray[np.float64]

#: Places along a line across the outline that are looked at, in pixels outward from an outermost pixel of the mask.
_PROBES = np.arange(-1.75, 3.0, 0.25)
#: So many pixels of an outline are looked at.
_COUNT = 60
#: The mask ends half-way between its outermost pixel and the next one.
_BORDER = 0.5


def contour_gaps(surface: VisibleSurface, pose: Similarity, outline: Outline) -> tuple[Array, Array, Array]:
    """How far the outline of the mesh should move, where it is within two pixels of that of the mask.

    Args:
        surface: the mesh.
        pose: `camera_from_object`.
        outline: of the mask.

    Returns:
        (K, 3) points of the mesh on its outline, (K, 3) unit vectors out of the mask across the line of sight, and (K,)
        metres along them.
    """
    chosen = slice(None, None, 1 + len(outline.seam) // _COUNT)
    seam, outward = outline.seam[chosen], outline.outward[chosen]
    if len(seam) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)
    sight = seam / seam[:, 2:3]
    probes = np.repeat(sight[:, None], len(_PROBES), axis=1)
    probes[..., :2] += outward[:, None] * (_PROBES[:, None] * outline.spacing)
    hits = surface.cast(pose, probes.reshape(-1, 3))
    shown = hits.hit.reshape(len(seam), -1)
    # From inside to the first place where nothing is seen.
    last = np.argmin(shown, axis=1) - 1
    crossed = (last >= 0) & shown[:, 0]
    row, last = np.flatnonzero(crossed), last[crossed]
    depth = hits.depth.reshape(len(seam), -1)[row, last]
    # An aslant line of pixels ends farther from its outermost pixel than one along the rows.
    border = _BORDER / np.abs(outward[row]).max(axis=1)
    gap = border - 0.5 * (_PROBES[last] + _PROBES[last + 1])
    along = np.column_stack([outward[row], -np.einsum("ij,ij->i", outward[row], sight[row, :2])])
    length = np.linalg.norm(along, axis=1)
    at = probes[row, last] * depth[:, None]
    return at, along / length[:, None], gap * outline.spacing * depth / length
