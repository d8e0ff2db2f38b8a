"""Colours of a carved object: from the image where it is seen, from the symmetric image where that is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.free_space import FreeSpace
from sam3d_ros.perception.geometric.sampling import sampled
from sam3d_ros.perception.geometric.symmetry import Symmetry, moved

Array = NDArray[np.float64]

_GRAY = 128


def vertex_colors(
    vertices: Array,
    camera_from_ground: Similarity,
    symmetry: Symmetry,
    frame: Frame,
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
        frame: the image.
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
    colors[known] = _pixels(frame, camera_from_ground.apply(seen_at[known]))
    if len(known) and len(left):
        # Built for a single question: a better tree would cost more than it saves.
        tree = cKDTree(vertices[known], compact_nodes=False, balanced_tree=False)
        colors[left] = colors[known[tree.query(vertices[left])[1]]]
    return colors


def _pixels(frame: Frame, points: Array) -> NDArray[np.uint8]:
    """(N, 3) colours of the image, bilinear, at points that project into it."""
    camera = frame.camera
    u, v = camera.project(points.astype(np.float32)).T
    inside_u, inside_v = np.clip(u, 0, camera.width - 1), np.clip(v, 0, camera.height - 1)
    return np.ascontiguousarray(sampled(frame.rgb, inside_u, inside_v).T)
