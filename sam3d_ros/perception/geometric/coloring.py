"""Colours of a carved object: from the image where it is seen, from the symmetric image where that is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.sampling import sampled
from sam3d_ros.perception.geometric.symmetry import Symmetry, moved

Array = NDArray[np.float64]

_GRAY = 128


def vertex_colors(
    vertices: Array,
    camera_from_ground: Similarity,
    symmetry: Symmetry,
    evidence: Evidence,
    free_space: FreeSpace,
    tolerance: float,
) -> NDArray[np.uint8]:
    """Colour each vertex.

    A vertex that the camera sees takes its pixel; another one takes the pixel of its first symmetric image that
    is seen; what is left takes the colour of the nearest coloured vertex.

    Args:
        vertices: (N, 3) in the ground frame, metres.
        camera_from_ground: pose of the ground frame.
        symmetry: the motions.
        evidence: the image.
        free_space: tells what is seen.
        tolerance: metres between a vertex and the measured surface.

    Returns:
        (N, 3) uint8 RGB; gray when nothing is seen at all.
    """
    seen_at = vertices.copy()
    left = np.flatnonzero(~free_space.sees(vertices, tolerance))
    for motion in symmetry.motions():
        images = moved(vertices[left], motion)
        seen = free_space.sees(images, tolerance)
        seen_at[left[seen]] = images[seen]
        left = left[~seen]
    known = np.delete(np.arange(len(vertices)), left)
    colors = np.full((len(vertices), 3), _GRAY, np.uint8)
    colors[known] = _pixels(evidence, camera_from_ground.apply(seen_at[known]))
    if len(known) and len(left):
        # Built for a single question: a better tree would cost more than it saves.
        tree = cKDTree(vertices[known], compact_nodes=False, balanced_tree=False)
        colors[left] = colors[known[tree.query(vertices[left])[1]]]
    return colors


def _pixels(evidence: Evidence, points: Array) -> NDArray[np.uint8]:
    """(N, 3) colours of the image, bilinear, at points that project into the window."""
    window = evidence.window
    u, v = evidence.camera.project(points.astype(np.float32)).T
    inside_u = np.clip(u, window.left, window.right - 1) - window.left
    inside_v = np.clip(v, window.top, window.bottom - 1) - window.top
    return np.ascontiguousarray(sampled(evidence.rgb, inside_u, inside_v).T)
